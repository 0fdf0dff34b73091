//! Deterministic simulation: two endpoints, weather from a seed.
//!
//! A failure prints the seed; `cargo xtask sim --seed N` replays it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test ends by a panic"
)]

use std::time::Duration;

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use harness::net::{Net, Side, Weather};
use harness::parties::{Parties, Proof};
use harness::script::{Script, config};
use ikexdp_proto::Command;
use ikexdp_proto::config::Lifetimes;
use ikexdp_proto::event::{Event, IkeSaSummary};
use ikexdp_proto::limits::{CALM_TIME, DATAGRAM_LEN_MIN, RESPONSE_KEPT};
use ikexdp_proto::stats::Stat;
use ikexdp_proto::types::{EspSpi, Path, Spi};

/// Seeds of the ordinary run.
const SEEDS: u64 = 200;

/// One life of a network: some handshakes in weather as drawn, some rekeying,
/// deletes, restarts and forgetful NATs, then fair weather until everything is
/// quiet.
fn live(seed: u64) -> u64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut weather = Weather::draw(&mut random);
    let parties = parties(&mut random);
    let mut net = Net::new(seed, weather, &parties);
    for _ in 0..1 + random.next_u32() % 4 {
        net.connect();
        net.run(Duration::from_millis(u64::from(random.next_u32() % 20_000)));
        for _ in 0..random.next_u32() % 4 {
            rekey(&mut net, &mut random);
            net.run(Duration::from_millis(u64::from(random.next_u32() % 3_000)));
        }
        disturb(&mut net, &mut random, &parties);
    }
    // Hours in which nothing happens but what the SAs do by themselves.
    net.run(Duration::from_secs(u64::from(random.next_u32() % 7_200)));
    weather.loss = 0;
    weather.datagram_len_max = 1500;
    weather.job_delay = Duration::ZERO;
    net.set_weather(weather);
    // Long enough for every handshake to end and every dead peer to be found.
    net.run(Duration::from_secs(300));
    for _ in 0..60 {
        if sas(&net, Side::Gateway) == sas(&net, Side::Client) && !replacing(&net) {
            break;
        }
        // Something is just being replaced.
        net.run(Duration::from_millis(700));
    }
    agree(&net);
    net.checker().trace()
}

fn parties(random: &mut ChaCha8Rng) -> Parties {
    let proof = match random.next_u32() % 3 {
        0 => Proof::SharedKey,
        _ => Proof::Certificates((random.next_u32() % 6000) as usize),
    };
    let mut parties = Parties::new(proof);
    let sizes = [576, 600, 1280, 1500];
    parties.gateway.fragmentation.datagram_len = sizes[(random.next_u32() % 4) as usize];
    parties.client.fragmentation.datagram_len = sizes[(random.next_u32() % 4) as usize];
    parties.gateway.gate.cookie_threshold = (random.next_u32() % 3) as usize;
    let mut lifetimes = || Lifetimes {
        initiate_rekey: !random.next_u32().is_multiple_of(4),
        ike: Duration::from_secs(300 + u64::from(random.next_u32() % 3_000)),
        child: Duration::from_secs(60 + u64::from(random.next_u32() % 1_000)),
        ..Lifetimes::default()
    };
    let [gateway, client] = [lifetimes(), lifetimes()];
    parties.change_gateway(|connection| connection.lifetimes = gateway);
    parties.change_client(|connection| connection.lifetimes = client);
    parties
}

/// Whether there are more CHILD SAs somewhere than there will be.
fn replacing(net: &Net) -> bool {
    let sas = net.established(Side::Gateway);
    sas.iter().any(|sa| sa.children.len() > 1)
}

/// What goes wrong between two handshakes, or is wanted.
fn disturb(net: &mut Net, random: &mut ChaCha8Rng, parties: &Parties) {
    let side = [Side::Gateway, Side::Client][(random.next_u32() % 2) as usize];
    match random.next_u32() % 6 {
        0 | 1 => {
            if let Some(summary) = net.established(side).first() {
                net.command(side, Command::Terminate(summary.id));
            }
        }
        2 => {
            let config = match side {
                Side::Gateway => &parties.gateway,
                Side::Client => &parties.client,
            };
            net.restart(side, config);
        }
        3 => net.rebind(),
        _ => {}
    }
}

/// Has one side or both replace an SA that they have.
fn rekey(net: &mut Net, random: &mut ChaCha8Rng) {
    for side in [Side::Gateway, Side::Client] {
        let sas = net.established(side);
        let drawn = random.next_u32() as usize;
        let Some(sa) = sas
            .get(drawn % sas.len().max(1))
            .filter(|_| !drawn.is_multiple_of(3))
        else {
            continue;
        };
        let child = sa.children.first().map(|child| child.spi_in);
        let child = child.filter(|_| random.next_u32().is_multiple_of(2));
        net.command(side, Command::Rekey { id: sa.id, child });
    }
}

