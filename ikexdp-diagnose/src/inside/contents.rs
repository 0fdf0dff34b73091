//! Payloads of opened messages in words, and as facts to judge by.

use std::fmt::Display;

use ikexdp_proto::crypto::scheme::SignatureScheme;
use ikexdp_proto::identity::Identity;
use ikexdp_proto::windows::Status;
use ikexdp_proto::wire::iana::{
    AuthMethod, CertificateEncoding, ConfigurationAttribute, EapCode, EapType, NotifyType,
    PayloadType, TransformType,
};
use ikexdp_proto::wire::payload::auth::Authentication;
use ikexdp_proto::wire::payload::cert::{CertificatePayload, decode_request};
use ikexdp_proto::wire::payload::configuration::{Attribute, Configuration};
use ikexdp_proto::wire::payload::delete::Delete;
use ikexdp_proto::wire::payload::eap::EapPacket;
use ikexdp_proto::wire::payload::id::Identification;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::sa::{self, Proposal, Transform};
use ikexdp_proto::wire::payload::{GENERIC_LEN, Payloads, RawPayload, ts};

use super::certificate::Certificate;
use super::open::Plaintext;
use super::{Described, Opened};
use crate::limits::{NOTIFIES_PER_MESSAGE, PAYLOADS_PER_MESSAGE};
use crate::printable::printable;

/// What an opened message says, for who judges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) idi: Option<Identity>,
    pub(super) idr: Option<Identity>,
    /// X.509 certificates in their order; nothing where one cannot be read.
    pub(super) certificates: Vec<Option<Certificate>>,
    pub(super) auth: Option<(AuthMethod, Option<SignatureScheme>)>,
    pub(super) eap: Option<Eap>,
    /// Notifies that are errors.
    pub(super) errors: Vec<NotifyType>,
    pub(super) status: Option<Status>,
    pub(super) has_sa: bool,
    /// Whether the IKE SA is deleted.
    pub(super) deletes: bool,
}

/// An EAP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Eap {
    pub(super) code: EapCode,
    pub(super) method: Option<EapType>,
    /// What MSCHAPv2 says when it refuses, as 691 (RFC 2759 §6).
    pub(super) error: Option<u32>,
}

/// What a message says.
pub(super) fn describe(plaintext: Plaintext) -> Opened {
    let mut facts = Facts::default();
    let mut payloads = Vec::new();
    let chain = Payloads::new(plaintext.first, &plaintext.octets);
    for payload in chain.take(PAYLOADS_PER_MESSAGE) {
        payloads.push(match payload {
            Ok(payload) => Described {
                name: payload.kind.to_string(),
                length: payload.body.len().saturating_add(GENERIC_LEN),
                says: facts
                    .read(&payload)
                    .unwrap_or_else(|| "malformed".to_owned()),
            },
            Err(malformed) => Described {
                name: "malformed".to_owned(),
                length: 0,
                says: malformed.field.to_owned(),
            },
        });
    }
    Opened {
        capture: plaintext.capture,
        frames: plaintext.frames,
        time: plaintext.time,
        direction: plaintext.direction,
        exchange: plaintext.exchange,
        response: plaintext.response,
        message_id: plaintext.message_id,
        fragments: plaintext.fragments,
        length: plaintext.octets.len(),
        payloads,
        facts,
    }
}

impl Facts {
    /// Remembers a payload and puts it in words; nothing if it is malformed.
    fn read(&mut self, payload: &RawPayload<'_>) -> Option<String> {
        let body = payload.body;
        match payload.kind {
            PayloadType::ID_INITIATOR => {
                let identity = Identification::decode(body).ok()?.identity;
                Some(said_identity(self.idi.insert(identity)))
            }
            PayloadType::ID_RESPONDER => {
                let identity = Identification::decode(body).ok()?.identity;
                Some(said_identity(self.idr.insert(identity)))
            }
            PayloadType::CERTIFICATE => self.certificate(body),
            PayloadType::CERTIFICATE_REQUEST => {
                let authorities = decode_request(body).ok()?.len();
                Some(format!("authorities: {authorities}"))
            }
            PayloadType::AUTHENTICATION => self.authentication(body),
            PayloadType::EAP => self.eap(body),
            PayloadType::NOTIFY => self.notify(body),
            PayloadType::CONFIGURATION => configuration(body),
            PayloadType::SECURITY_ASSOCIATION => {
                self.has_sa = true;
                Some(listed(
                    sa::decode(body).ok()?.iter().map(said_proposal),
                    "; ",
                ))
            }
            PayloadType::TRAFFIC_SELECTOR_INITIATOR | PayloadType::TRAFFIC_SELECTOR_RESPONDER => {
                Some(listed(ts::decode(body).ok()?, " "))
            }
            PayloadType::DELETE => self.delete(body),
            _ => Some(String::new()),
        }
    }

    fn certificate(&mut self, body: &[u8]) -> Option<String> {
        let payload = CertificatePayload::decode(body).ok()?;
        if payload.encoding != CertificateEncoding::X509_SIGNATURE {
            return Some(payload.encoding.to_string());
        }
        let certificate = Certificate::read(payload.data);
        let says = certificate.as_ref().map(Certificate::says);
        self.certificates.push(certificate);
        says
    }

