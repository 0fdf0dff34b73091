//! Which certificate a peer gets to see, and how it may sign itself.

use std::sync::Arc;

use harness::parties::{Parties, Proof, selector};
use harness::pki::{CLIENT, Chain, GATEWAY, Key, Pki};
use harness::script::{Answer, KEY, Script};
use ikexdp_proto::config::{Config, Credential, RemoteSelectors, Requirement};
use ikexdp_proto::crypto::cert::{AuthorityHash, CertifiedKey, TrustAnchors};
use ikexdp_proto::crypto::scheme::SignatureScheme;
use ikexdp_proto::crypto::shared_key::SharedKey;
use ikexdp_proto::crypto::sign::SigningKey;
use ikexdp_proto::event::{Event, FailureReason};
use ikexdp_proto::identity::Identity;
use ikexdp_proto::message::auth::{AuthMessage, OwnAuthentication};
use ikexdp_proto::wire::iana::{
    AuthMethod, ConfigurationAttribute, ConfigurationType, ExchangeType, HashAlgorithm, PayloadType,
};
use ikexdp_proto::wire::payload::configuration::{Attribute, Configuration};
use ikexdp_proto::wire::payload::id;
use ring::rand::SystemRandom;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn signing_key(pem: &str) -> SigningKey {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    SigningKey::from_der(&key).unwrap()
}

/// The gateway's certificate of this lab, with the root behind it.
fn certified(pki: &Pki) -> Arc<CertifiedKey> {
    certified_as(pki, &pki.gateway)
}

fn certified_as(pki: &Pki, own: &Chain) -> Arc<CertifiedKey> {
    let chain = [&own.leaf, &own.intermediate, &pki.root].map(|pem| certificate(pem));
    Arc::new(CertifiedKey::new(chain.to_vec(), signing_key(&own.key)).unwrap())
}

/// A gateway with a shared key for the client, and certificates of its own.
fn config(keys: Vec<Arc<CertifiedKey>>) -> Config {
    let mut parties = Parties::new(Proof::SharedKey);
    parties.change_gateway(|connection| {
        connection.local_identity = GATEWAY.parse().unwrap();
        connection.credential = Credential::Certificates(keys);
        connection.requirement = Requirement::SharedKey(SharedKey::new(KEY));
        let remote = selector("192.0.2.0-192.0.2.255");
        connection.child.remote = RemoteSelectors::Fixed(vec![remote]);
    });
    // What is shown is easier to look at in one piece.
    parties.gateway.fragmentation.enabled = false;
    parties.gateway
}

/// What a client lets on about itself.
#[derive(Clone, Default)]
struct Client {
    hashes: Vec<HashAlgorithm>,
    is_windows: bool,
    /// IDr.
    wanted: Option<Identity>,
    /// CERTREQ.
    authorities: Vec<AuthorityHash>,
    /// Whether it asks for domains.
    domains: bool,
    /// In IKE_SA_INIT.
    proposals: u8,
}

impl Client {
    fn connect(self, config: Config) -> (Script, Answer) {
        let mut script = Script::new(config);
        script.identity = CLIENT.parse().unwrap();
        script.signature_hashes = self.hashes;
        script.is_windows = self.is_windows;
        script.init_as(|request| {
            for number in 2..=self.proposals {
                let mut another = request.proposals[0].clone();
                another.number = number;
                request.proposals.push(another);
            }
        });
        let identity = id::body(&script.identity);
        let wanted = self.wanted.as_ref().map(id::body);
        let attribute = Attribute {
            kind: ConfigurationAttribute::INTERNAL_DNS_DOMAIN,
            value: Vec::new().into(),
        };
        let payloads = AuthMessage {
            identity: Some((PayloadType::ID_INITIATOR, &identity)),
            certificates: &[],
            authorities: &self.authorities,
            wanted: wanted.as_deref(),
            authentication: Some(OwnAuthentication::SharedKey(&script.mic(KEY))),
            configuration: self.domains.then(|| Configuration {
                kind: ConfigurationType::REQUEST,
                attributes: vec![attribute],
            }),
            child: Ok(None),
            notifies: &[],
        }
        .encode();
        let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
        (script, answer)
    }
}