/// An IKE SA by its SPIs, with its CHILD SAs by theirs.
type KnownSa = (Spi, Spi, Vec<(EspSpi, EspSpi)>);

/// The IKE SAs of a side by their SPIs, with their CHILD SAs by theirs: the one
/// to the gateway first.
fn sas(net: &Net, side: Side) -> Vec<KnownSa> {
    let sa = |sa: &IkeSaSummary| {
        let children = sa.children.iter().map(|child| match side {
            Side::Gateway => (child.spi_in, child.spi_out),
            Side::Client => (child.spi_out, child.spi_in),
        });
        let mut children: Vec<_> = children.collect();
        children.sort();
        (sa.spis.initiator, sa.spis.responder, children)
    };
    let mut sas: Vec<_> = net.established(side).iter().map(sa).collect();
    sas.sort();
    sas
}

/// After quiet both sides know the same SAs, with the same children, and their
/// kernels have the same keys for them.
fn agree(net: &Net) {
    assert_eq!(sas(net, Side::Gateway), sas(net, Side::Client));
    for side in [Side::Gateway, Side::Client] {
        net.kernel(side).holds(&net.established(side));
        net.kernel(side).speaks_with(net.kernel(side.other()));
    }
}

fn replayable(seed: u64, life: impl Fn(u64) -> u64) -> u64 {
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| life(seed)));
    match lived {
        Ok(trace) => trace,
        Err(cause) => {
            eprintln!("replay: cargo xtask sim --seed {seed}");
            std::panic::resume_unwind(cause)
        }
    }
}

/// The seeds to live through: those of the ordinary run, or what `cargo xtask
/// sim` asks for.
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match (number("IKEXDP_SIM_SEED"), number("IKEXDP_SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(seeds)) => 0..seeds,
        (None, None) => 0..SEEDS,
    }
}

#[test]
fn any_weather_ends_in_agreement() {
    for seed in seeds() {
        replayable(seed, live);
    }
}

#[test]
fn the_same_seed_is_the_same_life() {
    for seed in 0..5 {
        assert_eq!(live(seed), live(seed), "seed {seed}");
    }
}

/// 100 of 100 handshakes succeed with 5 % loss each way.
#[test]
fn a_hundred_handshakes_survive_five_percent_loss() {
    for seed in 0..100 {
        let weather = Weather {
            loss: 5,
            jitter: Duration::from_millis(20),
            ..Weather::default()
        };
        let mut net = Net::new(seed, weather, &Parties::new(Proof::Certificates(4000)));
        net.connect();
        net.run(Duration::from_secs(60));
        assert_eq!(net.established(Side::Client).len(), 1, "seed {seed}");
    }
}

/// A path that drops datagrams over N octets, which no configuration knows of:
/// both sides find out by themselves (RFC 7383 §2.5.2), and the next handshake
/// over the same path begins with what the first one found.
#[test]
fn a_narrow_path_is_found_out_and_remembered() {
    for limit in [1279, 1000, 600, 576] {
        let weather = Weather {
            datagram_len_max: limit,
            ..Weather::default()
        };
        let mut net = Net::new(7, weather, &Parties::new(Proof::Certificates(4000)));
        net.connect();
        net.run(Duration::from_secs(60));
        assert_eq!(net.established(Side::Client).len(), 1, "limit {limit}");
        let lowered = |net: &Net, side| {
            let lowered = |event: &&Event| matches!(event, Event::FragmentsLowered { .. });
            net.events(side).iter().filter(lowered).count()
        };
        assert_eq!(lowered(&net, Side::Gateway), 1, "limit {limit}");
        assert_eq!(lowered(&net, Side::Client), 1, "limit {limit}");
        let before = net.now();
        net.connect();
        net.run(Duration::from_secs(1));
        assert_eq!(net.established(Side::Client).len(), 2, "limit {limit}");
        assert_eq!(lowered(&net, Side::Gateway), 1, "since {before:?}");
    }
}

/// The response that came in smaller fragments only is not kept until the client says
/// something again; what it taught is.
#[test]
fn a_narrow_path_is_remembered_longer_than_the_response() {
    let weather = Weather {
        datagram_len_max: 600,
        ..Weather::default()
    };
    let mut parties = Parties::new(Proof::Certificates(4000));
    // So that it is the gateway alone that finds out, and by its response.
    parties.client.fragmentation.datagram_len = DATAGRAM_LEN_MIN;
    for config in [&mut parties.gateway, &mut parties.client] {
        config.timing.liveness = 4 * RESPONSE_KEPT;
        config.timing.first_liveness = 4 * RESPONSE_KEPT;
    }
    let mut net = Net::new(7, weather, &parties);
    net.connect();
    net.run(RESPONSE_KEPT * 2);
    let lowered = |net: &Net| {
        let lowered = |event: &&Event| matches!(event, Event::FragmentsLowered { .. });
        net.events(Side::Gateway).iter().filter(lowered).count()
    };
    let id = net.established(Side::Client)[0].id;
    assert_eq!(lowered(&net), 0);
    net.command(Side::Client, Command::Rekey { id, child: None });
    net.run(Duration::from_secs(1));
    assert_eq!(lowered(&net), 1);
    net.connect();
    net.run(Duration::from_secs(1));
    assert_eq!(net.established(Side::Client).len(), 2);
    assert_eq!(lowered(&net), 1);
}

