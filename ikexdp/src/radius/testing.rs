//! A little server on loopback, and conversations with it.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use ikexdp_proto::eap::{Account, Authenticator, Caller, Conversation, Turn};
use ikexdp_proto::types::Secret;
use tokio::net::UdpSocket;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::attribute::Kind;
use super::crypto::md5;
use super::packet::{Code, Draft, Packet};
use super::{AccountingSettings, Radius, Settings};

pub(super) const SECRET: &[u8] = b"correct horse battery staple";

/// EAP-Response/Identity of `kim`.
pub(super) const IDENTITY: [u8; 8] = [2, 0, 0, 8, 1, b'k', b'i', b'm'];

/// An EAP request of a method.
pub(super) const REQUEST: [u8; 6] = [1, 1, 0, 6, 26, 7];

/// The response to it.
pub(super) const RESPONSE: [u8; 6] = [2, 1, 0, 6, 26, 8];

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// Settings that give up soon.
pub(super) fn hasty(servers: Vec<SocketAddr>) -> Settings {
    Settings {
        timeout: Duration::from_millis(100),
        tries: 2,
        ..Settings::new("office", servers, Secret::new(SECRET.to_vec()))
    }
}

/// Settings that wait longer than any test takes.
pub(crate) fn patient(servers: Vec<SocketAddr>) -> Settings {
    Settings {
        timeout: Duration::from_secs(60),
        tries: 1,
        ..hasty(servers)
    }
}

/// What the settings say, on the runtime of the test.
pub(crate) fn started(settings: Settings) -> Radius {
    let radius = Radius::new(settings);
    radius.start(&Handle::current());
    radius
}

pub(super) fn caller() -> Caller {
    Caller {
        remote: "192.0.2.7:4500".parse().unwrap(),
        local: "203.0.113.1:4500".parse().unwrap(),
        connection: "staff".to_owned(),
    }
}

/// Who hears of sessions, and how often.
pub(crate) fn accounting(ledger: &Server, interim: Option<Duration>) -> AccountingSettings {
    AccountingSettings {
        servers: vec![ledger.address()],
        interim_interval: interim,
    }
}

/// Somebody whom the server lets in.
pub(crate) async fn admitted(radius: &Radius, server: &Server) -> Account {
    let turn = hear(begin(radius), &IDENTITY);
    let classes = [(Kind::CLASS, &b"one"[..]), (Kind::CLASS, b"two")];
    server.admit([32, 32], &classes).await;
    let Turn::Accept(admission) = turn.await else {
        panic!("the server lets in");
    };
    admission.account.unwrap()
}

pub(super) fn begin(radius: &Radius) -> Box<dyn Conversation> {
    radius.begin(caller())
}

/// Has the conversation hear a response; the turn comes later.
pub(super) fn hear(
    conversation: Box<dyn Conversation>,
    response: &[u8],
) -> impl Future<Output = Turn> + use<> {
    let (told, turn) = oneshot::channel();
    let done = Box::new(|turn| drop(told.send(turn)));
    conversation.hear(response.to_vec(), done);
    async { turn.await.expect("a turn") }
}

/// A server that does as the test says.
pub(crate) struct Server(UdpSocket);

/// A request that came to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) octets: Vec<u8>,
    pub(super) from: SocketAddr,
}

impl Received {
    pub(super) fn packet(&self) -> Packet<'_> {
        Packet::decode(&self.octets).unwrap()
    }

    pub(super) fn value(&self, kind: Kind) -> &[u8] {
        self.packet().first(kind).expect("the attribute").value
    }

    pub(super) fn number(&self, kind: Kind) -> u32 {
        let attribute = self.packet().first(kind).expect("the attribute");
        attribute.number().unwrap()
    }

    /// The answer of a server to it.
    pub(super) fn answer(&self, draft: &Draft) -> Vec<u8> {
        let packet = self.packet();
        draft.response(packet.identifier, &packet.authenticator, SECRET)
    }
}

/// What a server is told of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: u32,
    /// Octets and packets from the user, and to it.
    pub(crate) input: [u32; 2],
    pub(crate) output: [u32; 2],
    pub(crate) seconds: u32,
    pub(crate) cause: u32,
}