    fn authentication(&mut self, body: &[u8]) -> Option<String> {
        let auth = Authentication::decode(body).ok()?;
        let scheme = match auth {
            Authentication::Signature { scheme, .. } => scheme,
            Authentication::SharedKey(_) | Authentication::Other(_) => None,
        };
        self.auth = Some((auth.method(), scheme));
        Some(match scheme {
            Some(scheme) if scheme.method() == AuthMethod::DIGITAL_SIGNATURE => {
                format!("{}: {scheme}", auth.method())
            }
            _ => auth.method().to_string(),
        })
    }

    fn eap(&mut self, body: &[u8]) -> Option<String> {
        let packet = EapPacket::decode(body).ok()?;
        let method = packet.method.map(|(method, _)| method);
        let error = packet.method.and_then(|(kind, data)| {
            (kind == EapType::MSCHAPV2)
                .then(|| mschap_error(data))
                .flatten()
        });
        let mut says = packet.code.to_string();
        if let Some((method, data)) = packet.method {
            says.push_str(&format!(", {method}"));
            if (packet.code, method) == (EapCode::RESPONSE, EapType::IDENTITY) {
                let name = String::from_utf8_lossy(data);
                says.push_str(&format!(": {}", printable(&name)));
            }
        }
        if let Some(error) = error {
            says.push_str(&format!(", error {error}"));
        }
        self.eap = Some(Eap {
            code: packet.code,
            method,
            error,
        });
        Some(says)
    }

    fn notify(&mut self, body: &[u8]) -> Option<String> {
        let notify = Notify::decode(body).ok()?;
        if notify.kind.is_error() && self.errors.len() < NOTIFIES_PER_MESSAGE {
            self.errors.push(notify.kind);
        }
        if notify.kind == NotifyType::MS_STATUS {
            self.status = Status::decode(notify.data);
            if let Some(status) = self.status {
                return Some(format!("{}: {status}", notify.kind));
            }
        }
        Some(notify.kind.to_string())
    }

    fn delete(&mut self, body: &[u8]) -> Option<String> {
        Some(match Delete::decode(body).ok()? {
            Delete::Ike => {
                self.deletes = true;
                "the IKE SA".to_owned()
            }
            Delete::Esp(spis) => format!("CHILD SAs: {}", listed(spis, " ")),
            Delete::Other(protocol) => format!("SAs of {protocol}"),
        })
    }
}

fn said_identity(identity: &Identity) -> String {
    format!("{}: {identity}", identity.kind())
}

/// Which attributes, with the addresses that are asked for or given.
fn configuration(body: &[u8]) -> Option<String> {
    let configuration = Configuration::decode(body).ok()?;
    let attribute = |attribute: &Attribute<'_>| match address(attribute) {
        Some(address) => format!("{}={address}", attribute.kind),
        None => attribute.kind.to_string(),
    };
    let attributes = configuration.attributes.iter().take(PAYLOADS_PER_MESSAGE);
    let attributes = listed(attributes.map(attribute), " ");
    Some(format!("{}: {attributes}", configuration.kind))
}

/// The address in an attribute that has one.
fn address(attribute: &Attribute<'_>) -> Option<std::net::IpAddr> {
    let value = attribute.value.as_ref();
    match attribute.kind {
        ConfigurationAttribute::INTERNAL_IP4_DNS => {
            <[u8; 4]>::try_from(value).map(std::net::IpAddr::from).ok()
        }
        ConfigurationAttribute::INTERNAL_IP6_DNS => {
            <[u8; 16]>::try_from(value).map(std::net::IpAddr::from).ok()
        }
        _ => attribute.address(),
    }
}

fn said_proposal(proposal: &Proposal) -> String {
    use ikexdp_proto::wire::iana::{EncryptionId, GroupId, IntegrityId, PrfId};
    let transform = |transform: &Transform| {
        let name = match transform.kind {
            TransformType::ENCRYPTION => EncryptionId(transform.id).to_string(),
            TransformType::PRF => PrfId(transform.id).to_string(),
            TransformType::INTEGRITY => IntegrityId(transform.id).to_string(),
            TransformType::KEY_EXCHANGE => GroupId(transform.id).to_string(),
            TransformType::SEQUENCE_NUMBERS if transform.id == 0 => return None,
            TransformType::SEQUENCE_NUMBERS => "ESN".to_owned(),
            kind => format!("{kind}-{}", transform.id),
        };
        Some(match transform.key_length {
            Some(bits) => format!("{name}-{bits}"),
            None => name,
        })
    };
    let transforms = listed(proposal.transforms.iter().filter_map(transform), " ");
    format!("{} {}: {transforms}", proposal.protocol, proposal.number)
}

fn listed(items: impl IntoIterator<Item = impl Display>, separator: &str) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(separator)
}

/// The code in `E=691 R=1 …` of a Failure request (opcode 4; draft-kamath-pppext-eap-mschapv2 §2.4).
fn mschap_error(data: &[u8]) -> Option<u32> {
    const FAILURE: u8 = 4;
    let ([FAILURE, _, _, _], message) = data.split_first_chunk()? else {
        return None;
    };
    let digits = message.strip_prefix(b"E=")?;
    let digits = digits.split(|octet| !octet.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mschap_says_why() {
        for (data, error) in [
            (&b"\x04\x07\x00\x20E=691 R=1 C=00 V=3 M=no"[..], Some(691)),
            (b"\x04\x07\x00\x20E=649", Some(649)),
            (b"\x03\x07\x00\x20S=1234", None),
            (b"\x04\x07\x00\x20R=1", None),
            (b"\x04\x07\x00\x20E=99999999999", None),
            (b"\x04", None),
        ] {
            assert_eq!(mschap_error(data), error, "{data:?}");
        }
    }
}