/// Who plays many hosts remembers nothing of a path for the next one.
#[test]
fn a_narrow_path_is_found_out_anew_if_that_is_wanted() {
    let weather = Weather {
        datagram_len_max: 600,
        ..Weather::default()
    };
    let mut parties = Parties::new(Proof::Certificates(4000));
    parties.client.fragmentation.is_remembered = false;
    let mut net = Net::new(7, weather, &parties);
    for connected in 1..=2 {
        net.connect();
        net.run(Duration::from_secs(60));
        let lowered = |event: &&Event| matches!(event, Event::FragmentsLowered { .. });
        let lowered = net.events(Side::Client).iter().filter(lowered).count();
        assert_eq!(lowered, connected);
    }
}

/// Requests of an attacker, 400 µs apart, and one honest client after the other
/// meanwhile, with a gateway that has room for 1,000 half-open SAs: how many got in,
/// of ten.
fn honest_under(net: &mut Net, mut attack: impl FnMut(&mut Net, u32)) -> usize {
    let mut sent = 0;
    for _ in 0..10 {
        net.connect();
        for _ in 0..2500 {
            attack(net, sent);
            sent += 1;
            net.run(Duration::from_micros(400));
        }
    }
    net.established(Side::Client).len()
}

fn under_attack() -> Net {
    let mut parties = Parties::new(Proof::SharedKey);
    parties.gateway.gate.half_open_max = 1000;
    parties.gateway.gate.half_open_per_source = 100;
    Net::new(1, Weather::FAIR, &parties)
}

/// An IKE_SA_INIT request as anybody can make it, from `address` with `spi`.
fn request_of(
    script: &mut Script,
    address: [u8; 4],
    spi: u64,
    cookie: Option<&[u8]>,
) -> (Path, Vec<u8>) {
    script.spis.initiator = Spi(spi);
    let remote = (address, 500).into();
    let path = Path {
        remote,
        ..script.path
    };
    (
        path,
        script
            .init_request(|request| request.cookie = cookie)
            .to_vec(),
    )
}

/// Who writes addresses that are not its own does not get one half-open SA once cookies
/// are asked for, and nobody is kept out: a cookie is a round trip.
#[test]
fn honest_clients_get_through_a_flood_of_forged_addresses() {
    let mut net = under_attack();
    let mut script = Script::new(config());
    let entered = honest_under(&mut net, |net, n| {
        let [_, a, b, c] = n.to_be_bytes();
        let (path, request) = request_of(&mut script, [10, a, b, c], 1 << 32 | u64::from(n), None);
        net.inject(Side::Gateway, path, &request);
    });
    assert_eq!(entered, 10);
    let gateway = net.endpoint(Side::Gateway);
    assert!(gateway.is_challenging());
    let stats = gateway.stats();
    assert!(
        stats.value(Stat::InitAccepted) < 300,
        "{}",
        stats.value(Stat::InitAccepted)
    );
    assert!(stats.value(Stat::CookieSent) > 24_000);
    assert_eq!(stats.value(Stat::HalfOpenLimit), 0);
    // When it is over, everything is as it was.
    net.run(Duration::from_secs(30) + CALM_TIME * 2);
    let gateway = net.endpoint(Side::Gateway);
    assert!(!gateway.is_challenging());
    assert_eq!(gateway.half_open(), 0);
    agree(&net);
}

/// Who receives at one address has as many half-open SAs as a source may have, however
/// many cookies it sends back.
#[test]
fn honest_clients_get_through_a_flood_of_one_address() {
    let mut net = under_attack();
    let mut script = Script::new(config());
    let entered = honest_under(&mut net, |net, n| {
        let address = [203, 0, 113, 66];
        let spi = 1 << 32 | u64::from(n);
        let secrets = net.endpoint(Side::Gateway).cookie_secrets();
        let cookie = secrets.mint(address.into(), spi, &[0x4e; 32]);
        let (path, request) = request_of(&mut script, address, spi, Some(&cookie));
        net.inject(Side::Gateway, path, &request);
    });
    assert_eq!(entered, 10);
    let gateway = net.endpoint(Side::Gateway);
    assert!(gateway.half_open() <= 100, "{}", gateway.half_open());
    let dropped = [Stat::HalfOpenOfSource, Stat::InitRateOfSource];
    let dropped = dropped.map(|stat| gateway.stats().value(stat));
    assert!(dropped.iter().sum::<u64>() > 24_000, "{dropped:?}");
}
