//! Attempts whose messages are sealed with keys that a table has.

use std::net::SocketAddr;

use ikexdp_proto::crypto::aead::SealKey;
use ikexdp_proto::crypto::cipher::{Cipher, Encryption, Integrity};
use ikexdp_proto::types::{Role, Spi, Spis};
use ikexdp_proto::wire::header::{HEADER_LEN, Header, VERSION};
use ikexdp_proto::wire::iana::{AuthMethod, EapCode, NotifyType, PayloadType, ProtocolId};
use ikexdp_proto::wire::payload::cert::CertificatePayload;
use ikexdp_proto::wire::payload::delete::Delete;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::sa::Proposal;
use ikexdp_proto::wire::payload::{eap, id, sa};
use ikexdp_proto::wire::sk::FragmentNumber;
use ikexdp_proto::wire::writer::ChainWriter;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, date_time_ymd,
};

use super::*;
use crate::contents::Contents;
use crate::message::Message;
use crate::model::{Confidence, Evidence, Finding, Outcome};
use crate::verdict::Verdict;

const SPIS: Spis = Spis {
    initiator: Spi(0x0102_0304_0506_0708),
    responder: Spi(0x1112_1314_1516_1718),
};

/// A day in 2033, on which certificates of these tests are valid.
pub(crate) const NOW: Moment = Moment(2_000_000_000_000_000_000);

/// An attempt under construction, and its keys.
pub(crate) struct Script {
    cipher: Cipher,
    pub(crate) attempt: Attempt,
}

impl Script {
    pub(crate) fn new(client_is: Option<&'static str>) -> Self {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        Self {
            cipher: Cipher::new(Encryption::AesGcm16_256, None).unwrap(),
            attempt: Attempt {
                number: 1,
                initiator_spi: SPIS.initiator,
                responder_spi: SPIS.responder,
                client: address("192.0.2.2:500"),
                gateway: address("198.51.100.2:500"),
                client_is,
                messages: Vec::new(),
                messages_left_out: 0,
                fragments: Vec::new(),
                esp: crate::model::EspSeen::default(),
                icmp: Vec::new(),
                inside: None,
                outcome: Outcome::Open,
                finding: None,
            },
        }
    }

    /// The line of the table.
    fn keys(&self) -> Keys {
        let (name, mac) = match self.cipher.encryption() {
            Encryption::AesCbc256 => ("AES-CBC-256 [RFC3602]", "HMAC_SHA2_256_128 [RFC4868]"),
            _ => ("AES-GCM-256 with 16 octet ICV [RFC5282]", "NONE [RFC4306]"),
        };
        let encryption = self.cipher.encryption().key_material();
        let integrity = self.cipher.integrity_key_material();
        let key = |octet: &str, length| octet.repeat(length);
        let mut keys = Keys::default();
        keys.add(&format!(
            "{:016x},{:016x},{},{},\"{name}\",{},{},\"{mac}\"\n",
            SPIS.initiator.0,
            SPIS.responder.0,
            key("17", encryption),
            key("23", encryption),
            key("17", integrity),
            key("23", integrity),
        ));
        assert_eq!(keys.unusable(), []);
        keys
    }

    /// A request of the client or a response of the gateway.
    pub(crate) fn says(
        self,
        direction: Direction,
        (exchange, number): (ExchangeType, u32),
        payloads: impl FnOnce(&mut ChainWriter),
    ) -> Self {
        self.says_in_parts(direction, (exchange, number), 1, payloads)
    }

    /// The same in so many fragments.
    pub(crate) fn says_in_parts(
        mut self,
        direction: Direction,
        (exchange, number): (ExchangeType, u32),
        parts: usize,
        payloads: impl FnOnce(&mut ChainWriter),
    ) -> Self {
        let mut chain = ChainWriter::default();
        payloads(&mut chain);
        let chain = chain.finish();
        let length = chain.octets.len().div_ceil(parts).max(1);
        for (place, part) in (1_u16..).zip(chain.octets.chunks(length)) {
            let fragment = (parts > 1).then_some(FragmentNumber {
                number: place,
                total: parts as u16,
            });
            let first = if place == 1 {
                chain.first
            } else {
                PayloadType::NONE
            };
            let header = Header {
                spis: SPIS,
                next_payload: match fragment {
                    Some(_) => PayloadType::ENCRYPTED_FRAGMENT,
                    None => PayloadType::ENCRYPTED,
                },
                version: VERSION,
                exchange,
                from: match direction {
                    Direction::FromClient => Role::Initiator,
                    Direction::FromGateway => Role::Responder,
                },
                response: direction == Direction::FromGateway,
                message_id: MessageId(number),
            };
            let octets = self.seal(&header, first, fragment, part);
            let frame = self.attempt.messages.len() as u64 + 1;
            self.attempt.messages.push(Message {
                capture: 0,
                frames: vec![frame],
                time: NOW,
                source: self.attempt.client,
                destination: self.attempt.gateway,
                direction,
                header,
                datagram_len: octets.len() + 32,
                message_len: octets.len(),
                dont_fragment: false,
                hop_limit: 64,
                ip_id: None,
                pieces: Vec::new(),
                whole: true,
                fragment,
                contents: Contents::Encrypted(octets.len() - 32),
                octets: Some(octets),
                repeat_of: None,
                seen_as: None,
                digest: frame,
            });
        }
        self
    }

    fn seal(
        &self,
        header: &Header,
        first: PayloadType,
        fragment: Option<FragmentNumber>,
        part: &[u8],
    ) -> Vec<u8> {
        let octet = match header.from {
            Role::Initiator => 0x17,
            Role::Responder => 0x23,
        };
        let encryption = vec![octet; self.cipher.encryption().key_material()];
        let integrity = vec![octet; self.cipher.integrity_key_material()];
        let mut key = SealKey::new(self.cipher, &encryption, &integrity).unwrap();
        let clear = if fragment.is_some() { 8 } else { 4 };
        let body = clear + self.cipher.sealed_len(part.len());
        let mut message = Vec::new();
        header.encode(HEADER_LEN + body, &mut message);
        message.extend([first.0, 0]);
        message.extend((body as u16).to_be_bytes());
        if let Some(FragmentNumber { number, total }) = fragment {
            message.extend(number.to_be_bytes());
            message.extend(total.to_be_bytes());
        }
        let mut random = chacha20::ChaCha20Rng::from_seed([7; 32]);
        key.seal(&mut message, part, &mut random).unwrap();
        message
    }

    /// What keys make of it.
    pub(crate) fn look(self, dialed: Option<&str>) -> Attempt {
        let keys = self.keys();
        let mut report = Report {
            attempts: vec![self.attempt],
            ..Report::default()
        };
        look(&mut report, &keys, dialed);
        report.attempts.remove(0)
    }
}

