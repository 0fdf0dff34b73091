//! A peer of EAP-MSCHAPv2, written from RFC 2759 and RFC 3079 alone.

use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use md4::{Digest, Md4};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::{Answer, MSCHAPV2, Method, NAK};

const PEER_CHALLENGE: [u8; 16] = [0x5a; 16];

/// A peer with a name and a password.
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) password: String,
    /// What it computes, once it knows that the other side has the password.
    pub(crate) msk: Option<Vec<u8>>,
    /// Who challenged it.
    pub(crate) server_name: Option<String>,
    /// The types that were proposed to it.
    pub(crate) proposed: Vec<u8>,
    proof: String,
    computed_msk: Vec<u8>,
}

impl Peer {
    pub(crate) fn new(name: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: password.to_owned(),
            msk: None,
            server_name: None,
            proposed: Vec::new(),
            proof: String::new(),
            computed_msk: Vec::new(),
        }
    }

    fn respond(&mut self, id: u8, challenge: &[u8]) -> Vec<u8> {
        let user = self.name.split('\\').next_back().unwrap();
        let hash = sha1(&[&PEER_CHALLENGE, challenge, user.as_bytes()]);
        let utf16: Vec<u8> = self
            .password
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let password_hash = Md4::digest(&utf16);
        let mut nt_response = Vec::new();
        for key in [&password_hash[..], &[0; 5]].concat().chunks(7) {
            let bits = key
                .iter()
                .fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
            let spread: [u8; 8] =
                std::array::from_fn(|n| u8::try_from(bits >> (49 - 7 * n) & 0x7f).unwrap() << 1);
            let mut block: [u8; 8] = hash[..8].try_into().unwrap();
            Des::new(&spread.into()).encrypt_block((&mut block).into());
            nt_response.extend(block);
        }
        let hash_hash = Md4::digest(password_hash);
        let magic: &[u8] = b"Magic server to client signing constant";
        let inner = sha1(&[&hash_hash, &nt_response, magic]);
        let magic: &[u8] = b"Pad to make it do more than one iteration";
        let proof = sha1(&[&inner, &hash[..8], magic]);
        let digits = proof.iter().map(|octet| format!("{octet:02X}"));
        self.proof = format!("S={}", digits.collect::<String>());
        let magic: &[u8] = b"This is the MPPE Master Key";
        let master_key = &sha1(&[&hash_hash, &nt_response, magic])[..16];
        let side = |first: &str, second: &str| {
            let magic = format!(
                "On the client side, this is the {first} key; \
                 on the server side, it is the {second} key."
            );
            sha1(&[master_key, &[0; 40], magic.as_bytes(), &[0xf2; 40]])[..16].to_vec()
        };
        self.computed_msk = [
            side("send", "receive"),
            side("receive", "send"),
            vec![0; 32],
        ]
        .concat();
        let value = [&PEER_CHALLENGE[..], &[0; 8], &nt_response, &[0]].concat();
        message(2, id, &[&[49][..], &value, self.name.as_bytes()].concat())
    }
}

impl Method for Peer {
    fn answer(&mut self, _: u8, kind: u8, data: &[u8]) -> Answer {
        self.proposed.push(kind);
        if kind != MSCHAPV2 {
            return (NAK, vec![MSCHAPV2]);
        }
        let (header, body) = data.split_at(4);
        assert_eq!(usize::from(header[3]), data.len(), "MS-Length");
        let answer = match header[0] {
            1 => {
                assert_eq!(body[0], 16, "Value-Size");
                self.server_name = Some(String::from_utf8(body[17..].to_vec()).unwrap());
                self.respond(header[1], &body[1..17])
            }
            3 => {
                let text = str::from_utf8(body).unwrap();
                let (proof, message) = text.split_once(' ').unwrap();
                assert_eq!(proof, self.proof);
                assert!(message.starts_with("M="), "{message}");
                self.msk = Some(self.computed_msk.clone());
                vec![3]
            }
            other => panic!("message {other}"),
        };
        (MSCHAPV2, answer)
    }
}

pub(crate) fn message(op_code: u8, id: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[op_code, id, len[0], len[1]], body].concat()
}

fn sha1(parts: &[&[u8]]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, &parts.concat())
        .as_ref()
        .to_vec()
}
