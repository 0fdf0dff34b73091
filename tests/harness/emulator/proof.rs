//! Who proves what to whom, and how.

use ikexdp_proto::crypto::cert::{Credentials, NoMemory, NoStatusSource, TrustAnchors, Usage};
use ikexdp_proto::crypto::shared_key::SharedKey;
use ikexdp_proto::crypto::sign::{SigningKey, Verifier};
use ikexdp_proto::identity::Identity;
use ikexdp_proto::types::Role;
use ikexdp_proto::wire::iana::{AuthMethod, HashAlgorithm, PayloadType};
use ikexdp_proto::wire::payload::auth::{self, Authentication};
use ikexdp_proto::wire::payload::cert::CertificatePayload;
use ikexdp_proto::wire::payload::id;
use ikexdp_proto::wire::payload::id::Identification;
use ikexdp_proto::wire::writer::ChainWriter;
use ring::rand::SystemRandom;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use super::line::Line;
use super::profile::Signature;
use super::reading::{all, find};
use crate::answer::Answer;
use crate::pki::Chain;

/// Who uses a client.
#[derive(Clone, Debug)]
pub struct User {
    /// IDi.
    pub identity: Identity,
    /// How it proves that.
    pub proof: Proof,
    /// Whom it wants to reach.
    pub gateway: Identity,
    /// The authorities that it trusts, in PEM.
    pub root: String,
}

/// How a client proves who its user is.
#[derive(Clone, Debug)]
pub enum Proof {
    /// By a secret that both know.
    SharedKey(String),
    /// By a certificate.
    Certificate(Chain),
    /// By EAP-MSCHAPv2.
    Password {
        /// The name that the password goes with.
        name: String,
        /// The password.
        password: String,
    },
}

impl User {
    /// The certificates to send.
    pub(crate) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        match &self.proof {
            Proof::Certificate(chain) => certificates(&(chain.leaf.clone() + &chain.intermediate)),
            Proof::SharedKey(_) | Proof::Password { .. } => Vec::new(),
        }
    }

    /// The authorities that it trusts.
    pub(crate) fn trusted(&self) -> TrustAnchors {
        TrustAnchors::new(&certificates(&self.root)).unwrap()
    }
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let all = CertificateDer::pem_slice_iter(pem.as_bytes());
    all.collect::<Result<_, _>>().unwrap()
}

/// What both sides have said in IKE_SA_INIT, which AUTH covers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
    pub(crate) nonce_i: Vec<u8>,
    pub(crate) nonce_r: Vec<u8>,
    /// The hashes that the gateway takes.
    pub(crate) hashes: Vec<HashAlgorithm>,
}

impl Said {
    /// Appends AUTH of the client.
    pub(crate) fn prove(
        &self,
        chain: &mut ChainWriter,
        line: &Line,
        user: &User,
        signature: Signature,
    ) {
        let body = id::body(&user.identity);
        let octets = line
            .keys
            .signed_octets(Role::Initiator, &self.request, &self.nonce_r, &body);
        match &user.proof {
            Proof::SharedKey(secret) => {
                let mic = line
                    .keys
                    .shared_key_auth(&SharedKey::new(secret.as_bytes()), &octets);
                auth::encode_shared_key(chain, mic.expose());
            }
            Proof::Certificate(own) => {
                let random = SystemRandom::new();
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                let key = SigningKey::from_der(&key).unwrap();
                let gateway = match signature {
                    Signature::Old => Verifier {
                        rsa_sha1: true,
                        ..Verifier::default()
                    },
                    Signature::Digital => Verifier {
                        hashes: &self.hashes,
                        ..Verifier::default()
                    },
                };
                let scheme = key.scheme(&gateway).expect("both know a scheme");
                let signed = key.sign(scheme, &octets, &random).unwrap();
                let identifier = scheme.to_der().unwrap();
                auth::encode_signature(chain, scheme.method(), &identifier, &signed);
            }
            Proof::Password { .. } => {}
        }
    }

    /// Appends AUTH with the key that EAP made.
    pub(crate) fn prove_by(&self, chain: &mut ChainWriter, line: &Line, user: &User, msk: &[u8]) {
        let body = id::body(&user.identity);
        let octets = line
            .keys
            .signed_octets(Role::Initiator, &self.request, &self.nonce_r, &body);
        let mic = line.keys.session_key_auth(msk, &octets);
        auth::encode_shared_key(chain, mic.expose());
    }

    /// Checks that the gateway is whom its IDr, CERT and AUTH say, and whom the user wants to reach.
    pub(crate) fn verify(
        &self,
        line: &Line,
        user: &User,
        signature: Signature,
        answer: &Answer,
    ) -> AuthMethod {
        let body = find(answer, PayloadType::ID_RESPONDER).expect("IDr");
        let identity = Identification::decode(body).unwrap().identity;
        assert_eq!(identity, user.gateway);
        let octets = self.octets_of_gateway(line, body);
        let proof = find(answer, PayloadType::AUTHENTICATION).expect("AUTH");
        let proof = Authentication::decode(proof).unwrap();
        let method = proof.method();
        match (proof, &user.proof) {
            (Authentication::SharedKey(mic), Proof::SharedKey(secret)) => {
                let expected = line
                    .keys
                    .shared_key_auth(&SharedKey::new(secret.as_bytes()), &octets);
                assert_eq!(mic, expected.expose());
            }
            (
                Authentication::Signature {
                    scheme: Some(scheme),
                    signature: signed,
                },
                _,
            ) => {
                let is_new = method == AuthMethod::DIGITAL_SIGNATURE;
                assert_eq!(is_new, signature == Signature::Digital, "{scheme}");
                let chain = all(answer, PayloadType::CERTIFICATE);
                let chain: Vec<CertificateDer<'_>> = chain
                    .map(|body| CertificatePayload::decode(body).unwrap().data.into())
                    .collect();
                let credentials = Credentials {
                    chain: &chain,
                    identity: &identity,
                    scheme,
                    signed_octets: &octets,
                    signature: signed,
                };
                let now = UnixTime::now();
                let verified = user.trusted().verify(
                    &credentials,
                    Usage::Gateway,
                    now,
                    &NoStatusSource,
                    &NoMemory,
                );
                verified.unwrap_or_else(|error| panic!("the gateway's certificate: {error}"));
            }
            (proof, _) => panic!("the gateway proves by {proof:?}"),
        }
        method
    }

    /// Checks that the gateway has the key that EAP made; `body` is that of its IDr.
    pub(crate) fn verify_by(&self, line: &Line, msk: &[u8], body: &[u8], answer: &Answer) {
        let octets = self.octets_of_gateway(line, body);
        let proof = find(answer, PayloadType::AUTHENTICATION).expect("AUTH");
        let expected = line.keys.session_key_auth(msk, &octets);
        let proof = Authentication::decode(proof).unwrap();
        assert_eq!(proof, Authentication::SharedKey(expected.expose()));
    }

    fn octets_of_gateway(&self, line: &Line, body: &[u8]) -> Vec<u8> {
        line.keys
            .signed_octets(Role::Responder, &self.response, &self.nonce_i, body)
    }
}
