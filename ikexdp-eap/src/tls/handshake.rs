//! A handshake of EAP-TLS (RFC 5216 §2.1, RFC 9190 §2.1), the server's side.
//!
//! ```text
//! peer                        server
//!  |  <- Start                   |  Listening
//!  |  flight, in fragments ->    |
//!  |  <- acknowledgements        |  Listening
//!  |  <- flight, in fragments    |  Speaking
//!  |  acknowledgements ->        |
//!  |  <- last flight             |  Concluding
//!  |  acknowledgement ->         |
//! ```
//!
//! With TLS 1.2 the last flight is our Finished; with TLS 1.3, where that has gone
//! before the peer's, an octet of zero that says that nothing else is coming
//! (RFC 9190 §2.5). Either goes out after the peer is found to be who it says,
//! so that all that is wrong with a peer ends in the same turn.

use std::io::Write;
use std::sync::Arc;

use ikexdp_proto::crypto::cert::{CredentialError, TrustAnchors, Usage};
use ikexdp_proto::eap::RejectionReason;
use ikexdp_proto::types::Secret;
use rustls::pki_types::UnixTime;
use rustls::{ProtocolVersion, ServerConnection};
use zeroize::Zeroizing;

use super::TlsSettings;
use super::asserted::user;
use super::fragment::{ACKNOWLEDGEMENT, Fragment, Inbound, Outbound, Received, START};
use super::reason::{refused, rejection};
use crate::method::{Ask, Method, Step};
use crate::name::PeerName;
use crate::packet::Type;

/// Asks a peer to begin a handshake.
pub(crate) fn begin(settings: TlsSettings) -> Result<Ask, RejectionReason> {
    let connection = ServerConnection::new(settings.config).map_err(rejection)?;
    let inbound = Inbound::default();
    Ok(Ask {
        data: START.to_vec(),
        next: Box::new(Listening {
            connection,
            inbound,
            anchors: settings.anchors,
        }),
    })
}

/// The peer has the word, in the midst of the handshake.
#[derive(Debug)]
struct Listening {
    connection: ServerConnection,
    inbound: Inbound,
    anchors: Option<Arc<TrustAnchors>>,
}

impl Method for Listening {
    fn hear(self: Box<Self>, name: &PeerName, data: &[u8]) -> Result<Step, RejectionReason> {
        let Self {
            mut connection,
            inbound,
            anchors,
        } = *self;
        let flight = match inbound.receive(Fragment::decode(data)?)? {
            Received::Part(inbound) => {
                return Ok(Step::Ask(Ask {
                    data: ACKNOWLEDGEMENT.to_vec(),
                    next: Box::new(Self {
                        connection,
                        inbound,
                        anchors,
                    }),
                }));
            }
            Received::Whole(flight) => flight,
        };
        take(&mut connection, &flight)?;
        if connection.is_handshaking() {
            let flight = sendable(&mut connection)?;
            return speak(Outbound::new(&flight), Then::Listen(connection, anchors));
        }
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        // TLS goes on without one only where it is told to.
        let certificate = certificate.ok_or_else(|| refused(&CredentialError::NoCertificate))?;
        let user = user(certificate, name).map_err(|error| refused(&error))?;
        if let Some(anchors) = &anchors {
            let chain = connection.peer_certificates().unwrap_or_default();
            let trusted = anchors.examine(chain, Usage::Client, UnixTime::now());
            trusted.map_err(|error| refused(&error))?;
        }
        let msk = master_session_key(&connection)?;
        if connection.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
            connection.writer().write_all(&[0]).map_err(stuck)?;
        }
        let flight = sendable(&mut connection)?;
        let concluding = Concluding {
            connection,
            user,
            msk,
        };
        speak(Outbound::new(&flight), Then::Conclude(concluding))
    }
}

/// We have the word, and the peer takes one fragment after the other.
#[derive(Debug)]
struct Speaking {
    flight: Outbound,
    then: Then,
}

