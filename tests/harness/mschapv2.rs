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

    /// The response to a Challenge, and what comes of it.
    #[must_use]
    pub fn answer(&self, request: &[u8]) -> Answer {
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
        let question = self.question(challenge);
        let proof = proof(&hash, &question);
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
        Answer {
            response: eap(*identifier, TYPE, &data),
            msk: msk(&hash, &proof),
            expected: proof_of_server(&hash, &proof, &question),
        }
    }

    fn password_hash(&self) -> [u8; 16] {
        let unicode: Vec<u8> = self
            .password
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        Md4::digest(unicode).into()
    }

    /// ChallengeHash (RFC 2759 §8.2), of the name without the domain of Windows.
    fn question(&self, challenge: &[u8]) -> Vec<u8> {
        let user = self.name.rsplit('\\').next().unwrap();
        let mut hash = sha1(&[&PEER_CHALLENGE, challenge, user.as_bytes()]);
        hash.truncate(8);
        hash
    }
}

/// What has been answered to a Challenge.
#[derive(Debug, Default)]
pub struct Answer {
    /// The response.
    pub response: Vec<u8>,
    /// The key, if the server takes it.
    pub msk: Vec<u8>,
    /// What a server says that knows the password.
    expected: String,
}

impl Answer {
    /// The response to a Success, from somebody who knows the password.
    #[must_use]
    pub fn acknowledge(&self, request: &[u8]) -> Vec<u8> {
        let [1, identifier, _, _, TYPE, SUCCESS, _, _, _, said @ ..] = request else {
            panic!("not a Success: {request:02x?}");
        };
        let said = String::from_utf8_lossy(said);
        assert!(said.starts_with(&self.expected), "{said}");
        eap(*identifier, TYPE, &[SUCCESS])
    }
}

/// NT-Response (RFC 2759 §8.1).
fn proof(hash: &[u8; 16], question: &[u8]) -> Vec<u8> {
    let mut keys = hash.to_vec();
    keys.resize(21, 0);
    let parts = keys.chunks(7).flat_map(|key| {
        let mut block: [u8; 8] = question.try_into().unwrap();
        Des::new((&with_parity(key)).into()).encrypt_block((&mut block).into());
        block
    });
    parts.collect()
}

/// Authenticator Response (RFC 2759 §8.7).
fn proof_of_server(hash: &[u8; 16], proof: &[u8], question: &[u8]) -> String {
    let hash_of_hash: [u8; 16] = Md4::digest(hash).into();
    let magic = b"Magic server to client signing constant";
    let inner = sha1(&[&hash_of_hash, proof, magic]);
    let magic = b"Pad to make it do more than one iteration";
    let outer = sha1(&[&inner, question, magic]);
    let digits: String = outer.iter().map(|octet| format!("{octet:02X}")).collect();
    format!("S={digits}")
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
