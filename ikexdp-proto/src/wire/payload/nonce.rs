//! Nonce payload (RFC 7296 §3.9): 16 to 256 octets.

use crate::error::{Fault, Malformed};
use crate::wire::iana::PayloadType;
use crate::wire::writer::ChainWriter;

/// Octets of our own nonces: at least half the key of the PRF (RFC 7296 §2.10),
/// which for HMAC-SHA2-512 are 32.
pub const NONCE_LEN: usize = 32;

/// Reads the body.
///
/// # Errors
/// [`Fault::Length`] if it is shorter or longer than the RFC allows.
pub const fn decode(body: &[u8]) -> Result<&[u8], Malformed> {
    match body.len() {
        16..=256 => Ok(body),
        _ => Err(Malformed {
            field: "nonce",
            fault: Fault::Length,
        }),
    }
}

/// Appends the payload.
pub fn encode(chain: &mut ChainWriter, nonce: &[u8]) {
    chain.payload(PayloadType::NONCE, |body| body.bytes(nonce));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_has_16_to_256_octets() {
        for (length, taken) in [
            (0, false),
            (15, false),
            (16, true),
            (256, true),
            (257, false),
        ] {
            let nonce = alloc::vec![7; length];
            assert_eq!(decode(&nonce).is_ok(), taken, "{length}");
        }
    }
}