use chacha20::rand_core::SeedableRng;

pub(crate) const AUTH: (ExchangeType, u32) = (ExchangeType::IKE_AUTH, 1);
pub(crate) use Direction::{FromClient, FromGateway};

/// A certificate that an authority of its own has issued, and the authority's.
pub(crate) fn chain(change: impl FnOnce(&mut CertificateParams)) -> Vec<Vec<u8>> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "Authority");
    let authority = params.self_signed(&key).unwrap().der().to_vec();
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "vpn.example.com");
    params.subject_alt_names = vec![SanType::DnsName("vpn.example.com".try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2033, 1, 1);
    params.not_after = date_time_ymd(2034, 1, 1);
    change(&mut params);
    let leaf = params.signed_by(&KeyPair::generate().unwrap(), &issuer);
    vec![leaf.unwrap().der().to_vec(), authority]
}

/// CERT payloads and an AUTH of this method.
pub(crate) fn shows(payloads: &mut ChainWriter, chain: &[Vec<u8>], method: AuthMethod) {
    for certificate in chain {
        CertificatePayload::encode_x509(payloads, certificate);
    }
    payloads.payload(PayloadType::AUTHENTICATION, |body| {
        body.bytes(&[method.0, 0, 0, 0]);
        body.bytes(&[7; 64]);
    });
}

fn notify(payloads: &mut ChainWriter, kind: NotifyType, data: &[u8]) {
    Notify::new(kind, data).encode(payloads);
}

fn agrees(payloads: &mut ChainWriter) {
    let proposal = Proposal {
        number: 1,
        protocol: ProtocolId::ESP,
        spi: vec![1, 2, 3, 4],
        transforms: Vec::new(),
    };
    sa::encode(payloads, &[proposal]);
}

fn inside(attempt: &Attempt) -> &Inside {
    attempt.inside.as_ref().unwrap()
}

/// What the core has guessed by sizes and silence.
fn guessed(script: Script, verdict: Verdict) -> Script {
    let mut script = script;
    script.attempt.outcome = Outcome::Failed;
    script.attempt.finding = Some(Finding {
        verdict,
        confidence: Confidence::Possible,
        evidence: Vec::new(),
    });
    script
}

fn found(attempt: &Attempt) -> (Verdict, Confidence, Vec<String>) {
    let finding = attempt.finding.clone().expect("a verdict");
    let says = |evidence: Evidence| evidence.says;
    let evidence = finding.evidence.into_iter().map(says).collect();
    (finding.verdict, finding.confidence, evidence)
}