impl Server {
    /// The answer of one that writes down what it is told.
    pub(super) const TAKES: Draft = Draft::unsigned(Code::ACCOUNTING_RESPONSE);

    /// Takes a record.
    pub(crate) async fn is_told(&self) -> Told {
        let record = self.serve(&Self::TAKES).await;
        let number = |kind| {
            let attribute = record.packet().first(kind);
            attribute.map_or(0, |it| it.number().unwrap())
        };
        Told {
            status: number(Kind::ACCT_STATUS_TYPE),
            input: [Kind::ACCT_INPUT_OCTETS, Kind::ACCT_INPUT_PACKETS].map(number),
            output: [Kind::ACCT_OUTPUT_OCTETS, Kind::ACCT_OUTPUT_PACKETS].map(number),
            seconds: number(Kind::ACCT_SESSION_TIME),
            cause: number(Kind::ACCT_TERMINATE_CAUSE),
        }
    }

    pub(crate) async fn open() -> Self {
        Self(UdpSocket::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(super) async fn receive(&self) -> Received {
        let mut buffer = vec![0; 5000];
        let (length, from) = self.0.recv_from(&mut buffer).await.unwrap();
        buffer.truncate(length);
        let octets = buffer;
        Received { octets, from }
    }

    pub(super) async fn send(&self, to: SocketAddr, octets: &[u8]) {
        self.0.send_to(octets, to).await.unwrap();
    }

    /// Takes a request and answers it.
    pub(super) async fn serve(&self, draft: &Draft) -> Received {
        let request = self.receive().await;
        self.send(request.from, &request.answer(draft)).await;
        request
    }

    /// Takes a request and lets it in, with keys of these lengths, and more.
    pub(super) async fn admit(&self, keys: [usize; 2], more: &[(Kind, &[u8])]) -> Received {
        let request = self.receive().await;
        let draft = accept(&request, keys, more);
        self.send(request.from, &request.answer(&draft)).await;
        request
    }
}

pub(super) fn challenge() -> Draft {
    let mut draft = Draft::signed(Code::ACCESS_CHALLENGE);
    draft.push(Kind::STATE, b"of this server").unwrap();
    draft.push_parts(Kind::EAP_MESSAGE, &REQUEST).unwrap();
    draft
}

/// An Access-Accept with EAP-Success, a receive key of ones and a send key of twos.
pub(super) fn accept(request: &Received, keys: [usize; 2], more: &[(Kind, &[u8])]) -> Draft {
    let mut draft = Draft::signed(Code::ACCESS_ACCEPT);
    draft.push(Kind::EAP_MESSAGE, &[3, 1, 0, 4]).unwrap();
    let [recv, send] = keys;
    for (kind, salt, key) in [
        (Kind::MS_MPPE_SEND_KEY, [0x80, 1], vec![2; send]),
        (Kind::MS_MPPE_RECV_KEY, [0x80, 2], vec![1; recv]),
    ] {
        if !key.is_empty() {
            let authenticator = request.packet().authenticator;
            let value = hidden(&authenticator, salt, &key);
            let mut vendor = vec![0, 0, 1, 55, kind.0, value.len() as u8 + 2];
            vendor.extend(value);
            draft.push(Kind::VENDOR_SPECIFIC, &vendor).unwrap();
        }
    }
    for (kind, value) in more {
        draft.push(*kind, value).unwrap();
    }
    draft
}

/// A key as a server hides it (RFC 2548 §2.4.2).
pub(super) fn hidden(request: &[u8; 16], salt: [u8; 2], key: &[u8]) -> Vec<u8> {
    let mut plain = vec![key.len() as u8];
    plain.extend(key);
    plain.resize(plain.len().next_multiple_of(16), 0);
    let mut value = salt.to_vec();
    let mut pad = md5(&[SECRET, request, &salt]);
    for block in plain.chunks(16) {
        let octets: Vec<u8> = block.iter().zip(pad).map(|(a, b)| a ^ b).collect();
        pad = md5(&[SECRET, &octets]);
        value.extend(octets);
    }
    value
}
