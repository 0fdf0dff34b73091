//! Wireshark's table of keys of IKE SAs, `ikev2_decryption_table`.
//!
//! ```text
//! SPIi,SPIr,SK_ei,SK_er,"cipher",SK_ai,SK_ar,"integrity"
//! ```
//!
//! An AEAD's key has its salt behind it, and there is no key for integrity.

use std::collections::BTreeMap;
use std::fmt;

use ikexdp_proto::crypto::aead::OpenKey;
use ikexdp_proto::crypto::cipher::{Cipher, Encryption, Integrity};
use ikexdp_proto::types::{Spi, Spis};
use zeroize::Zeroizing;

use crate::limits::KEYS_MAX;

/// Keys of IKE SAs. They cannot be printed, and are wiped in the end.
#[derive(Debug, Default)]
pub struct Keys {
    sas: BTreeMap<[u64; 2], Pair>,
    unusable: Vec<Unusable>,
}

/// Keys of both directions.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) from_initiator: OpenKey,
    pub(super) from_responder: OpenKey,
}

/// A line of a table that is of no use. What it says is not repeated: it may be a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is no line of this table.
    Fields,
    /// An SPI is no number of 64 bits.
    Spi,
    /// A key is no hexadecimal number.
    Digits,
    /// A key has not the length that its algorithm wants.
    Length,
    /// The algorithm, by its number in [`UNKNOWN`], cannot be opened here.
    Algorithm(&'static str),
    /// It names algorithms that do not go together, or that nobody knows.
    Unknown,
    /// There are too many.
    Full,
}

/// Names of Wireshark's for what is not opened here.
const UNKNOWN: [&str; 19] = [
    "NULL",
    "3DES",
    "AES-CBC-192",
    "AES-CTR-128",
    "AES-CTR-192",
    "AES-CTR-256",
    "AES-GCM-128 with 8 octet ICV",
    "AES-GCM-128 with 12 octet ICV",
    "AES-GCM-192 with 8 octet ICV",
    "AES-GCM-192 with 12 octet ICV",
    "AES-GCM-192 with 16 octet ICV",
    "AES-GCM-256 with 8 octet ICV",
    "AES-GCM-256 with 12 octet ICV",
    "AES-CCM-128 with 16 octet ICV",
    "AES-CCM-256 with 16 octet ICV",
    "HMAC_MD5_96",
    "HMAC_MD5_128",
    "HMAC_SHA1_160",
    "HMAC_SHA2_256_96",
];

impl Keys {
    /// Adds what a table says; lines that are of no use are remembered as such.
    pub fn add(&mut self, table: &str) {
        for (line, text) in (1_usize..).zip(table.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if let Err(why) = self.add_line(text)
                && self.unusable.len() < KEYS_MAX
            {
                self.unusable.push(Unusable { line, why });
            }
        }
    }

    /// How many IKE SAs there are keys of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sas.len()
    }

    /// Whether there are keys of none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sas.is_empty()
    }

    /// Lines that were of no use.
    #[must_use]
    pub fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }

    /// The keys of an IKE SA.
    pub(super) fn of(&self, spis: Spis) -> Option<&Pair> {
        self.sas.get(&[spis.initiator.0, spis.responder.0])
    }

    fn add_line(&mut self, text: &str) -> Result<(), Why> {
        let fields: Vec<&str> = text.split(',').map(unquoted).collect();
        let [spi_i, spi_r, ei, er, encryption, ai, ar, integrity] = fields.as_slice() else {
            return Err(Why::Fields);
        };
        let (initiator, responder) = (spi(spi_i)?, spi(spi_r)?);
        let cipher = cipher(encryption, integrity)?;
        let key = |encryption: &str, integrity: &str| {
            let (encryption, integrity) = (octets(encryption)?, octets(integrity)?);
            OpenKey::new(cipher, &encryption, &integrity).map_err(|_| Why::Length)
        };
        let pair = Pair {
            from_initiator: key(ei, ai)?,
            from_responder: key(er, ar)?,
        };
        let name = [initiator.0, responder.0];
        if self.sas.len() >= KEYS_MAX && !self.sas.contains_key(&name) {
            return Err(Why::Full);
        }
        self.sas.insert(name, pair);
        Ok(())
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.why {
            Why::Fields => f.write_str("no line of Wireshark's ikev2_decryption_table"),
            Why::Spi => f.write_str("an SPI is no hexadecimal number of 64 bits"),
            Why::Digits => f.write_str("a key is no hexadecimal number"),
            Why::Length => f.write_str("a key has not the length that its algorithm wants"),
            Why::Algorithm(name) => write!(f, "not opened here: {name}"),
            Why::Unknown => f.write_str("unknown algorithms, or ones that do not go together"),
            Why::Full => write!(f, "more than {KEYS_MAX} IKE SAs"),
        }
    }
}

fn unquoted(field: &str) -> &str {
    let field = field.trim();
    let inner = field.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    inner.unwrap_or(field).trim()
}

fn digits(field: &str) -> &str {
    let prefix = field
        .strip_prefix("0x")
        .or_else(|| field.strip_prefix("0X"));
    prefix.unwrap_or(field)
}

fn spi(field: &str) -> Result<Spi, Why> {
    let is_short = matches!(digits(field).len(), 1..=16);
    let spi = u64::from_str_radix(digits(field), 16);
    spi.ok().filter(|_| is_short).map(Spi).ok_or(Why::Spi)
}

