//! strongSwan on Linux: the directories that `swanctl` reads.

use base64ct::{Base64, Encoding};
use std::fmt::Write;

use super::{File, Profile, Proof};

/// The files, below a directory that is copied over `/etc/swanctl`.
pub(super) fn files(profile: &Profile<'_>) -> Vec<File> {
    let stem = stem(profile);
    let mut files = vec![
        File::new(
            format!("swanctl/conf.d/{stem}.conf"),
            configuration(profile, &stem),
        ),
        File::new(
            format!("swanctl/x509ca/{stem}-ca.pem"),
            profile.authority.pem.as_str(),
        ),
    ];
    if let Proof::Certificate { certified, .. } = profile.proof {
        let certificate = format!("swanctl/x509/{stem}.pem");
        let key = format!("swanctl/private/{stem}.key");
        files.push(File::new(certificate, certified.pem.as_str()));
        files.push(File::new(key, certified.key_pem.as_str()));
    }
    files
}

/// What the connection and the files are called: it must not meet what is there.
fn stem(profile: &Profile<'_>) -> String {
    profile.name.section()
}

fn configuration(profile: &Profile<'_>, stem: &str) -> String {
    let Profile {
        name,
        gateway,
        networks,
        families,
        ..
    } = profile;
    let addresses = [("0.0.0.0", families.v4), ("::", families.v6)];
    let addresses = listed(
        addresses
            .iter()
            .filter(|(_, has)| *has)
            .map(|(any, _)| *any),
    );
    let networks = match networks {
        None => "0.0.0.0/0,::/0".to_owned(),
        Some(networks) => listed(networks.iter()),
    };
    let (local, secrets) = match profile.proof {
        Proof::Certificate { identity, .. } => (
            format!("auth = pubkey\n            certs = {stem}.pem\n            id = {identity}"),
            String::new(),
        ),
        Proof::Eap { password } => (
            format!("auth = eap-mschapv2\n            id = {name}\n            eap_id = {name}"),
            format!(
                "\nsecrets {{\n    eap-{stem} {{\n        id = {name}\n        secret = {}\n    }}\n}}\n",
                encoded(password)
            ),
        ),
    };
    format!(
        "\
# {name} at {gateway}. To connect: swanctl --load-all && swanctl --initiate --child {stem}
connections {{
    {stem} {{
        version = 2
        remote_addrs = {gateway}
        proposals = aes256gcm16-prfsha384-x25519
        vips = {addresses}
        dpd_delay = 60s
        local {{
            {local}
        }}
        remote {{
            auth = pubkey
            id = {gateway}
            cacerts = {stem}-ca.pem
        }}
        children {{
            {stem} {{
                esp_proposals = aes256gcm16-x25519
                remote_ts = {networks}
            }}
        }}
    }}
}}
{secrets}"
    )
}

/// In base64: what begins with `0x` or `0s` would be read as something else, and
/// other characters as the end.
fn encoded(text: &str) -> String {
    format!("0s{}", Base64::encode_string(text.as_bytes()))
}

fn listed<T: std::fmt::Display>(values: impl Iterator<Item = T>) -> String {
    let mut list = String::new();
    for value in values {
        let comma = if list.is_empty() { "" } else { "," };
        // Writing to a text does not fail.
        let _ = write!(list, "{comma}{value}");
    }
    list
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Parts, text};
    use super::*;

    #[test]
    fn a_certificate_and_its_key_go_where_swanctl_looks() {
        let parts = Parts::new();
        let files = files(&parts.profile(false, None));
        let configuration = text(&files, "swanctl/conf.d/laptop.conf");
        for line in [
            "remote_addrs = vpn.example.com",
            "certs = laptop.pem",
            "id = laptop@vpn.example.com",
            "cacerts = laptop-ca.pem",
            "vips = 0.0.0.0,::",
            "remote_ts = 0.0.0.0/0,::/0",
        ] {
            let found = configuration.lines().any(|it| it.trim() == line);
            assert!(found, "{line} in {configuration}");
        }
        assert!(text(&files, "swanctl/x509/laptop.pem").contains("BEGIN CERTIFICATE"));
        assert!(text(&files, "swanctl/private/laptop.key").contains("BEGIN PRIVATE KEY"));
        assert!(text(&files, "swanctl/x509ca/laptop-ca.pem").contains("BEGIN CERTIFICATE"));
    }

    #[test]
    fn a_user_has_a_password_and_no_key() {
        let parts = Parts::new();
        let networks = ["10.0.0.0/8".parse().unwrap()];
        let mut profile = parts.profile(true, Some(&networks));
        profile.proof = Proof::Eap {
            password: "a\"b\\c",
        };
        let files = files(&profile);
        assert_eq!(files.len(), 2);
        let configuration = text(&files, "swanctl/conf.d/laptop.conf");
        for part in [
            "auth = eap-mschapv2",
            "eap_id = laptop",
            "remote_ts = 10.0.0.0/8\n",
        ] {
            assert!(configuration.contains(part), "{part} in {configuration}");
        }
        assert!(
            configuration.contains("secret = 0sYSJiXGM=\n"),
            "{configuration}"
        );
    }
}
