//! The SPIs of our IKE SAs: where they come from, and what becomes of messages that
//! name one that we do not have (RFC 7296 §1.5, §2.6, §2.21.4).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{CryptoRng, SeedableRng};
use harness::net::{Net, Side, Weather};
use harness::parties::{Parties, Proof};
use harness::script::{KEY, Script, config, is_unknown};

use ikexdp_proto::message::informational::Informational;
use ikexdp_proto::message::init::notify_only;
use ikexdp_proto::spi::SpiAllocator;
use ikexdp_proto::stats::Stat;
use ikexdp_proto::types::{MessageId, Spi};
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::writer::Chain;
use ikexdp_proto::{Command, Endpoint};

const INFORMATIONAL: ExchangeType = ExchangeType::INFORMATIONAL;

fn nothing() -> Chain {
    Informational::default().encode()
}

fn up() -> Script {
    let mut script = Script::new(config());
    script.establish();
    script
}

/// Gives each of these SPIs over and over.
struct Few(&'static [u64], usize);

impl SpiAllocator for Few {
    fn allocate(&mut self, _: &mut dyn CryptoRng) -> Spi {
        assert!(self.1 < 100, "every SPI is taken");
        self.1 += 1;
        Spi(self.0[(self.1 - 1) % self.0.len()])
    }
}

fn script(spis: &'static [u64]) -> Script {
    let mut script = Script::new(config());
    let entropy = Box::new(ChaCha8Rng::seed_from_u64(1));
    let spis = Box::new(Few(spis, 0));
    script.endpoint = Endpoint::new(Arc::new(config()), entropy, spis);
    script
}

/// Another SA of the client.
fn another(script: &mut Script) {
    script.begin_anew();
    script.init();
    let payloads = script.auth_payloads(KEY, Some(script.another_child()));
    script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
}

fn ours(script: &Script) -> Vec<u64> {
    script.endpoint.our_spis().map(|spi| spi.0).collect()
}

/// RFC 7296 §2.6, §3.1: an SPI is not zero, and names one IKE SA.
#[test]
fn no_two_ike_sas_have_one_spi() {
    let mut script = script(&[0, 7, 7, 0, 8, 9]);
    script.establish();
    another(&mut script);
    assert_eq!(ours(&script), [7, 8]);
    // What is over is free again, a while later.
    script.exchange(
        INFORMATIONAL,
        2,
        &Informational {
            delete_ike: true,
            ..Informational::default()
        }
        .encode(),
    );
    assert_eq!(ours(&script), [7, 8]);
    script.wait(Duration::from_secs(15));
    assert_eq!(ours(&script), [7]);
}

/// Whoever keeps what is not ours from us must know the SPI of an SA before it is one.
#[test]
fn an_spi_that_is_offered_is_taken() {
    let mut script = script(&[7, 7, 8, 7, 8, 9]);
    script.establish();
    let sa = script.endpoint.summaries(None).next().unwrap().id;
    let sent = script.command(Command::Rekey {
        id: sa,
        child: None,
    });
    assert_eq!(sent.len(), 1);
    assert_eq!(ours(&script), [7, 8]);
    another(&mut script);
    assert_eq!(ours(&script), [7, 8, 9]);
}

/// The client does not answer, and is let go: nothing is left of what was offered.
#[test]
fn an_spi_that_nobody_took_is_given_back() {
    let mut script = script(&[7, 8]);
    script.establish();
    let sa = script.endpoint.summaries(None).next().unwrap().id;
    script.command(Command::Rekey {
        id: sa,
        child: None,
    });
    assert_eq!(ours(&script), [7, 8]);
    script.wait(Duration::from_secs(120));
    assert_eq!(ours(&script), [0; 0]);
}

/// RFC 7296 §1.5: the header of the request turned round, INVALID_IKE_SPI without an
/// SPI, to where the request came from.
/// --> INFORMATIONAL { SK {} }
/// <-- INFORMATIONAL { N(INVALID_IKE_SPI) }
#[test]
fn who_speaks_under_a_lost_sa_hears_so() {
    let mut script = up();
    let request = script.seal(INFORMATIONAL, 9, &nothing());
    let (asked, _) = Header::decode(&request).unwrap();
    script.endpoint = Script::new(config()).endpoint;
    let sent = script.deliver(&request);
    assert!(is_unknown(&sent));
    assert!(sent[0].len() <= request.len());
    let (header, _) = Header::decode(&sent[0]).unwrap();
    assert_eq!(header.spis, asked.spis);
    assert_eq!(header.exchange, INFORMATIONAL);
    assert_eq!(header.message_id, MessageId(9));
    assert!(header.response);
    assert_ne!(header.from, asked.from);
    assert!(script.endpoint.is_quiet());
}

/// RFC 7296 §1.5: a response is never answered, or two hosts would do so for ever; nor
/// is what no IKE SA can have sent.
#[test]
fn nothing_else_for_an_unknown_sa_is_answered() {
    let mut script = up();
    let request = script.seal(INFORMATIONAL, 9, &nothing());
    let clear = notify_only(&Notify::new(NotifyType::INVALID_IKE_SPI, &[]));
    let clear = script.clear(INFORMATIONAL, &clear);
    script.endpoint = Script::new(config()).endpoint;
    let changed = |place: usize, value: u8| {
        let mut changed = request.to_vec();
        changed[place] = value;
        changed
    };
    let mut nobodys = request.to_vec();
    nobodys[8..16].fill(0);
    for (what, message) in [
        ("a response", changed(19, 0x28)),
        ("a response of the other side", changed(19, 0x20)),
        ("an unknown exchange", changed(18, 43)),
        ("a message without our SPI", nobodys),
        ("a message in the clear", clear.to_vec()),
    ] {
        assert!(script.deliver(&message).is_empty(), "{what}");
    }
    assert!(is_unknown(&script.deliver(&request)));
}

/// RFC 7296 §1.5, §2.4: who answers strangers does so at a limited rate.
#[test]
fn strangers_hear_of_lost_sas_at_a_limited_rate() {
    let mut script = up();
    let request = script.seal(INFORMATIONAL, 9, &nothing());
    script.endpoint = Script::new(config()).endpoint;
    let flood = |script: &mut Script, source: u32| {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 | source);
        script.path.remote = SocketAddr::new(address.into(), 500);
        (0..50)
            .map(|_| script.deliver(&request).len() as u32)
            .sum::<u32>()
    };
    assert_eq!(flood(&mut script, 0), 10);
    let others: u32 = (1..100).map(|source| flood(&mut script, source)).sum();
    assert_eq!(others, 100 - 10);
    let stats = script.endpoint.stats();
    assert_eq!(stats.value(Stat::InvalidSpiSent), 100);
    assert_eq!(stats.value(Stat::InvalidSpiWithheld), 100 * 50 - 100);
    script.wait(Duration::from_secs(1));
    assert_eq!(flood(&mut script, 0), 10);
}