fn octets(field: &str) -> Result<Zeroizing<Vec<u8>>, Why> {
    let (pairs, rest) = digits(field).as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Why::Digits);
    }
    let digit = |octet: u8| char::from(octet).to_digit(16);
    let octet = |&[high, low]: &[u8; 2]| {
        let value = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
        u8::try_from(value).ok()
    };
    let mut octets = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for pair in pairs {
        octets.push(octet(pair).ok_or(Why::Digits)?);
    }
    Ok(octets)
}

/// The algorithms by Wireshark's names, without the RFC behind them.
fn cipher(encryption: &str, integrity: &str) -> Result<Cipher, Why> {
    let bare = |name: &str| name.split(" [").next().unwrap_or_default().to_owned();
    let (encryption, integrity) = (bare(encryption), bare(integrity));
    for name in [&encryption, &integrity] {
        let known = UNKNOWN.iter().find(|unknown| *unknown == name);
        if let Some(known) = known {
            return Err(Why::Algorithm(known));
        }
    }
    let encryption = match encryption.as_str() {
        "AES-GCM-128 with 16 octet ICV" => Encryption::AesGcm16_128,
        "AES-GCM-256 with 16 octet ICV" => Encryption::AesGcm16_256,
        "AES-CBC-128" => Encryption::AesCbc128,
        "AES-CBC-256" => Encryption::AesCbc256,
        // Not Wireshark's, which has no name for it.
        "ChaCha20-Poly1305" => Encryption::ChaCha20Poly1305,
        _ => return Err(Why::Unknown),
    };
    let integrity = match integrity.as_str() {
        "NONE" => None,
        "HMAC_SHA2_256_128" => Some(Integrity::HmacSha2_256_128),
        "HMAC_SHA2_384_192" => Some(Integrity::HmacSha2_384_192),
        "HMAC_SHA2_512_256" => Some(Integrity::HmacSha2_512_256),
        "HMAC_SHA1_96" => Some(Integrity::HmacSha1_96),
        _ => return Err(Why::Unknown),
    };
    Cipher::new(encryption, integrity).ok_or(Why::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(encryption: (&str, usize), integrity: (&str, usize)) -> String {
        let key = |length| "a5".repeat(length);
        let (e, a) = (key(encryption.1), key(integrity.1));
        let (cipher, mac) = (encryption.0, integrity.0);
        format!("0102030405060708,00000000000000a1,{e},{e},\"{cipher}\",{a},{a},\"{mac}\"\n")
    }

    #[test]
    fn what_wireshark_knows_and_we_know_is_read() {
        let none = ("NONE [RFC4306]", 0);
        for (encryption, integrity) in [
            (("AES-GCM-128 with 16 octet ICV [RFC5282]", 20), none),
            (("AES-GCM-256 with 16 octet ICV [RFC5282]", 36), none),
            (
                ("AES-CBC-128 [RFC3602]", 16),
                ("HMAC_SHA1_96 [RFC2404]", 20),
            ),
            (
                ("AES-CBC-256 [RFC3602]", 32),
                ("HMAC_SHA2_256_128 [RFC4868]", 32),
            ),
            (
                ("AES-CBC-256 [RFC3602]", 32),
                ("HMAC_SHA2_384_192 [RFC4868]", 48),
            ),
            (
                ("AES-CBC-128 [RFC3602]", 16),
                ("HMAC_SHA2_512_256 [RFC4868]", 64),
            ),
        ] {
            let mut keys = Keys::default();
            keys.add(&format!(
                "# written by somebody\n\n{}",
                line(encryption, integrity)
            ));
            assert_eq!(keys.unusable(), [], "{encryption:?}");
            let spis = Spis {
                initiator: Spi(0x0102_0304_0506_0708),
                responder: Spi(0xa1),
            };
            assert!(keys.of(spis).is_some());
            assert!(!format!("{keys:?}").contains("a5"), "it cannot be printed");
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_and_never_repeated() {
        let gcm = "AES-GCM-128 with 16 octet ICV [RFC5282]";
        let none = ("NONE [RFC4306]", 0);
        let good = line((gcm, 20), none);
        let [a, b] = ["3DES [RFC2451]", "AES-CBC-192 [RFC3602]"]
            .map(|name| line((name, 24), ("HMAC_SHA1_96 [RFC2404]", 20)));
        for (text, why) in [
            ("a5a5a5a5".to_owned(), Why::Fields),
            (good.replace("0102030405060708", "x"), Why::Spi),
            (
                good.replace("0102030405060708", "00102030405060708"),
                Why::Spi,
            ),
            (good.replace("a5a5a5", "a5za5a"), Why::Digits),
            (good.replace("a5a5a5", "a5a5"), Why::Length),
            (
                line((gcm, 20), ("HMAC_SHA1_96 [RFC2404]", 20)),
                Why::Unknown,
            ),
            (line(("ROT13", 1), none), Why::Unknown),
            (a, Why::Algorithm("3DES")),
            (b, Why::Algorithm("AES-CBC-192")),
        ] {
            let mut keys = Keys::default();
            keys.add(&text);
            assert_eq!(keys.unusable(), [Unusable { line: 1, why }], "{text}");
            let said = keys.unusable()[0].to_string();
            assert!(keys.is_empty() && !said.contains("a5"), "{said}");
        }
    }
}