#[test]
fn messages_are_opened_whatever_they_came_in() {
    let identity = "client@example.com".parse().unwrap();
    let names = |payloads: &mut ChainWriter| {
        id::encode(payloads, PayloadType::ID_INITIATOR, &id::body(&identity));
        notify(payloads, NotifyType::MOBIKE_SUPPORTED, &[]);
    };
    let cbc = Cipher::new(Encryption::AesCbc256, Some(Integrity::HmacSha2_256_128));
    for cipher in [Script::new(None).cipher, cbc.unwrap()] {
        let mut script = Script::new(None);
        script.cipher = cipher;
        let script =
            script
                .says_in_parts(FromClient, AUTH, 3, names)
                .says(FromGateway, AUTH, agrees);
        let attempt = script.look(None);
        let [request, response] = inside(&attempt).messages.as_slice() else {
            panic!("two messages: {attempt:?}");
        };
        assert_eq!((request.fragments, request.frames.len()), (3, 3));
        let [idi, mobike] = request.payloads.as_slice() else {
            panic!("two payloads")
        };
        assert_eq!((idi.name.as_str(), idi.length), ("IDi", 26));
        assert_eq!(idi.says, "ID_RFC822_ADDR: client@example.com");
        assert_eq!(mobike.says, "MOBIKE_SUPPORTED");
        assert_eq!(response.payloads[0].says, "ESP 1: ");
        assert_eq!(attempt.outcome, Outcome::Established);
    }
}

/// Repeats add nothing, and what is missing or of another IKE SA stays sealed.
#[test]
fn what_cannot_be_opened_is_counted() {
    let mut script = Script::new(None)
        .says_in_parts(FromClient, AUTH, 3, agrees)
        .says(FromGateway, AUTH, agrees);
    let messages = &mut script.attempt.messages;
    messages.remove(1);
    messages.push(messages[0].clone());
    let mut strange = messages[0].clone();
    strange.header.spis.responder = Spi(9);
    messages.push(strange);
    let mut forged = messages[2].clone();
    forged.header.message_id = MessageId(2);
    *forged.octets.as_mut().unwrap().last_mut().unwrap() ^= 1;
    messages.push(forged);
    messages[0].octets = None;
    let attempt = script.look(None);
    let inside = inside(&attempt);
    assert_eq!(inside.messages.len(), 1, "the response");
    assert_eq!(inside.sealed, 3);
}

#[test]
fn what_is_refused_in_so_many_words_is_certain() {
    let status = 13_801_u32.to_be_bytes();
    let windows = Verdict::WindowsStatus(ikexdp_proto::windows::Status(13_801));
    for (kind, data, verdict) in [
        (
            NotifyType::AUTHENTICATION_FAILED,
            &[][..],
            Verdict::AuthenticationFailed,
        ),
        (
            NotifyType::INTERNAL_ADDRESS_FAILURE,
            &[],
            Verdict::NoAddress,
        ),
        (NotifyType::NO_PROPOSAL_CHOSEN, &[], Verdict::ChildRefused),
        (NotifyType::TS_UNACCEPTABLE, &[], Verdict::ChildRefused),
        (NotifyType::MS_STATUS, &status, windows.clone()),
    ] {
        let script =
            Script::new(None)
                .says(FromClient, AUTH, agrees)
                .says(FromGateway, AUTH, |payloads| notify(payloads, kind, data));
        let attempt = script.look(None);
        let (found, confidence, evidence) = found(&attempt);
        assert_eq!(
            (found, confidence),
            (verdict, Confidence::Certain),
            "{kind}"
        );
        assert!(evidence[0].contains(&kind.to_string()), "{evidence:?}");
        assert_eq!(attempt.outcome, Outcome::Failed);
    }
    // The client's word on the gateway's certificate.
    let informational = (ExchangeType::INFORMATIONAL, 2);
    let script = Script::new(None)
        .says(FromClient, AUTH, agrees)
        .says(FromGateway, AUTH, agrees)
        .says(FromClient, informational, |payloads| {
            notify(payloads, NotifyType::AUTHENTICATION_FAILED, &[]);
        });
    assert_eq!(found(&script.look(None)).0, Verdict::CertificateNotAccepted);
}

