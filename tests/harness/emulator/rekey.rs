//! What a client that is connected does.

use chacha20::rand_core::Rng;
use ikexdp_proto::crypto::kex::KeyPair;
use ikexdp_proto::crypto::keymat::KeySeed;
use ikexdp_proto::message::child::Selectors;
use ikexdp_proto::message::create_child::{CreateChild, CreateChildReply};
use ikexdp_proto::message::informational::Informational;
use ikexdp_proto::types::{EspSpi, Role, Spi, Spis};
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType, TransformType};
use ikexdp_proto::wire::payload::ke::KeyExchange;
use ikexdp_proto::wire::payload::sa::Proposal;
use ring::rand::SystemRandom;

use super::connect::Emulator;
use super::line::{Line, Suite};
use super::offer::{everything, is_of, with_spi};
use crate::answer::{Answer, chain};

/// What the gateway agrees to.
struct Agreed {
    proposals: Vec<Proposal>,
    nonce: Vec<u8>,
    public: Option<Vec<u8>>,
    selectors: Option<Selectors>,
}

impl Emulator {
    /// Asks whether the gateway lives.
    pub fn liveness(&mut self) {
        let answer = self.inform(&Informational::default());
        assert_eq!(answer, [], "there is nothing to say");
    }

    /// Waits until the gateway asks something, and answers it.
    pub fn serve(&mut self) {
        let line = self.line.as_mut().expect("IKE_SA_INIT is over");
        self.talk.serve(line);
    }

    /// Replaces its CHILD SA and deletes the old one: all selectors again, whatever it got.
    ///
    /// # Errors
    /// What the gateway has against it.
    pub fn rekey_child(&mut self) -> Result<(), NotifyType> {
        let [old, old_theirs] = self.granted.spis;
        let spi = self.talk.random.next_u32() | 0x100;
        let key = self.profile.rekey.group.map(|group| {
            let key = group.generate(&SystemRandom::new());
            key.unwrap()
        });
        let nonce = self.nonce();
        let request = CreateChild {
            rekeyed: Some(EspSpi(old)),
            proposals: with_spi(&self.profile.rekey.esp, &spi.to_be_bytes()),
            nonce: &nonce,
            key_exchange: key.as_ref().map(value),
            selectors: Some(Selectors::new(everything(), everything())),
        };
        let agreed = self.create(&request)?;
        let has_group = transforms(&agreed.proposals, TransformType::KEY_EXCHANGE) > 0;
        assert_eq!(agreed.public.is_some(), has_group, "KE goes with its group");
        if let (Some(key), Some(public)) = (key, agreed.public) {
            key.agree(&public).unwrap();
        }
        let offered = &self.profile.rekey.esp;
        self.granted.take_child(spi, agreed.proposals, offered);
        assert_eq!(agreed.selectors.as_ref(), Some(&self.granted.selectors));
        let delete = Informational {
            delete_esp: vec![EspSpi(old)],
            ..Informational::default()
        };
        let answer = chain(&self.inform(&delete));
        let deleted = Informational::decode(answer.first, &answer.octets).unwrap();
        assert_eq!(deleted.delete_esp, [EspSpi(old_theirs)]);
        Ok(())
    }

