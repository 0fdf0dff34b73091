//! Algorithms by the names that the engine prints.

use std::fmt::Display;
use std::ops::Range;

use ikexdp_proto::config::{EspAlgorithms, IkeAlgorithms};
use ikexdp_proto::crypto::cipher::{Encryption, Integrity};
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::crypto::prf::Prf;
use ikexdp_proto::profile::Profile;
use ikexdp_proto::wire::iana::AuthMethod;

use super::caution::Caution;
use super::context::Context;
use super::fault::Fault;
use super::file::{self, Esp, Ike, Text, Texts};
use super::problem::Key;

/// The profile that the lists default to.
pub(super) fn profile(cx: &mut Context<'_>, table: &file::Gateway) -> Option<Profile> {
    let key = Key::of("gateway");
    let key = key.at("algorithms");
    let Some(text) = &table.algorithms else {
        return Some(Profile::default());
    };
    let profile = choice(cx, &key, text, &Profile::ALL)?;
    let integrity = weak(profile.integrity(), Integrity::is_weak);
    let prf = weak(profile.prf(), Prf::is_weak);
    let groups = weak(profile.groups(), Group::is_weak);
    let signatures = profile.rsa_sha1().then(|| AuthMethod::RSA_SHA1.to_string());
    let signatures = Vec::from_iter(signatures);
    let names = [integrity, prf, groups, signatures].concat();
    warn_of(cx, &key, text.span(), &names);
    Some(profile)
}

/// The algorithms of IKE SAs.
pub(super) fn ike(cx: &mut Context<'_>, ike: &Ike, profile: Profile) -> Option<IkeAlgorithms> {
    let key = Key::of("ike");
    let (encryption, integrity) = ciphers(
        cx,
        [key.at("encryption"), key.at("integrity")],
        ike.encryption.as_ref(),
        ike.integrity.as_ref(),
        profile,
    );
    let prf = List {
        all: &Prf::ALL,
        default: profile.prf(),
        is_weak: Prf::is_weak,
    };
    let prf = prf.read(cx, &key.at("prf"), ike.prf.as_ref());
    let groups = groups(profile).read(cx, &key.at("groups"), ike.groups.as_ref());
    let rsa_sha1 = ike.rsa_sha1.as_ref().map_or_else(
        || profile.rsa_sha1(),
        |allowed| {
            let weak = allowed.get_ref().then(|| AuthMethod::RSA_SHA1.to_string());
            let at = key.at("rsa-sha1");
            warn_of(cx, &at, allowed.span(), &Vec::from_iter(weak));
            *allowed.get_ref()
        },
    );
    Some(IkeAlgorithms {
        rsa_sha1,
        encryption: encryption?,
        integrity: integrity?,
        prf: prf?,
        groups: groups?,
    })
}

/// The algorithms of CHILD SAs of the connection `key`.
pub(super) fn esp(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    esp: &Esp,
    profile: Profile,
) -> Option<EspAlgorithms> {
    let (encryption, integrity) = ciphers(
        cx,
        [key.at("esp.encryption"), key.at("esp.integrity")],
        esp.encryption.as_ref(),
        esp.integrity.as_ref(),
        profile,
    );
    // What the file does not name is left to the client.
    let groups = match &esp.groups {
        Some(_) => groups(profile).read(cx, &key.at("esp.groups"), esp.groups.as_ref()),
        None => Some(Vec::new()),
    };
    Some(EspAlgorithms {
        encryption: encryption?,
        integrity: integrity?,
        groups: groups?,
    })
}

const fn groups(profile: Profile) -> List<'static, Group> {
    List {
        all: &Group::ALL,
        default: profile.groups(),
        is_weak: Group::is_weak,
    }
}

fn ciphers(
    cx: &mut Context<'_>,
    [encryption_key, integrity_key]: [Key<'_>; 2],
    encryption: Option<&Texts>,
    integrity: Option<&Texts>,
    profile: Profile,
) -> (Option<Vec<Encryption>>, Option<Vec<Integrity>>) {
    let ciphers = List {
        all: &Encryption::ALL,
        default: profile.encryption(),
        is_weak: |_| false,
    };
    let encryption = ciphers.read(cx, &encryption_key, encryption);
    let mut ciphers = encryption.iter().flatten();
    let not_aead = ciphers.find(|cipher| !cipher.is_aead());
    // A profile of AEAD ciphers has none, and a cipher that the file names takes one.
    let default = match (not_aead, profile) {
        (Some(_), Profile::Modern) => Profile::Compatible.integrity(),
        _ => profile.integrity(),
    };
    let list = List {
        all: &Integrity::ALL,
        default,
        is_weak: Integrity::is_weak,
    };
    let integrity = match (integrity, not_aead) {
        // No integrity at all is right for AEAD ciphers, and for them only.
        (Some(texts), None) if texts.get_ref().is_empty() => Some(Vec::new()),
        (Some(texts), Some(cipher)) if texts.get_ref().is_empty() => {
            let cipher = cipher.to_string();
            let fault = Fault::NoIntegrity { cipher };
            cx.problems.fault(&integrity_key, texts.span(), fault)
        }
        (texts, _) => list.read(cx, &integrity_key, texts),
    };
    (encryption, integrity)
}

/// A list of algorithms of one kind.
struct List<'a, T> {
    all: &'a [T],
    default: &'a [T],
    is_weak: fn(T) -> bool,
}

