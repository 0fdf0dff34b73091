//! Random texts.

use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// What can be told apart, and typed on a telephone: 32 characters.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Groups of four characters.
const GROUPS: usize = 5;

/// Random octets.
///
/// # Errors
/// The system has none.
pub fn random<const N: usize>() -> Result<[u8; N], Unspecified> {
    let mut octets = [0; N];
    SystemRandom::new().fill(&mut octets)?;
    Ok(octets)
}

/// A password of 100 bits: nobody guesses it, however weak the cipher is that it
/// is for.
///
/// # Errors
/// The system has no randomness.
pub fn password() -> Result<Zeroizing<String>, Unspecified> {
    let draws: Zeroizing<[[u8; 4]; GROUPS]> =
        Zeroizing::new([random()?, random()?, random()?, random()?, random()?]);
    let mut password = Zeroizing::new(String::with_capacity(GROUPS.saturating_mul(5)));
    for group in draws.iter() {
        if !password.is_empty() {
            password.push('-');
        }
        for draw in group {
            let place = usize::from(draw & 31);
            password.extend(ALPHABET.get(place).map(|octet| char::from(*octet)));
        }
    }
    Ok(password)
}

/// A random UUID (RFC 9562 §5.4).
///
/// # Errors
/// The system has no randomness.
pub fn uuid() -> Result<String, Unspecified> {
    const VERSION: u128 = 0x4000 << 64;
    const VERSION_MASK: u128 = 0xf000 << 64;
    const VARIANT: u128 = 0b10 << 62;
    const VARIANT_MASK: u128 = 0b11 << 62;
    let value = u128::from_be_bytes(random()?);
    let value = value & !VERSION_MASK & !VARIANT_MASK | VERSION | VARIANT;
    let digits = format!("{value:032x}");
    let part = |range| digits.get(range).unwrap_or_default();
    let parts = [
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32),
    ];
    Ok(parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_typed_with_ease() {
        let [one, other] = [password().unwrap(), password().unwrap()];
        assert_ne!(one, other);
        assert_eq!(one.len(), 24);
        let groups: Vec<_> = one.split('-').collect();
        assert_eq!(groups.len(), GROUPS);
        for group in groups {
            assert!(
                group.bytes().all(|octet| ALPHABET.contains(&octet)),
                "{group}"
            );
        }
    }

    #[test]
    fn a_uuid_says_that_it_is_random() {
        let one = uuid().unwrap();
        let lengths: Vec<_> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&one.as_bytes()[19]), "{one}");
        assert_ne!(one, uuid().unwrap());
    }
}