    /// Replaces the IKE SA and deletes the old one.
    ///
    /// # Errors
    /// What the gateway has against it.
    pub fn rekey_ike(&mut self) -> Result<(), NotifyType> {
        let spi = self.talk.random.next_u64() | 1;
        let offered = if self.profile.rekey.keeps_number {
            self.chosen.iter().cloned().collect()
        } else {
            self.profile.client.proposals.clone()
        };
        let suite = self.line.as_ref().expect("IKE_SA_INIT is over").suite;
        let key = suite.group.generate(&SystemRandom::new()).unwrap();
        let nonce = self.nonce();
        let request = CreateChild {
            rekeyed: None,
            proposals: with_spi(&offered, &spi.to_be_bytes()),
            nonce: &nonce,
            key_exchange: Some(value(&key)),
            selectors: None,
        };
        let agreed = self.create(&request)?;
        let [chosen] = agreed.proposals.as_slice() else {
            panic!("one proposal, not {:?}", agreed.proposals);
        };
        assert!(is_of(offered.iter(), chosen), "{chosen:?} was not offered");
        let theirs = chosen.spi[..].try_into().expect("eight octets");
        let spis = Spis {
            initiator: Spi(spi),
            responder: Spi(u64::from_be_bytes(theirs)),
        };
        let shared_secret = key.agree(&agreed.public.expect("KEr")).unwrap();
        let seed = KeySeed {
            shared_secret: shared_secret.expose(),
            nonce_i: &nonce,
            nonce_r: &agreed.nonce,
            spis,
        };
        let suite = Suite::of(chosen);
        let mut old = self.line.take().expect("IKE_SA_INIT is over");
        let keys = old
            .keys
            .rekey(suite.prf, suite.cipher, Role::Initiator, &seed);
        let delete = Informational {
            delete_ike: true,
            ..Informational::default()
        };
        let exchange = ExchangeType::INFORMATIONAL;
        let answer = self.talk.exchange(&mut old, exchange, &delete.encode());
        assert_eq!(answer, [], "RFC 7296 §1.4.1");
        self.line = Some(Line::new(spis, keys.unwrap(), suite, 0));
        Ok(())
    }

    /// Takes leave: of the CHILD SA, then of the IKE SA.
    pub fn disconnect(mut self) {
        let [ours, theirs] = self.granted.spis;
        let child = Informational {
            delete_esp: vec![EspSpi(ours)],
            ..Informational::default()
        };
        let answer = chain(&self.inform(&child));
        let deleted = Informational::decode(answer.first, &answer.octets).unwrap();
        assert_eq!(deleted.delete_esp, [EspSpi(theirs)]);
        let ike = Informational {
            delete_ike: true,
            ..Informational::default()
        };
        assert_eq!(self.inform(&ike), []);
    }

    fn nonce(&mut self) -> Vec<u8> {
        let mut nonce = vec![0; self.profile.client.nonce_len];
        self.talk.random.fill_bytes(&mut nonce);
        nonce
    }

    fn inform(&mut self, message: &Informational) -> Answer {
        let line = self.line.as_mut().expect("IKE_SA_INIT is over");
        self.talk
            .exchange(line, ExchangeType::INFORMATIONAL, &message.encode())
    }

    fn create(&mut self, request: &CreateChild<'_>) -> Result<Agreed, NotifyType> {
        let line = self.line.as_mut().expect("IKE_SA_INIT is over");
        let exchange = ExchangeType::CREATE_CHILD_SA;
        let answer = chain(&self.talk.exchange(line, exchange, &request.encode()));
        match CreateChildReply::decode(answer.first, &answer.octets).unwrap() {
            CreateChildReply::Accepted(accepted) => Ok(Agreed {
                proposals: accepted.proposals.clone(),
                nonce: accepted.nonce.to_vec(),
                public: accepted.key_exchange.map(|key| key.data.to_vec()),
                selectors: accepted.selectors.clone(),
            }),
            CreateChildReply::InvalidKe(_) => Err(NotifyType::INVALID_KE_PAYLOAD),
            CreateChildReply::Refused(reason) => Err(reason),
            CreateChildReply::RefusedByWindows(_) => Err(NotifyType::MS_STATUS),
        }
    }
}

fn value(key: &KeyPair) -> KeyExchange<'_> {
    KeyExchange {
        group: key.group().id(),
        data: key.public(),
    }
}

/// How many transforms of this type there are.
fn transforms(proposals: &[Proposal], kind: TransformType) -> usize {
    let all = proposals.iter().flat_map(|proposal| &proposal.transforms);
    all.filter(|transform| transform.kind == kind).count()
}
