//! What the clients of a fleet offer first, octet for octet as long as theirs, and what each profile
//! makes of it.

use harness::script::{Script, config};
use ikexdp_proto::config::{Config, IkeAlgorithms};
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::event::{Event, FailureReason};
use ikexdp_proto::message::init::InitReply;
use ikexdp_proto::mismatch::Mismatch;
use ikexdp_proto::profile::Profile;
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType, PayloadType, ProtocolId, TransformType};
use ikexdp_proto::wire::payload::ke::KeyExchange;
use ikexdp_proto::wire::payload::nonce;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::sa::{self, Proposal, Transform};
use ikexdp_proto::wire::writer::ChainWriter;
use ring::rand::SystemRandom;

/// A client as it comes, or as its administrator has set it up.
struct Client {
    name: &'static str,
    proposals: Vec<Proposal>,
    /// Of its KE payload.
    group: Group,
    nonce: usize,
    /// In front of those of NAT detection.
    notifies: &'static [NotifyType],
    is_windows: bool,
    /// Octets of its IKE_SA_INIT request, where that has been seen.
    length: Option<usize>,
    /// By profile: the suite, or what the client hears instead.
    outcomes: [&'static str; 3],
}

const REFUSED: &str = "NO_PROPOSAL_CHOSEN";

/// (transform type, number, key length)
type Row = (TransformType, u16, Option<u16>);

const fn encryption(id: u16, bits: u16) -> Row {
    let bits = if bits == 0 { None } else { Some(bits) };
    (TransformType::ENCRYPTION, id, bits)
}

const fn integrity(id: u16) -> Row {
    (TransformType::INTEGRITY, id, None)
}

const fn prf(id: u16) -> Row {
    (TransformType::PRF, id, None)
}

const fn group(id: u16) -> Row {
    (TransformType::KEY_EXCHANGE, id, None)
}

/// Windows names one algorithm of each kind in a proposal.
fn proposals(rows: &[Vec<Row>]) -> Vec<Proposal> {
    let proposals = rows.iter().zip(1..).map(|(rows, number)| Proposal {
        number,
        protocol: ProtocolId::IKE,
        spi: Vec::new(),
        transforms: rows
            .iter()
            .map(|(kind, id, bits)| Transform::new(*kind, *id, *bits))
            .collect(),
    });
    proposals.collect()
}

/// SHA-1, SHA2-256 and SHA2-384, as integrity and as PRF.
const HASHES: [(u16, u16); 3] = [(2, 2), (12, 5), (13, 6)];

/// Each of `ciphers` with each hash, in `modp`.
fn of_windows(ciphers: &[(u16, u16)], modp: u16) -> Vec<Proposal> {
    let rows = ciphers.iter().flat_map(|(id, bits)| {
        HASHES.map(|(mac, function)| {
            let cipher = encryption(*id, *bits);
            vec![cipher, integrity(mac), prf(function), group(modp)]
        })
    });
    proposals(&rows.collect::<Vec<_>>())
}

fn windows(proposals: Vec<Proposal>, group: Group) -> Client {
    Client {
        name: "",
        proposals,
        group,
        nonce: 48,
        notifies: &[NotifyType::IKEV2_FRAGMENTATION_SUPPORTED],
        is_windows: true,
        length: None,
        outcomes: [REFUSED; 3],
    }
}

fn clients() -> Vec<Client> {
    let mut clients = windows_clients();
    clients.extend(other_clients());
    clients
}

fn windows_clients() -> Vec<Client> {
    let custom = |bits, ecp| {
        let rows = vec![encryption(12, bits), integrity(13), prf(6), group(ecp)];
        proposals(&[rows])
    };
    let every_cipher = [(3, 0), (12, 128), (12, 192), (12, 256)];
    vec![
        Client {
            name: "Windows 10 as it comes",
            length: Some(888),
            outcomes: [
                REFUSED,
                REFUSED,
                "aes256-cbc-sha2-256/prf-sha2-256/modp1024",
            ],
            ..windows(of_windows(&every_cipher, 2), Group::Modp1024)
        },
        Client {
            name: "Windows with NegotiateDH2048_AES256 = 2",
            length: Some(632),
            outcomes: [
                REFUSED,
                "aes256-cbc-sha2-256/prf-sha2-256/modp2048",
                "aes256-cbc-sha2-256/prf-sha2-256/modp2048",
            ],
            ..windows(of_windows(&[(12, 256)], 14), Group::Modp2048)
        },
        Client {
            name: "Windows with AES128, SHA384 and ECP256",
            length: Some(352),
            outcomes: [
                REFUSED,
                "aes128-cbc-sha2-384/prf-sha2-384/ecp256",
                "aes128-cbc-sha2-384/prf-sha2-384/ecp256",
            ],
            ..windows(custom(128, 19), Group::Ecp256)
        },
        Client {
            name: "Windows with AES256, SHA384 and ECP384",
            length: Some(384),
            outcomes: [
                REFUSED,
                "aes256-cbc-sha2-384/prf-sha2-384/ecp384",
                "aes256-cbc-sha2-384/prf-sha2-384/ecp384",
            ],
            ..windows(custom(256, 20), Group::Ecp384)
        },
    ]
}

fn other_clients() -> Vec<Client> {
    let nat_only = |proposals, group, nonce| Client {
        notifies: &[],
        is_windows: false,
        nonce,
        ..windows(proposals, group)
    };
    vec![
        Client {
            name: "iOS set up by hand",
            notifies: &[
                NotifyType::REDIRECT_SUPPORTED,
                NotifyType::IKEV2_FRAGMENTATION_SUPPORTED,
            ],
            length: Some(604),
            outcomes: [REFUSED, "ecp256", "ecp256"],
            ..nat_only(
                proposals(&[
                    vec![encryption(12, 256), integrity(12), prf(5), group(14)],
                    vec![encryption(12, 256), integrity(12), prf(5), group(19)],
                    vec![encryption(12, 256), integrity(12), prf(5), group(5)],
                    vec![encryption(12, 128), integrity(2), prf(2), group(2)],
                    vec![encryption(3, 0), integrity(2), prf(2), group(2)],
                ]),
                Group::Modp2048,
                16,
            )
        },
        Client {
            name: "macOS with a profile",
            notifies: &[NotifyType::IKEV2_FRAGMENTATION_SUPPORTED],
            length: Some(240),
            outcomes: [
                REFUSED,
                "aes128-gcm16/prf-sha2-512/ecp256",
                "aes128-gcm16/prf-sha2-512/ecp256",
            ],
            ..nat_only(
                proposals(&[vec![encryption(20, 128), prf(7), group(19)]]),
                Group::Ecp256,
                32,
            )
        },
        // Asked for a key of the group that we like best, it sends one.
        Client {
            name: "Android's own client",
            notifies: &[NotifyType::IKEV2_FRAGMENTATION_SUPPORTED],
            outcomes: ["x25519"; 3],
            ..nat_only(of_android(), Group::Modp4096, 32)
        },
    ]
}

fn of_android() -> Vec<Proposal> {
    let sizes = [256, 192, 128];
    let with = |ids: &[u16]| -> Vec<Row> {
        let ciphers = ids
            .iter()
            .flat_map(|id| sizes.map(|bits| encryption(*id, bits)));
        ciphers.collect()
    };
    let common = [16, 31, 15, 14].map(group).into_iter();
    let common: Vec<_> = common.chain([7, 6, 5, 4, 8, 2].map(prf)).collect();
    let macs = [14, 13, 12, 5, 8].map(integrity);
    let mut aead = vec![encryption(28, 0)];
    aead.extend(with(&[20, 19, 18]));
    aead.extend_from_slice(&common);
    let others = [with(&[13, 12]), macs.to_vec(), common].concat();
    proposals(&[others, aead])
}

/// The vendor IDs of Windows 8 and later.
const VENDOR_IDS: [&[u8]; 4] = [
    b"\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61\0\0\0\x09",
    b"\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20",
    b"\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19",
    b"\x01\x52\x8b\xbb\xc0\x06\x96\x12\x18\x49\xab\x9a\x1c\x5b\x2a\x51\0\0\0\x02",
];

/// Asks a gateway with `profile`; what comes of it, and why if nothing does.
fn ask(client: &Client, profile: Profile) -> (String, Option<Box<Mismatch>>) {
    let mut config = config();
    config.ike = IkeAlgorithms::of(profile);
    ask_with(client, config)
}

fn ask_with(client: &Client, config: Config) -> (String, Option<Box<Mismatch>>) {
    let mut script = Script::new(config);
    let key = client.group.generate(&SystemRandom::new()).unwrap();
    let mut chain = ChainWriter::default();
    sa::encode(&mut chain, &client.proposals);
    let key_exchange = KeyExchange {
        group: client.group.id(),
        data: key.public(),
    };
    key_exchange.encode(&mut chain);
    nonce::encode(&mut chain, &vec![0x4e; client.nonce]);
    for kind in client.notifies {
        Notify::new(*kind, &[]).encode(&mut chain);
    }
    for kind in [
        NotifyType::NAT_DETECTION_SOURCE_IP,
        NotifyType::NAT_DETECTION_DESTINATION_IP,
    ] {
        Notify::new(kind, &[7; 20]).encode(&mut chain);
    }
    for id in VENDOR_IDS.iter().filter(|_| client.is_windows) {
        chain.payload(PayloadType::VENDOR_ID, |body| body.bytes(id));
    }
    let request = script.clear(ExchangeType::IKE_SA_INIT, &chain.finish());
    if let Some(length) = client.length {
        assert_eq!(request.len(), length, "{}", client.name);
    }
    let sent = script.deliver(&request);
    let [answer] = &sent[..] else {
        panic!("{}: one answer, not {}", client.name, sent.len());
    };
    let (header, payloads) = Header::decode(answer).unwrap();
    let outcome = match InitReply::decode(header.next_payload, payloads).unwrap() {
        InitReply::Accepted(_) => {
            let sa = script.endpoint.summaries(None).next().unwrap();
            sa.suite.expect("an SA has algorithms").to_string()
        }
        InitReply::InvalidKe(wanted) => {
            let wanted = Group::ALL.into_iter().find(|group| group.id() == wanted);
            wanted.expect("a group of ours").to_string()
        }
        InitReply::Refused(notify) => notify.to_string(),
        InitReply::Cookie(_) => "a cookie".to_owned(),
    };
    let mismatch = script.events.into_iter().find_map(|event| match event {
        Event::HandshakeFailed(failure) => match failure.reason {
            FailureReason::NoCommonAlgorithms(mismatch) => Some(mismatch),
            _ => None,
        },
        _ => None,
    });
    (outcome, mismatch)
}

#[test]
fn each_client_gets_what_its_profile_has() {
    for client in clients() {
        for (profile, expected) in Profile::ALL.into_iter().zip(client.outcomes) {
            let (outcome, mismatch) = ask(&client, profile);
            assert_eq!(outcome, expected, "{} and {profile}", client.name);
            assert_eq!(mismatch.is_some(), outcome == REFUSED, "{}", client.name);
        }
    }
}

/// Who is refused can be helped: the log says what takes the client, or what it must change.
#[test]
fn a_refusal_names_the_profile_and_the_remedy() {
    for client in clients() {
        let (_, mismatch) = ask(&client, Profile::Modern);
        let Some(mismatch) = mismatch else {
            continue;
        };
        let takes = client
            .outcomes
            .iter()
            .position(|outcome| *outcome != REFUSED);
        assert_eq!(mismatch.profile, takes.map(|place| Profile::ALL[place]));
        assert_eq!(mismatch.is_windows, client.is_windows);
        let hint = mismatch.hint();
        assert!(
            hint.contains("gateway.algorithms = \"compatible\""),
            "{hint}"
        );
        let can_be_broken = mismatch.profile == Some(Profile::LegacyWindows);
        let command = hint.contains("Set-VpnConnectionIPsecConfiguration");
        assert_eq!(command, can_be_broken, "{}: {hint}", client.name);
        let text = mismatch.to_string();
        assert!(text.contains("ours: aes256-gcm16, aes128-gcm16"), "{text}");
    }
}

/// A profile does not help where lists go before it.
#[test]
fn a_refusal_by_lists_of_our_own_says_so() {
    let clients = clients();
    let mut config = config();
    config.ike.groups = vec![Group::Curve25519];
    let (outcome, mismatch) = ask_with(&clients[5], config);
    assert_eq!(outcome, REFUSED);
    let hint = mismatch.expect("refused").hint();
    assert!(hint.contains("the lists of `ike`"), "{hint}");
    assert!(!hint.contains("gateway.algorithms"), "{hint}");
}

#[test]
fn the_nearest_proposal_is_named_with_what_it_lacks() {
    let clients = clients();
    let nearest = |place: usize, profile| {
        let (_, mismatch) = ask(&clients[place], profile);
        mismatch
            .expect("refused")
            .nearest
            .expect("something is near")
    };
    assert_eq!(
        nearest(0, Profile::Compatible),
        "aes128-cbc/sha2-256/prf-sha2-256/modp1024, but for its group"
    );
    assert_eq!(
        nearest(5, Profile::Modern),
        "aes128-gcm16/prf-sha2-512/ecp256, but for its group"
    );
    assert_eq!(
        nearest(2, Profile::Modern),
        "aes128-cbc/sha2-384/prf-sha2-384/ecp256, but for its cipher and group"
    );
}
