//! What `openssl speed` takes for the same.

use std::{collections::BTreeMap, fmt, process::Command};

use anyhow::{Context as _, Result};

use crate::command::{output, words};

/// Octets that a cipher or a hash gets; as in `tests/micro/cases/`.
const OCTETS: &str = "1200";

/// What stands beside one of our operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rival {
    /// Each with how many times it is done.
    parts: &'static [(Measured, u32)],
}

/// A figure of `openssl speed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Measured {
    /// ecdh…, ffdh…: a secret.
    Agree(&'static str),
    /// rsa…, ecdsa…, ed25519: a signature.
    Sign(&'static str),
    /// The same: verification.
    Verify(&'static str),
    /// `-evp`, with `-aead` for what authenticates by itself.
    Encrypt(&'static str),
    /// `-evp -decrypt`.
    Decrypt(&'static str),
    /// `-hmac`.
    Hmac(&'static str),
}

use Measured::{Agree, Decrypt, Encrypt, Hmac, Sign, Verify};

/// Our operations and OpenSSL's. Of a chain we verify two certificates and what its owner has signed.
const RIVALS: [(&str, &[(Measured, u32)]); 43] = [
    ("agree/x25519", &[(Agree("ecdhx25519"), 1)]),
    ("agree/ecp256", &[(Agree("ecdhp256"), 1)]),
    ("agree/ecp384", &[(Agree("ecdhp384"), 1)]),
    ("agree/ecp521", &[(Agree("ecdhp521"), 1)]),
    ("agree/modp2048", &[(Agree("ffdh2048"), 1)]),
    ("agree/modp3072", &[(Agree("ffdh3072"), 1)]),
    ("agree/modp4096", &[(Agree("ffdh4096"), 1)]),
    ("agree/modp6144", &[(Agree("ffdh6144"), 1)]),
    ("agree/modp8192", &[(Agree("ffdh8192"), 1)]),
    ("sign/rsa-2048", &[(Sign("rsa2048"), 1)]),
    ("sign/rsa-2048-pss", &[(Sign("rsa2048"), 1)]),
    ("sign/rsa-2048-sha1", &[(Sign("rsa2048"), 1)]),
    ("sign/rsa-4096", &[(Sign("rsa4096"), 1)]),
    ("sign/ecdsa-p256", &[(Sign("ecdsap256"), 1)]),
    ("sign/ecdsa-p384", &[(Sign("ecdsap384"), 1)]),
    ("sign/ecdsa-p521", &[(Sign("ecdsap521"), 1)]),
    ("sign/ed25519", &[(Sign("ed25519"), 1)]),
    ("verify-chain/rsa-2048", &[(Verify("rsa2048"), 3)]),
    ("verify-chain/rsa-4096", &[(Verify("rsa4096"), 3)]),
    ("verify-chain/ecdsa-p256", &[(Verify("ecdsap256"), 3)]),
    ("verify-chain/ecdsa-p384", &[(Verify("ecdsap384"), 3)]),
    ("verify-chain/ecdsa-p521", &[(Verify("ecdsap521"), 3)]),
    ("verify-chain/ed25519", &[(Verify("ed25519"), 3)]),
    ("seal/aes128-gcm16", &[(Encrypt("aes-128-gcm"), 1)]),
    ("open/aes128-gcm16", &[(Decrypt("aes-128-gcm"), 1)]),
    ("seal/aes256-gcm16", &[(Encrypt("aes-256-gcm"), 1)]),
    ("open/aes256-gcm16", &[(Decrypt("aes-256-gcm"), 1)]),
    (
        "seal/chacha20-poly1305",
        &[(Encrypt("chacha20-poly1305"), 1)],
    ),
    (
        "open/chacha20-poly1305",
        &[(Decrypt("chacha20-poly1305"), 1)],
    ),
    (
        "seal/aes128-cbc-sha2-256",
        &[(Encrypt("aes-128-cbc"), 1), (Hmac("sha256"), 1)],
    ),
    (
        "open/aes128-cbc-sha2-256",
        &[(Decrypt("aes-128-cbc"), 1), (Hmac("sha256"), 1)],
    ),
    (
        "seal/aes256-cbc-sha2-256",
        &[(Encrypt("aes-256-cbc"), 1), (Hmac("sha256"), 1)],
    ),
    (
        "open/aes256-cbc-sha2-256",
        &[(Decrypt("aes-256-cbc"), 1), (Hmac("sha256"), 1)],
    ),
    (
        "seal/aes256-cbc-sha2-384",
        &[(Encrypt("aes-256-cbc"), 1), (Hmac("sha384"), 1)],
    ),
    (
        "open/aes256-cbc-sha2-384",
        &[(Decrypt("aes-256-cbc"), 1), (Hmac("sha384"), 1)],
    ),
    (
        "seal/aes256-cbc-sha2-512",
        &[(Encrypt("aes-256-cbc"), 1), (Hmac("sha512"), 1)],
    ),
    (
        "open/aes256-cbc-sha2-512",
        &[(Decrypt("aes-256-cbc"), 1), (Hmac("sha512"), 1)],
    ),
    (
        "seal/aes256-cbc-sha1-96",
        &[(Encrypt("aes-256-cbc"), 1), (Hmac("sha1"), 1)],
    ),
    (
        "open/aes256-cbc-sha1-96",
        &[(Decrypt("aes-256-cbc"), 1), (Hmac("sha1"), 1)],
    ),
    ("prf/prf-sha2-256", &[(Hmac("sha256"), 1)]),
    ("prf/prf-sha2-384", &[(Hmac("sha384"), 1)]),
    ("prf/prf-sha2-512", &[(Hmac("sha512"), 1)]),
    ("prf/prf-sha1", &[(Hmac("sha1"), 1)]),
];

/// Seconds, by what was measured.
pub(super) type Figures = BTreeMap<Measured, f64>;

impl Rival {
    /// What stands beside the operation `name`, if anything does.
    pub(super) fn of(name: &str) -> Option<Self> {
        let mut rivals = RIVALS.iter();
        let (_, parts) = rivals.find(|(ours, _)| *ours == name)?;
        Some(Self { parts })
    }

    /// What it takes in all.
    ///
    /// # Errors
    /// It was not measured.
    pub(super) fn seconds(&self, figures: &Figures) -> Result<f64> {
        let seconds = self.parts.iter().map(|(part, times)| {
            let once = figures
                .get(part)
                .with_context(|| format!("not measured: {part}"))?;
            Ok(once * f64::from(*times))
        });
        seconds.sum()
    }
}

impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (part, times)) in self.parts.iter().enumerate() {
            if number > 0 {
                f.write_str(" + ")?;
            }
            if *times > 1 {
                write!(f, "{times} × ")?;
            }
            write!(f, "{part}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Agree(name) => f.write_str(name),
            Sign(name) => write!(f, "{name} sign"),
            Verify(name) => write!(f, "{name} verify"),
            Encrypt(name) => write!(f, "{name}"),
            Decrypt(name) => write!(f, "{name} decrypt"),
            Hmac(name) => write!(f, "hmac({name})"),
        }
    }
}

/// Which OpenSSL it is.
///
/// # Errors
/// It does not run.
pub(super) fn version() -> Result<String> {
    let version = output(Command::new("openssl").arg("version")).context("openssl version")?;
    let number = version.split_whitespace().nth(1);
    Ok(number.unwrap_or("of an unknown version").to_owned())
}

/// Runs `openssl speed` once for each figure that is asked for.
///
/// # Errors
/// It fails, or says what is not understood.
pub(super) fn measure(rivals: &[Rival]) -> Result<Figures> {
    let mut figures = Figures::new();
    for (part, _) in rivals.iter().flat_map(|rival| rival.parts) {
        if figures.contains_key(part) {
            continue;
        }
        let mut speed = Command::new("openssl");
        speed
            .args(words("speed -mr -seconds 1"))
            .args(part.arguments());
        eprintln!("$ openssl speed: {part}");
        let said = output(&mut speed).with_context(|| format!("openssl speed: {part}"))?;
        let read = read(*part, &said);
        figures.extend(read.with_context(|| format!("openssl speed: {part}: {said}"))?);
    }
    Ok(figures)
}

impl Measured {
    fn arguments(self) -> Vec<&'static str> {
        match self {
            Agree(name) | Sign(name) | Verify(name) => vec![name],
            Encrypt(name) => cipher(name, &[]),
            Decrypt(name) => cipher(name, &["-decrypt"]),
            Hmac(name) => vec!["-bytes", OCTETS, "-hmac", name],
        }
    }
}

fn cipher(name: &'static str, more: &[&'static str]) -> Vec<&'static str> {
    let is_alone = name.ends_with("-cbc");
    // With it there are associated data and an authenticator, as in a message.
    let aead = (!is_alone).then_some("-aead");
    let arguments = ["-bytes", OCTETS, "-evp", name].into_iter().chain(aead);
    arguments.chain(more.iter().copied()).collect()
}

