//! The algorithms of ESP by the names that the kernel has for them.

use std::net::IpAddr;

use ikexdp_proto::crypto::cipher::{Cipher, Encryption, Integrity};
use ikexdp_proto::crypto::keymat::EspKeys;
use netlink_packet_xfrm::{Alg, AlgAead, AlgAuth, XfrmAttrs};

/// The attributes that tell the kernel `cipher` and its keys.
///
/// The key of an AEAD has its salt behind it (RFC 4106 §4, RFC 7634 §2), which is
/// how IKE derives it.
pub(super) fn attributes(cipher: Cipher, keys: &EspKeys) -> Vec<XfrmAttrs> {
    let key = keys.encryption.expose();
    let alg_name = name(encryption(cipher.encryption()));
    let Some(algorithm) = cipher.integrity() else {
        return vec![XfrmAttrs::EncryptionAlgAead(AlgAead {
            alg_name,
            alg_key_len: bits(key.len()),
            alg_icv_len: bits(cipher.icv()),
            alg_key: key.clone(),
        })];
    };
    let encryption = Alg {
        alg_name,
        alg_key_len: bits(key.len()),
        alg_key: key.clone(),
    };
    let key = keys.integrity.expose();
    // Not what the kernel would cut to by itself, which for SHA2-256 is 96 bits.
    let integrity = AlgAuth {
        alg_name: name(integrity(algorithm)),
        alg_key_len: bits(key.len()),
        alg_trunc_len: bits(cipher.icv()),
        alg_key: key.clone(),
    };
    vec![
        XfrmAttrs::EncryptionAlg(encryption),
        XfrmAttrs::AuthenticationAlgTrunc(integrity),
    ]
}

/// The modules of the kernel that ESP of `cipher` takes between such addresses.
pub(super) fn modules(cipher: Cipher, address: IpAddr) -> String {
    let esp = if address.is_ipv4() { "esp4" } else { "esp6" };
    let cipher = match cipher.encryption() {
        Encryption::AesGcm16_128 | Encryption::AesGcm16_256 => "aes, gcm and seqiv",
        Encryption::ChaCha20Poly1305 => "chacha20poly1305 and seqiv",
        Encryption::AesCbc128 | Encryption::AesCbc256 => {
            "aes, cbc, hmac, sha1_generic, sha256_generic, sha512_generic, authenc and echainiv"
        }
    };
    format!("{esp}, {cipher}")
}

const fn encryption(algorithm: Encryption) -> &'static str {
    match algorithm {
        Encryption::AesGcm16_128 | Encryption::AesGcm16_256 => "rfc4106(gcm(aes))",
        Encryption::ChaCha20Poly1305 => "rfc7539esp(chacha20,poly1305)",
        Encryption::AesCbc128 | Encryption::AesCbc256 => "cbc(aes)",
    }
}

const fn integrity(algorithm: Integrity) -> &'static str {
    match algorithm {
        Integrity::HmacSha2_256_128 => "hmac(sha256)",
        Integrity::HmacSha2_384_192 => "hmac(sha384)",
        Integrity::HmacSha2_512_256 => "hmac(sha512)",
        Integrity::HmacSha1_96 => "hmac(sha1)",
    }
}

/// A name with the zeros that fill its field.
fn name(name: &str) -> [u8; 64] {
    let mut field = [0; 64];
    for (octet, value) in field.iter_mut().zip(name.bytes()) {
        *octet = value;
    }
    field
}

fn bits(octets: usize) -> u32 {
    u32::try_from(octets.saturating_mul(8)).unwrap_or(u32::MAX)
}
