//! What MSCHAPv2 computes (RFC 2759 §8), and the keys that come of it
//! (RFC 3079 §3.4).

use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use ikexdp_proto::types::Secret;
use md4::{Digest, Md4};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use zeroize::{Zeroize, Zeroizing};

/// A challenge of either side.
pub(crate) type Challenge = [u8; 16];

/// What proves that the peer knows the password.
pub(crate) type NtResponse = [u8; 24];

/// The MD4 of a password: all there is to know to be its owner.
#[derive(Clone, Debug)]
pub struct NtHash(Secret<[u8; 16]>);

impl NtHash {
    /// The hash of `password` (RFC 2759 §8.3).
    #[must_use]
    pub fn of(password: &str) -> Self {
        let mut hasher = Md4::new();
        for unit in password.encode_utf16() {
            hasher.update(Zeroizing::new(unit.to_le_bytes()));
        }
        Self::new(hasher.finalize().into())
    }

    pub(crate) const fn new(octets: [u8; 16]) -> Self {
        Self(Secret::new(octets))
    }

    pub(crate) const fn octets(&self) -> &[u8; 16] {
        self.0.expose()
    }

    /// RFC 2759 §8.4.
    fn hash(&self) -> Zeroizing<[u8; 16]> {
        Zeroizing::new(Md4::digest(self.octets()).into())
    }
}

/// What both sides have said; all else is computed from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) authenticator_challenge: &'a Challenge,
    pub(crate) peer_challenge: &'a Challenge,
    /// The user, without a domain.
    pub(crate) user: &'a str,
}

impl Exchange<'_> {
    /// RFC 2759 §8.2.
    fn challenge(&self) -> [u8; 8] {
        let user = self.user.as_bytes();
        let digest = sha1(&[self.peer_challenge, self.authenticator_challenge, user]);
        first(&*digest)
    }

    /// What a peer with that password answers (RFC 2759 §8.5).
    pub(crate) fn nt_response(&self, hash: &NtHash) -> NtResponse {
        let mut keys = Zeroizing::new([0; 21]);
        for (place, octet) in keys.iter_mut().zip(hash.octets()) {
            *place = *octet;
        }
        let (keys, _) = keys.as_chunks::<7>();
        let mut response = NtResponse::default();
        for (block, key) in response.as_chunks_mut::<8>().0.iter_mut().zip(keys) {
            let mut key = with_parity(*key);
            *block = self.challenge();
            Des::new(&key.into()).encrypt_block(block.into());
            key.zeroize();
        }
        response
    }

    /// What proves to the peer that we know the password as well (RFC 2759 §8.7).
    pub(crate) fn authenticator_response(&self, hash: &NtHash, response: &NtResponse) -> [u8; 20] {
        const MAGIC_1: &[u8] = b"Magic server to client signing constant";
        const MAGIC_2: &[u8] = b"Pad to make it do more than one iteration";
        let digest = sha1(&[&*hash.hash(), response, MAGIC_1]);
        *sha1(&[&*digest, &self.challenge(), MAGIC_2])
    }
}

/// The master session key: what the peer sends with, what it receives with, and
/// zeros. RFC 3079 calls the first of them our MasterReceiveKey.
pub(crate) fn master_session_key(hash: &NtHash, response: &NtResponse) -> Secret<Vec<u8>> {
    let master_key = master_key(hash, response);
    let peer_sends = start_key(&master_key, Direction::ToAuthenticator);
    let peer_receives = start_key(&master_key, Direction::ToPeer);
    Secret::new([&peer_sends[..], &peer_receives[..], &[0; 32]].concat())
}

fn master_key(hash: &NtHash, response: &NtResponse) -> Zeroizing<[u8; 16]> {
    const MAGIC: &[u8] = b"This is the MPPE Master Key";
    Zeroizing::new(first(&*sha1(&[&*hash.hash(), response, MAGIC])))
}

/// Who encrypts with a key.
#[derive(Clone, Copy, Debug)]
enum Direction {
    ToAuthenticator,
    ToPeer,
}