/// RFC 7296 §2.4, §2.21.4: what is not protected is no reason to close an SA; that the
/// question stays unanswered is, a while later.
/// <-- INFORMATIONAL { SK {} }
/// --> INFORMATIONAL { N(INVALID_IKE_SPI) }
#[test]
fn a_forged_invalid_spi_changes_nothing() {
    let mut script = up();
    script.wait(Duration::from_secs(1));
    let question = script.wait(Duration::from_secs(9)).remove(0);
    let (header, _) = Header::decode(&question).unwrap();
    assert_eq!(header.exchange, INFORMATIONAL);
    let notify = notify_only(&Notify::new(NotifyType::INVALID_IKE_SPI, &[]));
    let mut forged = script.clear(INFORMATIONAL, &notify).to_vec();
    forged[19] = 0x28;
    for _ in 0..100 {
        assert!(script.deliver(&forged).is_empty());
    }
    let received = script.endpoint.stats().value(Stat::InvalidSpiReceived);
    assert_eq!(received, 100);
    assert_eq!(script.endpoint.established(), 1);
    script.answer(&question, &nothing());
    script.wait(Duration::from_secs(5));
    assert_eq!(script.endpoint.established(), 1);
}

/// A gateway that has forgotten all: its client asks, hears so, and lets go when it has
/// asked long enough.
#[test]
fn a_client_lets_go_of_a_gateway_that_was_started_anew() {
    let parties = Parties::new(Proof::SharedKey);
    let mut net = Net::new(1, Weather::FAIR, &parties);
    net.connect();
    net.run(Duration::from_secs(1));
    assert_eq!(net.established(Side::Client).len(), 1);
    net.restart(Side::Gateway, &parties.gateway);
    net.run(Duration::from_secs(61));
    let heard = |net: &Net| {
        let stats = net.endpoint(Side::Client).stats();
        stats.value(Stat::InvalidSpiReceived)
    };
    assert!(heard(&net) > 0);
    assert_eq!(net.established(Side::Client).len(), 1);
    net.run(Duration::from_secs(120));
    assert!(net.established(Side::Client).is_empty());
}