fn body(answer: &Answer, kind: PayloadType) -> &[u8] {
    let found = answer.iter().find(|(it, _)| *it == kind);
    &found.unwrap_or_else(|| panic!("{kind}")).1
}

/// The method by which the gateway signed, and the place in `keys` of what it showed.
fn shown(answer: &Answer, keys: &[Arc<CertifiedKey>]) -> (AuthMethod, usize) {
    let method = AuthMethod(body(answer, PayloadType::AUTHENTICATION)[0]);
    let leaf = &body(answer, PayloadType::CERTIFICATE)[1..];
    let place = keys.iter().position(|key| &*key.chain()[0] == leaf);
    (method, place.expect("one of ours"))
}

const HASHES: [HashAlgorithm; 3] = [
    HashAlgorithm::SHA2_256,
    HashAlgorithm::SHA2_384,
    HashAlgorithm::SHA2_512,
];

/// One for ECDSA and one for RSA, as a fleet needs them.
#[test]
fn each_client_sees_the_certificate_that_it_can_verify() {
    let [ecdsa, rsa] = [Key::EcdsaP256, Key::Rsa2048].map(|key| certified(&Pki::new(key)));
    let linux = Client {
        hashes: HASHES.to_vec(),
        ..Client::default()
    };
    let windows = Client {
        is_windows: true,
        wanted: Some(GATEWAY.parse().unwrap()),
        proposals: 3,
        domains: true,
        ..Client::default()
    };
    // An iPhone with a profile has one proposal.
    let profile = Client {
        wanted: Some(GATEWAY.parse().unwrap()),
        domains: true,
        proposals: 1,
        ..Client::default()
    };
    let by_hand = Client {
        proposals: 5,
        ..profile.clone()
    };
    // It says what it trusts, so it is none.
    let asking = Client {
        authorities: vec![[0x5a; 20]],
        ..by_hand.clone()
    };
    let trusting = |key: &CertifiedKey, others: usize| Client {
        authorities: [vec![[0x5a; 20]; others], vec![key.authorities()[1]]].concat(),
        ..linux.clone()
    };
    let unknown = Client {
        authorities: vec![[0x5a; 20]],
        ..linux.clone()
    };
    let (ours, theirs) = (&[&ecdsa, &rsa], &[&rsa, &ecdsa]);
    let (digital, sha1) = (AuthMethod::DIGITAL_SIGNATURE, AuthMethod::RSA_SHA1);
    let p256 = AuthMethod::ECDSA_256;
    for (name, client, keys, rsa_sha1, expected) in [
        ("the first", &linux, ours, false, (digital, 0)),
        ("the first", &linux, theirs, false, (digital, 0)),
        ("Windows", &windows, ours, true, (p256, 0)),
        ("Windows without SHA-1", &windows, theirs, false, (p256, 1)),
        ("Windows with SHA-1", &windows, theirs, true, (sha1, 0)),
        ("a profile", &profile, ours, true, (p256, 0)),
        ("by hand", &by_hand, ours, true, (sha1, 1)),
        ("by hand, without SHA-1", &by_hand, ours, false, (p256, 0)),
        ("by hand with CERTREQ", &asking, ours, true, (p256, 0)),
        ("CERTREQ", &trusting(&rsa, 0), ours, false, (digital, 1)),
        ("53 of them", &trusting(&rsa, 52), ours, false, (digital, 1)),
        ("CERTREQ", &trusting(&ecdsa, 0), ours, false, (digital, 0)),
        ("an unknown one", &unknown, ours, false, (digital, 0)),
    ] {
        let keys: Vec<_> = keys.iter().map(|key| Arc::clone(key)).collect();
        let mut config = config(keys.clone());
        config.ike.rsa_sha1 = rsa_sha1;
        let (_, answer) = client.clone().connect(config);
        assert_eq!(shown(&answer, &keys), expected, "{name}");
    }
}

