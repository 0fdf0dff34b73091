//! What the clients of a fleet offer first, octet for octet as long as theirs, and what each profile
//! makes of it.

use harness::emulator::{
    self, Cipher, android, ios, macos, strongswan_app, windows, windows_custom, windows_dh2048,
};
use harness::script::{Script, config};
use ikexdp::probe::client::Fresh;
use ikexdp_proto::config::{Config, IkeAlgorithms};
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::event::{Event, FailureReason};
use ikexdp_proto::message::init::InitReply;
use ikexdp_proto::mismatch::Mismatch;
use ikexdp_proto::profile::Profile;
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::ExchangeType;
use ikexdp_proto::wire::writer::ChainWriter;
use ring::rand::SystemRandom;

/// What a profile of algorithms makes of a client.
struct Client {
    profile: emulator::profile::Profile,
    /// By profile of algorithms: the suite, or what the client hears instead.
    outcomes: [&'static str; 3],
}

const REFUSED: &str = "NO_PROPOSAL_CHOSEN";

fn clients() -> Vec<Client> {
    let clients = [
        (
            windows(),
            [
                REFUSED,
                REFUSED,
                "aes256-cbc-sha2-256/prf-sha2-256/modp1024",
            ],
        ),
        (
            windows_dh2048(),
            [
                REFUSED,
                "aes256-cbc-sha2-256/prf-sha2-256/modp2048",
                "aes256-cbc-sha2-256/prf-sha2-256/modp2048",
            ],
        ),
        (
            windows_custom(Cipher::Aes128, Group::Ecp256),
            [
                REFUSED,
                "aes128-cbc-sha2-384/prf-sha2-384/ecp256",
                "aes128-cbc-sha2-384/prf-sha2-384/ecp256",
            ],
        ),
        (
            windows_custom(Cipher::Aes256, Group::Ecp384),
            [
                REFUSED,
                "aes256-cbc-sha2-384/prf-sha2-384/ecp384",
                "aes256-cbc-sha2-384/prf-sha2-384/ecp384",
            ],
        ),
        (ios(), [REFUSED, "ecp256", "ecp256"]),
        (
            macos(),
            [
                REFUSED,
                "aes128-gcm16/prf-sha2-512/ecp256",
                "aes128-gcm16/prf-sha2-512/ecp256",
            ],
        ),
        // Asked for a key of the group that we like best, it sends one.
        (android(), ["x25519"; 3]),
        (strongswan_app(), ["x25519"; 3]),
    ];
    let client = |(profile, outcomes)| Client { profile, outcomes };
    clients.into_iter().map(client).collect()
}

/// Asks a gateway with `profile`; what comes of it, and why if nothing does.
fn ask(client: &Client, profile: Profile) -> (String, Option<Box<Mismatch>>) {
    let mut config = config();
    config.ike = IkeAlgorithms::of(profile);
    ask_with(client, config)
}

fn ask_with(client: &Client, config: Config) -> (String, Option<Box<Mismatch>>) {
    let mut script = Script::new(config);
    let key = client
        .profile
        .client
        .group
        .generate(&SystemRandom::new())
        .unwrap();
    let mut chain = ChainWriter::default();
    let fresh = Fresh {
        group: key.group().id(),
        public: key.public(),
        nonce: &vec![0x4e; client.profile.client.nonce_len],
        nat: [[7; 20]; 2],
    };
    client.profile.client.open(&mut chain, &fresh);
    let request = script.clear(ExchangeType::IKE_SA_INIT, &chain.finish());
    if let Some(length) = client.profile.client.opening_len {
        assert_eq!(request.len(), length, "{}", client.profile.client.name);
    }
    let sent = script.deliver(&request);
    let [answer] = &sent[..] else {
        panic!(
            "{}: one answer, not {}",
            client.profile.client.name,
            sent.len()
        );
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
            assert_eq!(
                outcome, expected,
                "{} and {profile}",
                client.profile.client.name
            );
            assert_eq!(
                mismatch.is_some(),
                outcome == REFUSED,
                "{}",
                client.profile.client.name
            );
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
        assert_eq!(mismatch.is_windows, client.profile.client.is_windows());
        let hint = mismatch.hint();
        assert!(
            hint.contains("gateway.algorithms = \"compatible\""),
            "{hint}"
        );
        let can_be_broken = mismatch.profile == Some(Profile::LegacyWindows);
        let command = hint.contains("Set-VpnConnectionIPsecConfiguration");
        assert_eq!(
            command, can_be_broken,
            "{}: {hint}",
            client.profile.client.name
        );
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