/// RFC 3079 §3.4, GetAsymmetricStartKey with 128 bits.
fn start_key(master_key: &[u8; 16], direction: Direction) -> Zeroizing<[u8; 16]> {
    const MAGIC_2: &[u8] = b"On the client side, this is the send key; \
        on the server side, it is the receive key.";
    const MAGIC_3: &[u8] = b"On the client side, this is the receive key; \
        on the server side, it is the send key.";
    let magic = match direction {
        Direction::ToAuthenticator => MAGIC_2,
        Direction::ToPeer => MAGIC_3,
    };
    let digest = sha1(&[master_key, &[0; 40], magic, &[0xf2; 40]]);
    Zeroizing::new(first(&*digest))
}

fn sha1(parts: &[&[u8]]) -> Zeroizing<[u8; 20]> {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for part in parts {
        context.update(part);
    }
    Zeroizing::new(first(context.finish().as_ref()))
}

/// The first octets of a digest, which has more of them.
fn first<const N: usize>(octets: &[u8]) -> [u8; N] {
    octets.first_chunk().copied().unwrap_or([0; N])
}

/// Spreads 56 bits over eight octets. The lowest bit of each is for parity,
/// which nobody looks at (RFC 2759 §8.6).
fn with_parity(key: [u8; 7]) -> [u8; 8] {
    let [a, b, c, d, e, f, g] = key;
    [
        a,
        a << 7 | b >> 1,
        b << 6 | c >> 2,
        c << 5 | d >> 3,
        d << 4 | e >> 4,
        e << 3 | f >> 5,
        f << 2 | g >> 6,
        g << 1,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const EXCHANGE: Exchange<'_> = Exchange {
        authenticator_challenge: &hex!("5B5D7C7D7B3F2F3E3C2C602132262628"),
        peer_challenge: &hex!("21402324255E262A28295F2B3A337C7E"),
        user: "User",
    };

    const RESPONSE: NtResponse = hex!("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF");

    fn hash() -> NtHash {
        NtHash::of("clientPass")
    }

    /// RFC 2759 §9.2.
    #[test]
    fn responses_are_those_of_rfc_2759() {
        assert_eq!(EXCHANGE.challenge(), hex!("D02E4386BCE91226"));
        assert_eq!(*hash().octets(), hex!("44EBBA8D5312B8D611474411F56989AE"));
        assert_eq!(*hash().hash(), hex!("41C00C584BD2D91C4017A2A12FA59F3F"));
        assert_eq!(EXCHANGE.nt_response(&hash()), RESPONSE);
        assert_eq!(
            EXCHANGE.authenticator_response(&hash(), &RESPONSE),
            hex!("407A5589115FD0D6209F510FE9C04566932CDA56")
        );
    }

    /// RFC 3079 §3.5.3, which has the key that the authenticator sends with.
    #[test]
    fn keys_are_those_of_rfc_3079() {
        let master_key = master_key(&hash(), &RESPONSE);
        assert_eq!(*master_key, hex!("FDECE3717A8C838CB388E527AE3CDD31"));
        let send_key = start_key(&master_key, Direction::ToPeer);
        assert_eq!(*send_key, hex!("8B7CDC149B993A1BA118CB153F56DCCB"));
    }

    /// hostapd and strongSwan put the key first that the peer sends with.
    #[test]
    fn the_session_key_begins_with_what_the_peer_sends_with() {
        let master_key = master_key(&hash(), &RESPONSE);
        let msk = master_session_key(&hash(), &RESPONSE);
        let (first, rest) = msk.expose().split_at(16);
        assert_eq!(first, *start_key(&master_key, Direction::ToAuthenticator));
        let (second, padding) = rest.split_at(16);
        assert_eq!(second, hex!("8B7CDC149B993A1BA118CB153F56DCCB"));
        assert_eq!(padding, [0; 32]);
    }

    /// A password is text of any language, in UTF-16.
    #[test]
    fn a_password_may_be_of_any_language() {
        let octets = |password| *NtHash::of(password).octets();
        assert_eq!(octets("password"), hex!("8846F7EAEE8FB117AD06BDD830B7586C"));
        assert_eq!(octets(""), hex!("31D6CFE0D16AE931B73C59D7E0C089C0"));
        assert_ne!(octets("пароль"), octets("пароля"));
    }
}