/// Seconds of what was measured; of a signature those of both halves.
///
/// ```text
/// +F:25:AES-128-GCM:2350135714.29                      octets a second
/// +F2:2:2048:4843.750000:78415.714286                  RSA: signatures, verifications a second
/// +F4:3:256:70705.714286:24478.260870                  ECDSA: the same
/// +F5:22:253:42740.000000:0.000023                     ECDH: secrets a second
/// +F6:0:253:Ed25519:42903.030303:16741.176471          EdDSA: as ECDSA
/// +F8:0:2048:4691.304348:0.000213                      FFDH: as ECDH
/// ```
fn read(part: Measured, said: &str) -> Option<Vec<(Measured, f64)>> {
    let line = said.lines().find(|line| line.starts_with("+F"))?;
    let fields: Vec<&str> = line.split(':').collect();
    let each = |rate: &str| rate.parse::<f64>().ok().map(f64::recip);
    Some(match (part, fields.as_slice()) {
        (Encrypt(_) | Decrypt(_) | Hmac(_), ["+F", .., rate]) => {
            vec![(part, each(rate)? * OCTETS.parse::<f64>().ok()?)]
        }
        (Agree(_), ["+F5" | "+F8", _, _, rate, _]) => vec![(part, each(rate)?)],
        (
            Sign(name) | Verify(name),
            ["+F2" | "+F4", _, _, sign, verify] | ["+F6", _, _, _, sign, verify],
        ) => vec![(Sign(name), each(sign)?), (Verify(name), each(verify)?)],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(part: Measured, said: &str) -> f64 {
        let read = read(part, said).unwrap();
        read.into_iter().find(|(what, _)| *what == part).unwrap().1
    }

    #[test]
    fn every_form_of_figure_is_read() {
        let said = "+DT:aes:1:1200\n+H:1200\n+F:25:AES-128-GCM:2400000000.00\n";
        assert_eq!(one(Encrypt("aes-128-gcm"), said), 0.5e-6);
        let said = "+F9 of something else\n";
        assert_eq!(read(Hmac("sha256"), said), None);
        let said = "+F2:2:2048:4000.000000:50000.000000";
        assert_eq!(one(Sign("rsa2048"), said), 0.25e-3);
        assert_eq!(one(Verify("rsa2048"), said), 0.2e-4);
        let said = "+F6:0:253:Ed25519:40000.000000:20000.000000";
        assert_eq!(one(Verify("ed25519"), said), 0.5e-4);
        for said in [
            "+F5:22:253:40000.000000:0.000023",
            "+F8:0:2048:40000.0:0.00",
        ] {
            assert_eq!(one(Agree("ecdhx25519"), said), 0.25e-4);
        }
        assert_eq!(read(Agree("ecdhx25519"), "+F5:22:253:many:0.000023"), None);
        assert_eq!(read(Sign("rsa2048"), ""), None);
    }

    #[test]
    fn parts_add_up() {
        let rival = Rival::of("seal/aes256-cbc-sha2-256").unwrap();
        assert_eq!(rival.to_string(), "aes-256-cbc + hmac(sha256)");
        let mut figures = Figures::from([(Encrypt("aes-256-cbc"), 1.0)]);
        assert!(rival.seconds(&figures).is_err());
        figures.insert(Hmac("sha256"), 2.0);
        assert_eq!(rival.seconds(&figures).unwrap(), 3.0);
        let chain = Rival::of("verify-chain/rsa-2048").unwrap();
        assert_eq!(chain.to_string(), "3 × rsa2048 verify");
    }
}