/// Apple's clients and Android always say whom they want, and take nobody else.
#[test]
fn a_peer_that_wants_another_name_of_ours_gets_it() {
    let keys = vec![certified(&Pki::new(Key::EcdsaP256))];
    let linux = |wanted: &str| Client {
        hashes: HASHES.to_vec(),
        wanted: Some(wanted.parse().unwrap()),
        ..Client::default()
    };
    let address = harness::lab::V4.gateway.to_string();
    for wanted in [GATEWAY, &address] {
        let (script, answer) = linux(wanted).connect(config(keys.clone()));
        let identity: Identity = wanted.parse().unwrap();
        let said = body(&answer, PayloadType::ID_RESPONDER);
        assert_eq!(said, id::body(&identity), "{wanted}");
        assert_eq!(script.endpoint.established(), 1);
    }
    // Of two certificates it sees the one that asserts it.
    let pki = Pki::new(Key::EcdsaP256);
    let two = vec![certified(&pki), certified_as(&pki, &pki.client)];
    for (wanted, expected) in [(GATEWAY, 0), (CLIENT, 1)] {
        let (_, answer) = linux(wanted).connect(config(two.clone()));
        let digital = AuthMethod::DIGITAL_SIGNATURE;
        assert_eq!(shown(&answer, &two), (digital, expected), "{wanted}");
    }
    // A connection that is called so goes before one that could be.
    let mut two = config(keys.clone());
    let mut named = (*two.connections[0]).clone();
    named.name = "named".to_owned();
    named.local_identity = address.parse().unwrap();
    two.connections.push(Arc::new(named));
    let (script, _) = linux(&address).connect(two);
    let sa = script.endpoint.summaries(None).next().unwrap();
    assert_eq!(sa.connection.as_deref(), Some("named"));

    let (script, answer) = linux("other.lab.test").connect(config(keys));
    assert_eq!(answer.len(), 1, "{answer:?}");
    assert!(failed(&script, |reason| matches!(
        reason,
        FailureReason::NoConnection { wanted: Some(_) }
    )));
}

fn failed(script: &Script, reason: impl Fn(&FailureReason) -> bool) -> bool {
    script
        .events
        .iter()
        .any(|event| matches!(event, Event::HandshakeFailed(failure) if reason(&failure.reason)))
}

#[test]
fn a_peer_that_can_verify_nothing_of_ours_is_refused() {
    let keys = vec![certified(&Pki::new(Key::Rsa2048))];
    let (script, answer) = Client::default().connect(config(keys));
    assert_eq!(answer.len(), 1, "{answer:?}");
    assert!(failed(&script, |reason| *reason == FailureReason::NoSignatureHash));
}

/// Windows has no other way to use an RSA key.
#[test]
fn rsa_with_sha1_is_taken_only_where_it_is_allowed() {
    let pki = Pki::new(Key::Rsa2048);
    for allowed in [false, true] {
        let mut config = config(vec![certified(&pki)]);
        config.ike.rsa_sha1 = allowed;
        let connection = Arc::make_mut(&mut config.connections[0]);
        let anchors = TrustAnchors::new(&[certificate(&pki.root)]).unwrap();
        connection.requirement = Requirement::Certificate(Arc::new(anchors));
        let mut script = Script::new(config);
        script.identity = CLIENT.parse().unwrap();
        script.is_windows = true;
        script.init();
        let signature = signing_key(&pki.client.key)
            .sign(
                SignatureScheme::RsaSha1,
                &script.octets(),
                &SystemRandom::new(),
            )
            .unwrap();
        let chain = [&pki.client.leaf, &pki.client.intermediate].map(|pem| certificate(pem));
        let payloads = AuthMessage {
            identity: Some((PayloadType::ID_INITIATOR, &id::body(&script.identity))),
            certificates: &chain,
            authorities: &[],
            wanted: None,
            authentication: Some(OwnAuthentication::Signature {
                method: AuthMethod::RSA_SHA1,
                identifier: &[],
                signature: &signature,
            }),
            configuration: None,
            child: Ok(None),
            notifies: &[],
        }
        .encode();
        let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
        assert_eq!(script.endpoint.established(), usize::from(allowed));
        if allowed {
            assert_eq!(
                body(&answer, PayloadType::AUTHENTICATION)[0],
                AuthMethod::RSA_SHA1.0
            );
        } else {
            let method = FailureReason::AuthMethod(AuthMethod::RSA_SHA1);
            assert!(failed(&script, |reason| *reason == method));
        }
    }
}