/// Who has the word when a flight of ours is over.
#[derive(Debug)]
enum Then {
    Listen(ServerConnection, Option<Arc<TrustAnchors>>),
    Conclude(Concluding),
}

impl Method for Speaking {
    fn hear(self: Box<Self>, _: &PeerName, data: &[u8]) -> Result<Step, RejectionReason> {
        let fragment = Fragment::decode(data)?;
        if !fragment.octets.is_empty() || !fragment.is_last {
            let reason = "TLS data where an acknowledgement belongs";
            return Err(RejectionReason::Protocol(reason));
        }
        speak(self.flight, self.then)
    }
}

/// Sends the next fragment of a flight.
fn speak(mut flight: Outbound, then: Then) -> Result<Step, RejectionReason> {
    let nothing = RejectionReason::Protocol("nothing left of an EAP-TLS flight");
    let (data, has_more) = flight.next().ok_or(nothing)?;
    let next: Box<dyn Method> = match then {
        then if has_more => Box::new(Speaking { flight, then }),
        Then::Listen(connection, anchors) => Box::new(Listening {
            anchors,
            connection,
            inbound: Inbound::default(),
        }),
        Then::Conclude(concluding) => Box::new(concluding),
    };
    Ok(Step::Ask(Ask { data, next }))
}

/// All is said; the peer has to take our last flight.
#[derive(Debug)]
struct Concluding {
    connection: ServerConnection,
    user: String,
    msk: Secret<Vec<u8>>,
}

impl Method for Concluding {
    fn hear(mut self: Box<Self>, _: &PeerName, data: &[u8]) -> Result<Step, RejectionReason> {
        let fragment = Fragment::decode(data)?;
        if !fragment.is_last {
            let reason = "TLS data after the handshake";
            return Err(RejectionReason::Protocol(reason));
        }
        // An alert, if anything: the peer does not take it, or closes what is over.
        take(&mut self.connection, fragment.octets)?;
        Ok(Step::Accept {
            user: self.user,
            msk: self.msk,
        })
    }
}

/// Hands TLS what the peer says.
fn take(connection: &mut ServerConnection, mut octets: &[u8]) -> Result<(), RejectionReason> {
    while !octets.is_empty() {
        let taken = connection.read_tls(&mut octets).map_err(stuck)?;
        let state = connection.process_new_packets().map_err(rejection)?;
        if state.plaintext_bytes_to_read() > 0 {
            return Err(RejectionReason::Protocol("application data in EAP-TLS"));
        }
        if taken == 0 {
            return Err(RejectionReason::Protocol("TLS data behind its end"));
        }
    }
    Ok(())
}

/// What TLS has to say.
fn sendable(connection: &mut ServerConnection) -> Result<Vec<u8>, RejectionReason> {
    let mut flight = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut flight).map_err(stuck)?;
    }
    if flight.is_empty() {
        return Err(RejectionReason::Protocol("part of a TLS flight"));
    }
    Ok(flight)
}

/// RFC 5216 §2.3, RFC 9190 §2.3. The other half of the key material is for others.
fn master_session_key(connection: &ServerConnection) -> Result<Secret<Vec<u8>>, RejectionReason> {
    const MSK_LEN: usize = 64;
    let (label, context) = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => {
            let context: &[u8] = &[Type::TLS.0];
            (&b"EXPORTER_EAP_TLS_Key_Material"[..], Some(context))
        }
        _ => (&b"client EAP encryption"[..], None),
    };
    // How long it is goes into TLS 1.3's computation.
    let material = Zeroizing::new([0; 2 * MSK_LEN]);
    let material = connection
        .export_keying_material(material, label, context)
        .map_err(rejection)?;
    Ok(Secret::new(
        material.iter().take(MSK_LEN).copied().collect(),
    ))
}

/// TLS neither takes nor gives what it should.
fn stuck(_: std::io::Error) -> RejectionReason {
    RejectionReason::Protocol("more TLS data than a handshake has")
}
