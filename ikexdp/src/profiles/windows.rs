//! Windows: a script for PowerShell, and the same for MDM.

use ikexdp_proto::mismatch::WINDOWS_POLICY;
use ipnet::IpNet;

use super::windows_xml::profile_xml;
use super::{File, Profile, ProfileError, Proof};
use crate::pki::{Cipher, archive};

/// What there is of IPv6: Windows makes no default route of it by itself.
const GLOBAL_V6: &str = "2000::/3";

pub(super) fn files(profile: &Profile<'_>) -> Result<Vec<File>, ProfileError> {
    let name = profile.name;
    let mut files = vec![
        File::new(format!("{name}.ps1"), script(profile)),
        File::new(format!("{name}.xml"), profile_xml(profile)?),
        File::new("ca.cer", profile.authority.der.to_vec()),
    ];
    if let Proof::Certificate {
        certified,
        password,
        ..
    } = profile.proof
    {
        let archive = archive(name, certified, None, password, Cipher::Aes)?;
        files.push(File::new(format!("{name}.p12"), archive));
    }
    Ok(files)
}

/// The networks that need routes of their own.
pub(super) fn routes(profile: &Profile<'_>) -> Vec<IpNet> {
    match profile.networks {
        Some(networks) => networks.to_vec(),
        None if profile.families.v6 => GLOBAL_V6.parse().into_iter().collect(),
        None => Vec::new(),
    }
}

/// With line ends as Windows has them, and nothing but ASCII: no version of
/// PowerShell has to guess an encoding.
fn script(profile: &Profile<'_>) -> String {
    let Profile { name, gateway, .. } = profile;
    let (import, authentication) = match profile.proof {
        Proof::Certificate { .. } => (
            format!(
                "\
$password = Read-Host -AsSecureString -Prompt 'Password of {name}.p12'
Import-PfxCertificate -FilePath (Join-Path $PSScriptRoot '{name}.p12') -CertStoreLocation Cert:\\LocalMachine\\My `
    -Password $password | Out-Null
"
            ),
            "-AuthenticationMethod MachineCertificate -MachineCertificateIssuerFilter $authority",
        ),
        Proof::Eap { .. } => (
            format!("# The user name is {name}; Windows asks for the password.\n"),
            "-AuthenticationMethod Eap -RememberCredential",
        ),
    };
    let split = if profile.networks.is_some() {
        " -SplitTunneling"
    } else {
        ""
    };
    let suffix = profile
        .domain
        .map(|domain| format!(" -DnsSuffix '{domain}'"))
        .unwrap_or_default();
    let routes: String = routes(profile)
        .iter()
        .map(|route| {
            format!("Add-VpnConnectionRoute -ConnectionName $name -AllUserConnection -DestinationPrefix '{route}'\n")
        })
        .collect();
    let script = format!(
        "\
#Requires -RunAsAdministrator
# Sets up the VPN connection of {name} to {gateway}.
$ErrorActionPreference = 'Stop'
$name = '{gateway}'

$authority = Import-Certificate -FilePath (Join-Path $PSScriptRoot 'ca.cer') -CertStoreLocation Cert:\\LocalMachine\\Root
{import}
# Automatic would ignore the algorithms below, and end in error 800.
Add-VpnConnection -Name $name -ServerAddress '{gateway}' -TunnelType Ikev2 -EncryptionLevel Required -AllUserConnection `
    {authentication}{split}{suffix}
Set-VpnConnectionIPsecConfiguration -ConnectionName $name -AllUserConnection `
    {WINDOWS_POLICY} -Force
{routes}
Write-Output \"To connect: rasdial '$name'\"
"
    );
    script.replace('\n', "\r\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Parts, text};
    use super::*;
    use p12_keystore::{KeyStore, Pkcs12ImportPolicy};

    /// The commands, each on one line.
    fn commands(script: &str) -> Vec<String> {
        let joined = script.replace("`\r\n    ", "");
        let lines = joined.split("\r\n").map(str::trim);
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_certificate_goes_into_the_stores_of_the_machine() {
        let parts = Parts::new();
        let files = files(&parts.profile(false, None)).unwrap();
        let script = text(&files, "laptop.ps1");
        assert!(script.is_ascii() && script.starts_with("#Requires -RunAsAdministrator\r\n"));
        assert!(!script.contains("pass-word"));
        let commands = commands(&script);
        let has = |parts: &[&str]| {
            let found = commands
                .iter()
                .any(|it| parts.iter().all(|part| it.contains(part)));
            assert!(found, "{parts:?} in {commands:#?}");
        };
        has(&[
            "Import-Certificate",
            "'ca.cer'",
            "Cert:\\LocalMachine\\Root",
        ]);
        has(&[
            "Import-PfxCertificate",
            "'laptop.p12'",
            "Cert:\\LocalMachine\\My",
        ]);
        has(&[
            "Add-VpnConnection -Name $name",
            "-ServerAddress 'vpn.example.com' -TunnelType Ikev2",
            "-AuthenticationMethod MachineCertificate",
            "-AllUserConnection",
            "-DnsSuffix 'example.com'",
        ]);
        has(&[
            "Set-VpnConnectionIPsecConfiguration",
            WINDOWS_POLICY,
            "-Force",
        ]);
        has(&["Add-VpnConnectionRoute", "'2000::/3'"]);
        assert!(!script.contains("-SplitTunneling"));
        let archive = files.iter().find(|file| file.path == "laptop.p12").unwrap();
        let policy = Pkcs12ImportPolicy::Relaxed;
        let store = KeyStore::from_pkcs12(&archive.content, "pass-word", policy).unwrap();
        assert!(store.private_key_chain().is_some());
    }

    #[test]
    fn a_split_tunnel_has_routes() {
        let parts = Parts::new();
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|it| it.parse().unwrap());
        let files = files(&parts.profile(true, Some(&networks))).unwrap();
        let script = text(&files, "laptop.ps1");
        for part in [
            "-AuthenticationMethod Eap ",
            " -SplitTunneling",
            "-DestinationPrefix '10.0.0.0/8'",
            "-DestinationPrefix 'fd00::/8'",
        ] {
            assert!(script.contains(part), "{part} in {script}");
        }
        assert!(
            !script.contains("2000::/3") && !script.contains("Pfx"),
            "{script}"
        );
        assert!(!files.iter().any(|file| file.path.ends_with(".p12")));
    }

    /// Quotes, brackets and parentheses that are opened are closed.
    #[test]
    fn the_script_is_balanced() {
        let parts = Parts::new();
        for is_eap in [false, true] {
            let files = files(&parts.profile(is_eap, None)).unwrap();
            let script = text(&files, "laptop.ps1");
            let count = |c: char| script.matches(c).count();
            assert_eq!(count('('), count(')'));
            assert_eq!((count('\'') % 2, count('"') % 2), (0, 0));
            // A line goes on only after a backtick at its very end.
            assert_eq!(count('`'), script.matches("`\r\n").count());
        }
    }
}