impl<T: Copy + Display> List<'_, T> {
    /// Finds each of `texts`, or takes the default.
    fn read(&self, cx: &mut Context<'_>, key: &Key<'_>, texts: Option<&Texts>) -> Option<Vec<T>> {
        let Some(texts) = texts else {
            return Some(self.default.to_vec());
        };
        if texts.get_ref().is_empty() {
            let allowed = names(self.all);
            return cx
                .problems
                .fault(key, texts.span(), Fault::EmptyList { allowed });
        }
        // Every wrong name is reported, not only the first.
        let found: Vec<_> = texts
            .get_ref()
            .iter()
            .map(|text| choice(cx, key, text, self.all))
            .collect();
        let found: Vec<T> = found.into_iter().collect::<Option<_>>()?;
        warn_of(cx, key, texts.span(), &weak(&found, self.is_weak));
        Some(found)
    }
}

/// Those of `list` that can be broken.
fn weak<T: Copy + Display>(list: &[T], is_weak: fn(T) -> bool) -> Vec<String> {
    let weak = list.iter().filter(|one| is_weak(**one));
    weak.map(ToString::to_string).collect()
}

fn warn_of(cx: &mut Context<'_>, key: &Key<'_>, span: Range<usize>, weak: &[String]) {
    if !weak.is_empty() {
        let names = weak.join(", ");
        cx.problems
            .caution(key, span, Caution::WeakAlgorithms { names });
    }
}

/// The one of `all` that prints as `text`.
pub(super) fn choice<T: Copy + Display>(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    text: &Text,
    all: &[T],
) -> Option<T> {
    let value = text.get_ref();
    let found = all.iter().find(|choice| choice.to_string() == *value);
    found.copied().or_else(|| {
        let value = value.clone();
        let allowed = names(all);
        cx.problems
            .fault(key, text.span(), Fault::Choice { value, allowed })
    })
}

fn names<T: Display>(all: &[T]) -> String {
    let names: Vec<_> = all.iter().map(|choice| format!("\"{choice}\"")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use ikexdp_proto::config::{Config, EspAlgorithms, IkeAlgorithms};
    use ikexdp_proto::profile::Profile;
    use rustls_pki_types::UnixTime;

    use crate::config::Loaded;

    fn load(gateway: &str, ike: &str, esp: &str) -> Loaded {
        let text = format!(
            "[gateway]\ntransport = \"udp\"\n{gateway}\n[ike]\n{ike}\n[[connection]]\n\
             name = \"staff\"\nremote-networks = [\"10.0.0.0/8\"]\n{esp}\n\
             local = {{ id = \"a.example\", secret = \"long enough to be a shared key here\" }}\n\
             remote = {{ secret = \"long enough to be a shared key here\" }}\n"
        );
        let now = UnixTime::since_unix_epoch(Duration::ZERO);
        super::super::parse(Path::new("gateway.toml"), &text, now).unwrap()
    }

    fn engine(gateway: &str, ike: &str, esp: &str) -> Config {
        let loaded = load(gateway, ike, esp);
        Config::clone(&loaded.settings.engine)
    }

    #[test]
    fn a_profile_is_what_lists_default_to() {
        for profile in Profile::ALL {
            let gateway = format!("algorithms = \"{profile}\"");
            let config = engine(&gateway, "", "");
            assert_eq!(config.ike, IkeAlgorithms::of(profile));
            let esp = &config.connections[0].child.esp;
            assert_eq!(*esp, EspAlgorithms::of(profile));
            let config = engine(&gateway, "groups = [\"ecp521\"]", "");
            let expected = IkeAlgorithms {
                groups: vec![super::Group::Ecp521],
                ..IkeAlgorithms::of(profile)
            };
            assert_eq!(config.ike, expected);
        }
        assert_eq!(engine("", "", "").ike, IkeAlgorithms::of(Profile::Modern));
    }

    #[test]
    fn a_cipher_that_is_no_aead_has_integrity() {
        let config = engine("", "encryption = [\"aes256-cbc\"]", "");
        assert_eq!(config.ike.integrity, Profile::Compatible.integrity());
    }

    #[test]
    fn what_can_be_broken_is_warned_of() {
        const PROFILE: &str = "algorithms = \"legacy-windows\"";
        for (gateway, ike, esp, expected) in [
            ("algorithms = \"compatible\"", "", "", None),
            (PROFILE, "", "", Some("gateway.algorithms: ")),
            ("", "prf = [\"prf-sha1\"]", "", Some("ike.prf: ")),
            (
                "",
                "groups = [\"x25519\", \"modp1536\"]",
                "",
                Some("ike.groups: "),
            ),
            (
                "",
                "",
                "esp = { encryption = [\"aes128-cbc\"], integrity = [\"sha1-96\"] }",
                Some("connection.staff.esp.integrity: "),
            ),
        ] {
            let cautions = load(gateway, ike, esp).cautions;
            let cautions: Vec<_> = cautions.iter().map(ToString::to_string).collect();
            assert_eq!(
                cautions.len(),
                usize::from(expected.is_some()),
                "{cautions:?}"
            );
            if let (Some(expected), [caution]) = (expected, &cautions[..]) {
                assert!(caution.contains(expected), "{caution}");
                assert!(
                    caution.contains("algorithms that can be broken"),
                    "{caution}"
                );
            }
        }
    }
}
