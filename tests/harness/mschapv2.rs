//! A client of EAP-MSCHAPv2 (RFC 2759, and RFC 3079 for its keys), as little as it takes.

use des::{
    Des,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use md4::{Digest, Md4};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// The type of EAP-MSCHAPv2.
const TYPE: u8 = 26;

const CHALLENGE: u8 = 1;
const RESPONSE: u8 = 2;
const SUCCESS: u8 = 3;

/// What the peer always asks: nobody plays these packets back.
const PEER_CHALLENGE: [u8; 16] = [0x5a; 16];

/// A user who knows the password.
pub struct Client<'a> {
    /// The name that goes with it.
    pub name: &'a str,
    /// The password.
    pub password: &'a str,
}

impl Client<'_> {
    /// The response to EAP's first request.
    #[must_use]
    pub fn identity(&self) -> Vec<u8> {
        eap(0, 1, self.name.as_bytes())
    }

    /// The response to a Challenge, and the MSK if the server takes it.
    #[must_use]
    pub fn answer(&self, request: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let [
            1,
            identifier,
            _,
            _,
            TYPE,
            CHALLENGE,
            number,
            _,
            _,
            16,
            rest @ ..,
        ] = request
        else {
            panic!("not a Challenge: {request:02x?}");
        };
        let challenge = &rest[..16];
        let hash = self.password_hash();
        let proof = self.proof(&hash, challenge);
        let mut value = vec![49];
        value.extend(PEER_CHALLENGE);
        value.extend([0; 8]);
        value.extend(&proof);
        value.push(0);
        value.extend(self.name.as_bytes());
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut data = vec![RESPONSE, *number];
        data.extend(length.to_be_bytes());
        data.extend(value);
        (eap(*identifier, TYPE, &data), msk(&hash, &proof))
    }

    /// The response to a Success.
    #[must_use]
    pub fn acknowledge(request: &[u8]) -> Vec<u8> {
        let [1, identifier, _, _, TYPE, SUCCESS, ..] = request else {
            panic!("not a Success: {request:02x?}");
        };
        eap(*identifier, TYPE, &[SUCCESS])
    }

    fn password_hash(&self) -> [u8; 16] {
        let unicode: Vec<u8> = self
            .password
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        Md4::digest(unicode).into()
    }

    /// NT-Response (RFC 2759 §8.1).
    fn proof(&self, hash: &[u8; 16], challenge: &[u8]) -> Vec<u8> {
        let question = sha1(&[&PEER_CHALLENGE, challenge, self.name.as_bytes()]);
        let mut keys = hash.to_vec();
        keys.resize(21, 0);
        let parts = keys.chunks(7).flat_map(|key| {
            let mut block: [u8; 8] = question[..8].try_into().unwrap();
            Des::new((&with_parity(key)).into()).encrypt_block((&mut block).into());
            block
        });
        parts.collect()
    }
}

/// Seven bits of `key` an octet, as DES takes them.
fn with_parity(key: &[u8]) -> [u8; 8] {
    let bits = key
        .iter()
        .fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
    std::array::from_fn(|place| ((bits >> (49 - 7 * place)) << 1) as u8)
}

/// RFC 3079 §3.3, and zeros behind it.
fn msk(hash: &[u8; 16], proof: &[u8]) -> Vec<u8> {
    let hash_of_hash: [u8; 16] = Md4::digest(hash).into();
    let master = sha1(&[&hash_of_hash, proof, b"This is the MPPE Master Key"]);
    let start_key = |magic: &[u8]| {
        let key = sha1(&[&master[..16], &[0; 40], magic, &[0xf2; 40]]);
        key[..16].to_vec()
    };
    let from_client =
        b"On the client side, this is the send key; on the server side, it is the receive key.";
    let to_client =
        b"On the client side, this is the receive key; on the server side, it is the send key.";
    [start_key(from_client), start_key(to_client), vec![0; 32]].concat()
}

fn sha1(parts: &[&[u8]]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, &parts.concat())
        .as_ref()
        .to_vec()
}

/// A response.
fn eap(identifier: u8, kind: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(5 + data.len()).unwrap();
    let mut packet = vec![2, identifier];
    packet.extend(length.to_be_bytes());
    packet.push(kind);
    packet.extend(data);
    packet
}
