//! Lines of Wireshark's tables of keys, which are files of that name in a profile:
//! `ikev2_decryption_table` and `esp_sa`.
//!
//! ```text
//! SPIi,SPIr,SK_ei,SK_er,"cipher",SK_ai,SK_ar,"integrity"
//! "IPv4","source","destination","0xSPI","cipher","0xkey","integrity","0xkey"
//! ```
//!
//! An AEAD's key has its salt behind it, and there is no key for integrity.

use std::fmt::Write;

use ikexdp_proto::ExposedKeys;
use ikexdp_proto::crypto::cipher::{Encryption, Integrity};
use ikexdp_proto::crypto::keymat::EspKeys;
use ikexdp_proto::data_plane::{Direction, EspSa};
use ikexdp_proto::types::Secret;
use zeroize::Zeroizing;

/// One of Wireshark's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Of IKE SAs.
    Ike,
    /// Of ESP, in one direction.
    Esp,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 2] = [Self::Ike, Self::Esp];

    /// What its file is called.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Ike => "ikev2_decryption_table",
            Self::Esp => "esp_sa",
        }
    }
}

/// A line of a table.
#[derive(Debug)]
pub struct Line {
    /// Of which.
    pub table: Table,
    /// The line, with its end.
    pub text: Secret<String>,
}

/// The line of an IKE SA; nothing if Wireshark does not know its cipher.
#[must_use]
pub fn ike(exposed: &ExposedKeys) -> Option<Line> {
    let cipher = exposed.suite.cipher;
    let encryption = match cipher.encryption() {
        Encryption::AesGcm16_128 => "AES-GCM-128 with 16 octet ICV [RFC5282]",
        Encryption::AesGcm16_256 => "AES-GCM-256 with 16 octet ICV [RFC5282]",
        Encryption::AesCbc128 => "AES-CBC-128 [RFC3602]",
        Encryption::AesCbc256 => "AES-CBC-256 [RFC3602]",
        Encryption::ChaCha20Poly1305 => return None,
    };
    let integrity = match cipher.integrity() {
        None => "NONE [RFC4306]",
        Some(Integrity::HmacSha2_256_128) => "HMAC_SHA2_256_128 [RFC4868]",
        Some(Integrity::HmacSha2_384_192) => "HMAC_SHA2_384_192 [RFC4868]",
        Some(Integrity::HmacSha2_512_256) => "HMAC_SHA2_512_256 [RFC4868]",
        Some(Integrity::HmacSha1_96) => "HMAC_SHA1_96 [RFC2404]",
    };
    let (initiator, responder) = (&exposed.keys.from_initiator, &exposed.keys.from_responder);
    let mut text = Hexadecimal::with_room_for([initiator, responder]);
    text.plain(&format!("{:016x},", exposed.spis.initiator.0));
    text.plain(&format!("{:016x},", exposed.spis.responder.0));
    text.secret(&initiator.encryption);
    text.plain(",");
    text.secret(&responder.encryption);
    text.plain(&format!(",\"{encryption}\","));
    text.secret(&initiator.integrity);
    text.plain(",");
    text.secret(&responder.integrity);
    text.plain(&format!(",\"{integrity}\"\n"));
    Some(text.line(Table::Ike))
}

/// The line of one direction of a CHILD SA; nothing if Wireshark does not know its
/// cipher.
#[must_use]
pub fn esp(sa: &EspSa) -> Option<Line> {
    let cipher = sa.suite.cipher;
    let encryption = match cipher.encryption() {
        Encryption::AesGcm16_128 | Encryption::AesGcm16_256 => {
            "AES-GCM with 16 octet ICV [RFC4106]"
        }
        Encryption::AesCbc128 | Encryption::AesCbc256 => "AES-CBC [RFC3602]",
        Encryption::ChaCha20Poly1305 => return None,
    };
    let integrity = match cipher.integrity() {
        None => "NULL",
        Some(Integrity::HmacSha2_256_128) => "HMAC-SHA-256-128 [RFC4868]",
        Some(Integrity::HmacSha2_384_192) => "HMAC-SHA-384-192 [RFC4868]",
        Some(Integrity::HmacSha2_512_256) => "HMAC-SHA-512-256 [RFC4868]",
        Some(Integrity::HmacSha1_96) => "HMAC-SHA-1-96 [RFC2404]",
    };
    let (local, remote) = (sa.tunnel.local.ip(), sa.tunnel.remote.ip());
    let (source, destination) = match sa.direction {
        Direction::Inbound => (remote, local),
        Direction::Outbound => (local, remote),
    };
    let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
    let mut text = Hexadecimal::with_room_for([&sa.keys]);
    let spi = sa.spi.0;
    text.plain(&format!(
        "\"{family}\",\"{source}\",\"{destination}\",\"0x{spi:08x}\","
    ));
    text.plain(&format!("\"{encryption}\",\"0x"));
    text.secret(&sa.keys.encryption);
    text.plain(&format!("\",\"{integrity}\",\"0x"));
    text.secret(&sa.keys.integrity);
    text.plain("\"\n");
    Some(text.line(Table::Esp))
}