/// It does not end the IKE SA, and is told.
#[test]
fn a_rekey_that_windows_refuses_is_told_and_ends_nothing() {
    let status = 13_816_u32.to_be_bytes();
    let rekey = (ExchangeType::CREATE_CHILD_SA, 2);
    let script = Script::new(None)
        .says(FromClient, AUTH, agrees)
        .says(FromGateway, AUTH, agrees)
        .says(FromClient, rekey, |payloads| {
            notify(payloads, NotifyType::MS_STATUS, &status)
        });
    let attempt = script.look(None);
    let verdict = Verdict::WindowsStatus(ikexdp_proto::windows::Status(13_816));
    assert_eq!(found(&attempt).0, verdict);
    assert_eq!(attempt.outcome, Outcome::Established);
    let says = &inside(&attempt).remarks[0].says;
    assert!(says.starts_with("rekey refused with Windows error 13816"));
}

#[test]
fn eap_says_who_and_why() {
    let packet = |code: EapCode, rest: &[u8]| {
        let length = 4 + rest.len() as u16;
        [&[code.0, 7][..], &length.to_be_bytes(), rest].concat()
    };
    let name = packet(EapCode::RESPONSE, b"\x01kim\x1b[2J");
    let refusal = packet(EapCode::REQUEST, b"\x1a\x04\x07\x00\x20E=691 R=0 M=no");
    let failure = packet(EapCode::FAILURE, b"");
    let auth = |number| (ExchangeType::IKE_AUTH, number);
    let script = Script::new(Some("Windows"))
        .says(FromClient, auth(2), |payloads| eap::encode(payloads, &name))
        .says(FromGateway, auth(2), |payloads| {
            eap::encode(payloads, &refusal)
        })
        .says(FromClient, auth(3), |payloads| eap::encode(payloads, &name))
        .says(FromGateway, auth(3), |payloads| {
            eap::encode(payloads, &failure)
        });
    let attempt = script.look(None);
    let (verdict, confidence, evidence) = found(&attempt);
    assert_eq!(
        (verdict, confidence),
        (Verdict::EapRejected, Confidence::Certain)
    );
    let all = evidence.join("\n");
    assert!(
        all.contains("MSCHAPv2 says 691: wrong name or password"),
        "{all}"
    );
    let said = &inside(&attempt).messages[0].payloads[0].says;
    assert_eq!(said, "Response, Identity: kim\u{fffd}[2J");
}

/// The client's silence has a cause that can be seen.
#[test]
fn a_client_that_stops_at_a_bad_certificate_is_explained() {
    for (change, expected) in [
        (None, Confidence::Possible),
        (Some("vpn.example.net"), Confidence::Likely),
    ] {
        let chain = chain(|_| ());
        let script = Script::new(Some("Windows"))
            .says(FromClient, AUTH, |payloads| {
                notify(payloads, NotifyType::MOBIKE_SUPPORTED, &[]);
            })
            .says_in_parts(FromGateway, AUTH, 2, |payloads| {
                shows(payloads, &chain, AuthMethod::RSA_SHA1);
            });
        let dialed = change.unwrap_or("vpn.example.com");
        let attempt = guessed(script, Verdict::AuthenticationFailed).look(Some(dialed));
        let (verdict, confidence, evidence) = found(&attempt);
        assert_eq!(
            (verdict, confidence),
            (Verdict::CertificateNotAccepted, expected)
        );
        let all = evidence.join("\n");
        assert_eq!(all.contains("vpn.example.net"), change.is_some(), "{all}");
        assert_eq!(all.contains("must know"), change.is_none(), "{all}");
    }
}

/// What is lost on the way stays the cause, whatever is inside.
#[test]
fn what_the_path_does_is_not_explained_by_contents() {
    let lost = Verdict::LargeDatagramsLost {
        direction: FromGateway,
        datagram_len: 1500,
        passed: 0,
    };
    let chain = chain(|_| ());
    let script = Script::new(Some("Windows"))
        .says(FromClient, AUTH, agrees)
        .says(FromGateway, AUTH, |payloads| {
            shows(payloads, &chain, AuthMethod::RSA_SHA1)
        });
    let attempt = guessed(script, lost.clone()).look(Some("elsewhere.example"));
    assert_eq!(found(&attempt).0, lost);
    assert!(!inside(&attempt).remarks.is_empty());
}

/// Who deletes an IKE SA without a complaint had it, however soon.
#[test]
fn a_deleted_sa_was_up() {
    let informational = (ExchangeType::INFORMATIONAL, 2);
    let chain = chain(|_| ());
    let script = Script::new(None)
        .says(FromGateway, AUTH, |payloads| {
            shows(payloads, &chain, AuthMethod::ECDSA_256);
            agrees(payloads);
        })
        .says(FromClient, informational, |payloads| {
            Delete::Ike.encode(payloads)
        });
    let attempt = guessed(script, Verdict::CertificateNotAccepted).look(None);
    assert_eq!(inside(&attempt).messages[1].payloads[0].says, "the IKE SA");
    assert_eq!(attempt.outcome, Outcome::Established);
}