/// A line that is being written. It never grows, which would leave its beginning
/// behind.
struct Hexadecimal(Zeroizing<String>);

impl Hexadecimal {
    fn with_room_for<'a>(keys: impl IntoIterator<Item = &'a EspKeys>) -> Self {
        /// What is no key: SPIs, addresses, names.
        const REST: usize = 512;
        let octets = keys.into_iter().map(|keys| {
            let length = keys.encryption.expose().len();
            length.saturating_add(keys.integrity.expose().len())
        });
        let digits = octets.sum::<usize>().saturating_mul(2);
        Self(Zeroizing::new(String::with_capacity(
            digits.saturating_add(REST),
        )))
    }

    fn plain(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn secret(&mut self, octets: &Secret<Vec<u8>>) {
        for octet in octets.expose() {
            // A `String` takes everything.
            let _ = write!(self.0, "{octet:02x}");
        }
    }

    fn line(mut self, table: Table) -> Line {
        let text = Secret::new(std::mem::take(&mut *self.0));
        Line { table, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ikexdp_proto::crypto::cipher::Cipher;
    use ikexdp_proto::crypto::kex::Group;
    use ikexdp_proto::crypto::keymat::MessageKeys;
    use ikexdp_proto::crypto::prf::Prf;
    use ikexdp_proto::suite::IkeSuite;
    use ikexdp_proto::types::{Spi, Spis};

    /// Keys of a length, all of whose octets are the same.
    fn keys(octet: u8, cipher: Cipher) -> EspKeys {
        let secret = |length| Secret::new(vec![octet; length]);
        EspKeys {
            encryption: secret(cipher.encryption().key_material()),
            integrity: secret(cipher.integrity_key_material()),
        }
    }

    fn line(encryption: Encryption, integrity: Option<Integrity>) -> Option<String> {
        let cipher = Cipher::new(encryption, integrity).unwrap();
        let exposed = ExposedKeys {
            spis: Spis {
                initiator: Spi(0x0102_0304_0506_0708),
                responder: Spi(0xa1),
            },
            suite: IkeSuite {
                cipher,
                prf: Prf::HmacSha2_256,
                group: Group::Curve25519,
            },
            keys: MessageKeys {
                from_initiator: keys(0xaa, cipher),
                from_responder: keys(0xbb, cipher),
            },
        };
        let line = ike(&exposed)?;
        assert_eq!(line.table, Table::Ike);
        assert!(
            !format!("{line:?}").contains("aaaa"),
            "it cannot be printed"
        );
        Some(line.text.expose().clone())
    }

    #[test]
    fn a_line_has_the_keys_of_both_sides() {
        let [a, b] = ["aa", "bb"];
        let expected = format!(
            "0102030405060708,00000000000000a1,{},{},\"AES-GCM-128 with 16 octet ICV [RFC5282]\",,,\"NONE [RFC4306]\"\n",
            a.repeat(20),
            b.repeat(20)
        );
        assert_eq!(line(Encryption::AesGcm16_128, None).unwrap(), expected);
        let expected = format!(
            "0102030405060708,00000000000000a1,{},{},\"AES-CBC-256 [RFC3602]\",{},{},\"HMAC_SHA2_384_192 [RFC4868]\"\n",
            a.repeat(32),
            b.repeat(32),
            a.repeat(48),
            b.repeat(48)
        );
        let integrity = Some(Integrity::HmacSha2_384_192);
        assert_eq!(line(Encryption::AesCbc256, integrity).unwrap(), expected);
        assert_eq!(line(Encryption::ChaCha20Poly1305, None), None);
    }
}
