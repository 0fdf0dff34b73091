//! What strangers can have the gateway do: cookies, half-open SAs, and messages that
//! do not authenticate (RFC 7296 §2.6, RFC 8019).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use harness::script::{KEY, NONCE, Script, clear_notify, config};
use ikexdp_proto::Input;
use ikexdp_proto::config::{Config, Cookies};
use ikexdp_proto::event::{Event, FailureReason};
use ikexdp_proto::limits::{CALM_TIME, HURRIED_HALF_OPEN, UNAUTHENTIC_MAX};
use ikexdp_proto::stats::Stat;
use ikexdp_proto::types::Spi;
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{ExchangeType, GroupId, NotifyType, PayloadType};

/// Cookies from `threshold` half-open SAs, or from `rate` requests in a second.
fn gated(threshold: usize, rate: u32) -> Config {
    let mut config = config();
    config.gate.cookie_threshold = threshold;
    config.gate.cookie_rate = rate;
    config
}

/// What becomes of an IKE_SA_INIT request.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Accepted,
    Cookie(Vec<u8>),
    Dropped,
}

/// The next IKE_SA_INIT request of a stranger, with `cookie`.
fn knock(script: &mut Script, cookie: Option<&[u8]>) -> Fate {
    let request = script.init_request(|request| request.cookie = cookie);
    match script.deliver(&request).as_slice() {
        [] => Fate::Dropped,
        [reply] => {
            let (header, _) = Header::decode(reply).unwrap();
            if header.spis.responder != Spi::ZERO {
                return Fate::Accepted;
            }
            let (kind, cookie) = clear_notify(reply);
            assert_eq!(kind, NotifyType::COOKIE);
            Fate::Cookie(cookie)
        }
        several => panic!("{} replies", several.len()),
    }
}

/// A stranger that shows that it receives, as often as it is asked to.
fn enter(script: &mut Script) -> Fate {
    match knock(script, None) {
        Fate::Cookie(cookie) => knock(script, Some(&cookie)),
        fate => fate,
    }
}

/// The next stranger has another SPI.
fn next(script: &mut Script) {
    script.spis.initiator.0 += 1;
}

fn from(script: &mut Script, address: &str) {
    script.path.remote = SocketAddr::new(address.parse().unwrap(), 500);
}

fn told(script: &mut Script) -> Vec<String> {
    let events = script.events.drain(..);
    let told = events.filter_map(|event| match event {
        Event::CookiesOn { .. } => Some("on".to_owned()),
        Event::CookiesOff { cookies, .. } => Some(format!("off after {cookies}")),
        _ => None,
    });
    told.collect()
}

#[test]
fn many_half_open_sas_turn_cookies_on_until_there_are_half_as_many() {
    let mut script = Script::new(gated(4, 1000));
    for _ in 0..4 {
        assert_eq!(knock(&mut script, None), Fate::Accepted);
        next(&mut script);
    }
    assert!(script.endpoint.is_challenging());
    assert_eq!(told(&mut script), ["on"]);
    assert!(matches!(knock(&mut script, None), Fate::Cookie(_)));
    // Those four have 30 s, from which on it must be calm for a while.
    script.wait(Duration::from_secs(30) + CALM_TIME / 2);
    assert_eq!(script.endpoint.half_open(), 0);
    assert!(script.endpoint.is_challenging());
    script.wait(CALM_TIME);
    assert!(!script.endpoint.is_challenging());
    assert_eq!(told(&mut script), ["off after 1"]);
    assert_eq!(knock(&mut script, None), Fate::Accepted);
}

/// A flood of what makes no SA costs work as well: here of a group that is refused.
#[test]
fn many_requests_turn_cookies_on_though_no_sa_comes_of_them() {
    let mut script = Script::new(gated(1000, 50));
    let flood = script.init_request(|request| {
        request.key_exchange.group = GroupId::MODP_2048;
        request.key_exchange.data = &[1; 256];
    });
    for _ in 0..49 {
        let sent = script.deliver(&flood);
        assert_eq!(clear_notify(&sent[0]).0, NotifyType::INVALID_KE_PAYLOAD);
    }
    let sent = script.deliver(&flood);
    assert_eq!(clear_notify(&sent[0]).0, NotifyType::COOKIE);
    assert_eq!(enter(&mut script), Fate::Accepted);
    script.wait(CALM_TIME + Duration::from_secs(1));
    assert!(!script.endpoint.is_challenging());
}

/// XDP asks everybody for a cookie in a flood, also whoever repeats a request that the
/// engine has answered already.
#[test]
fn who_was_asked_for_a_cookie_in_between_goes_on() {
    let mut script = Script::new(gated(1000, 1000));
    let first = script.init_request(|_| ());
    let responses = script.deliver(&first);
    assert_eq!(knock(&mut script, Some(&[7; 9])), Fate::Dropped);
    let (address, spi) = (script.path.remote.ip(), script.spis.initiator.0);
    let secrets = script.endpoint.cookie_secrets();
    let cookie: &'static [u8] = secrets.mint(address, spi, &NONCE).to_vec().leak();
    let another = script.init_request(|request| {
        request.cookie = Some(cookie);
        request.key_exchange.data = &[9; 32];
    });
    assert!(script.deliver(&another).is_empty());
    script.init_as(|request| request.cookie = Some(cookie));
    // The response may have been late, and not lost: it is still good.
    let [response] = responses.as_slice() else {
        panic!("one response, not {}", responses.len())
    };
    assert_eq!(Header::decode(response).unwrap().0.spis, script.spis);
    assert_eq!(script.endpoint.half_open(), 1);
    assert_eq!(script.endpoint.stats().value(Stat::InitAccepted), 1);
    // Its signature is of the request with the cookie.
    let payloads = script.auth_payloads(KEY, Some(Script::child()));
    script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
    assert_eq!(script.endpoint.established(), 1);
}

/// Whoever answers in the engine's place keeps cookies on, and turns them on for
/// nobody.
#[test]
fn what_is_challenged_elsewhere_keeps_cookies_on() {
    let mut script = Script::new(gated(4, 50));
    script
        .endpoint
        .handle(script.now, Input::Challenged(10_000));
    assert!(!script.endpoint.is_challenging());
    for _ in 0..4 {
        knock(&mut script, None);
        next(&mut script);
    }
    for _ in 0..100 {
        script.wait(Duration::from_secs(1));
        script.endpoint.handle(script.now, Input::Challenged(25));
        assert!(script.endpoint.is_challenging());
    }
    script.wait(CALM_TIME);
    assert!(!script.endpoint.is_challenging());
    assert_eq!(told(&mut script), ["on", "off after 2500"]);
}

#[test]
fn cookies_can_be_asked_for_always_or_never() {
    let mut always = gated(1000, 1000);
    always.gate.cookies = Cookies::Always;
    let mut script = Script::new(always);
    assert!(matches!(knock(&mut script, None), Fate::Cookie(_)));
    assert_eq!(enter(&mut script), Fate::Accepted);
    assert_eq!(told(&mut script), [""; 0]);
    let mut never = gated(1, 1);
    never.gate.cookies = Cookies::Off;
    never.gate.half_open_max = 3;
    let mut script = Script::new(never);
    for host in 1..=3 {
        from(&mut script, &format!("192.0.2.{host}"));
        assert_eq!(knock(&mut script, None), Fate::Accepted);
        next(&mut script);
    }
    assert_eq!(knock(&mut script, None), Fate::Dropped);
}

/// The host shares the secrets, so it must hear when they change, though nobody comes.
#[test]
fn a_cookie_made_elsewhere_is_good_until_it_is_old() {
    let mut script = Script::new(gated(0, 1000));
    let secrets = script.endpoint.cookie_secrets().clone();
    let address = script.path.remote.ip();
    let cookie = secrets.mint(address, script.spis.initiator.0, &[0x4e; 32]);
    script.endpoint.handle(script.now, Input::Challenged(1));
    script.wait(Duration::from_secs(60));
    assert_ne!(script.endpoint.cookie_secrets(), &secrets);
    assert_eq!(knock(&mut script, Some(&cookie)), Fate::Accepted);
    script.wait(Duration::from_secs(60));
    next(&mut script);
    let cookie = secrets.mint(address, script.spis.initiator.0, &[0x4e; 32]);
    assert!(matches!(knock(&mut script, Some(&cookie)), Fate::Cookie(_)));
}

/// XDP asks with the secrets that it was told last, after however long a silence.
#[test]
fn the_first_client_after_a_long_silence_is_asked_once() {
    let mut config = gated(1000, 1000);
    config.gate.cookies = Cookies::Always;
    let mut script = Script::new(config);
    script.wait(Duration::from_secs(86_400));
    let (address, spi) = (script.path.remote.ip(), script.spis.initiator.0);
    let told = script.endpoint.cookie_secrets();
    let cookie = told.mint(address, spi, &NONCE);
    assert_eq!(knock(&mut script, Some(&cookie)), Fate::Accepted);
}

/// One address with valid cookies has its share, which is not all there is.
#[test]
fn a_source_cannot_take_the_places_of_others() {
    let mut config = gated(2, 1000);
    config.gate.half_open_per_source = 5;
    config.gate.half_open_max = 40;
    let mut script = Script::new(config);
    let mut flood = |address: &str| {
        from(&mut script, address);
        let fates = (0..100).map(|_| {
            next(&mut script);
            enter(&mut script)
        });
        fates.filter(|fate| *fate == Fate::Accepted).count()
    };
    assert_eq!(flood("192.0.2.10"), 5);
    // All addresses of an IPv6 network are one source.
    assert_eq!(flood("2001:db8::1"), 5);
    assert_eq!(flood("2001:db8::2"), 0);
    assert_eq!(flood("2001:db8:0:1::1"), 5);
    // The less room there is, the less of it has one.
    let others = [11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
    let others = others.map(|host| flood(&format!("192.0.2.{host}")));
    assert_eq!(others, [5, 5, 5, 3, 2, 2, 1, 1, 1, 0]);
    let stats = script.endpoint.stats();
    assert_eq!(stats.value(Stat::HalfOpenLimit), 99 + 100);
    assert_eq!(script.endpoint.half_open(), 40);
    // Places are given back one by one.
    script.wait(Duration::from_secs(31));
    assert_eq!(script.endpoint.half_open(), 0);
    from(&mut script, "192.0.2.10");
    for _ in 0..5 {
        next(&mut script);
        assert_eq!(enter(&mut script), Fate::Accepted);
    }
    next(&mut script);
    assert_eq!(enter(&mut script), Fate::Dropped);
}

/// Whoever has a /48 of IPv6 has 65,536 sources.
#[test]
fn a_customer_with_many_networks_cannot_take_the_places_of_others() {
    let mut config = gated(2, 1000);
    config.gate.half_open_per_source = 5;
    let mut script = Script::new(config);
    let mut enters = |address: String| {
        from(&mut script, &address);
        next(&mut script);
        enter(&mut script) == Fate::Accepted
    };
    let mine = (0..100).filter(|net| enters(format!("2001:db8:1:{net}::1")));
    assert_eq!(mine.count(), 4 * 5);
    assert!(enters("2001:db8:2::1".to_owned()));
    let stats = script.endpoint.stats();
    assert_eq!(stats.value(Stat::HalfOpenOfNetwork), 80);
}

/// XDP does not see what has IP options or comes in fragments, nor is it always there.
#[test]
fn who_is_over_its_rate_is_asked_for_a_cookie_and_then_dropped() {
    let mut config = gated(1000, 1000);
    config.gate.init_rate_per_source = 2;
    config.gate.init_burst_per_source = 5;
    config.gate.init_rate = 12;
    let mut script = Script::new(config.clone());
    let flood = |script: &mut Script, address: &str| {
        from(script, address);
        let fates = (0..50).map(|_| {
            next(script);
            enter(script)
        });
        fates.filter(|fate| *fate == Fate::Accepted).count()
    };
    // As many as may come at once, and as many again with cookies.
    assert_eq!(flood(&mut script, "192.0.2.10"), 2 * 5);
    assert_eq!(flood(&mut script, "192.0.2.11"), 2 * 5);
    assert_eq!(flood(&mut script, "192.0.2.12"), 5 + 2);
    let stats = script.endpoint.stats();
    assert_eq!(stats.value(Stat::CookieSent), 45 + 45 + 45);
    assert_eq!(stats.value(Stat::InitRateOfSource), 40 + 40);
    assert_eq!(stats.value(Stat::InitRateLimit), 43);
    script.wait(Duration::from_secs(1));
    assert_eq!(flood(&mut script, "192.0.2.10"), 2 * 2);
    // Nobody is limited who may have been put there by a forger.
    config.gate.cookies = Cookies::Off;
    script.endpoint.reconfigure(Arc::new(config));
    assert_eq!(flood(&mut script, "192.0.2.10"), 50);
}

/// For who is vouched for there is only the limit of all. But anybody can write its address,
/// and so it is asked for cookies like everybody.
#[test]
fn who_is_allowed_has_more_than_a_share() {
    let mut config = gated(2, 1000);
    config.gate.half_open_per_source = 1;
    config.gate.init_burst_per_source = 1;
    config.gate.half_open_max = 5;
    let mut script = Script::new(config);
    script.is_allowed = true;
    for _ in 0..2 {
        assert_eq!(knock(&mut script, None), Fate::Accepted);
        next(&mut script);
    }
    for _ in 0..3 {
        assert!(matches!(knock(&mut script, None), Fate::Cookie(_)));
        assert_eq!(enter(&mut script), Fate::Accepted);
        next(&mut script);
    }
    assert_eq!(enter(&mut script), Fate::Dropped);
    let stats = script.endpoint.stats();
    assert_eq!(stats.value(Stat::HalfOpenLimit), 1);
}

/// Whoever writes the address of another makes that one show that it receives, and no more.
#[test]
fn nobody_is_kept_out_by_who_forges_its_address() {
    let mut config = gated(1000, 5000);
    config.gate.init_rate_per_source = 2;
    config.gate.init_burst_per_source = 50;
    config.gate.half_open_per_source = 20;
    let mut script = Script::new(config);
    // Half of them are refused, and make no SA.
    for n in 0..1000 {
        next(&mut script);
        let request = script.init_request(|request| {
            if n % 2 == 0 {
                request.key_exchange.group = GroupId::MODP_2048;
                request.key_exchange.data = &[1; 256];
            }
        });
        script.deliver(&request);
    }
    assert!(!script.endpoint.is_challenging());
    assert_eq!(script.endpoint.half_open(), 10);
    for _ in 0..10 {
        next(&mut script);
        assert!(matches!(knock(&mut script, None), Fate::Cookie(_)));
        assert_eq!(enter(&mut script), Fate::Accepted);
    }
}

/// A client that gets in gives its place back at once.
#[test]
fn who_is_in_is_not_half_open() {
    let mut config = config();
    config.gate.half_open_per_source = 1;
    let mut script = Script::new(config);
    for _ in 0..3 {
        script.init();
        let payloads = script.auth_payloads(KEY, Some(script.another_child()));
        script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
        script.begin_anew();
    }
    assert_eq!(script.endpoint.established(), 3);
}

/// Who has shown that it receives must go on soon, while there is much to do.
#[test]
fn a_handshake_has_less_time_while_cookies_are_asked_for() {
    let mut script = Script::new(gated(1, 1000));
    assert_eq!(knock(&mut script, None), Fate::Accepted);
    next(&mut script);
    assert_eq!(enter(&mut script), Fate::Accepted);
    assert_eq!(script.endpoint.half_open(), 2);
    script.wait(HURRIED_HALF_OPEN);
    assert_eq!(script.endpoint.half_open(), 1);
    script.wait(Duration::from_secs(30) - HURRIED_HALF_OPEN);
    assert_eq!(script.endpoint.half_open(), 0);
}

/// Who sees the SPIs can send junk; each message costs us no more than looking at it,
/// and one handshake at the end.
#[test]
fn junk_for_a_half_open_sa_ends_it_without_more_work() {
    let mut script = Script::new(config());
    script.init();
    let payloads = script.auth_payloads(KEY, Some(Script::child()));
    let request = script.seal(ExchangeType::IKE_AUTH, 1, &payloads);
    let mut junk = request.to_vec();
    *junk.last_mut().unwrap() ^= 1;
    for n in 1..UNAUTHENTIC_MAX {
        assert!(script.deliver(&junk).is_empty(), "message {n}");
    }
    assert!(script.events.is_empty());
    for _ in 0..100 {
        assert!(script.deliver(&junk).is_empty());
    }
    let [Event::HandshakeFailed(failure)] = script.events.as_slice() else {
        panic!("one event: {:?}", script.events)
    };
    assert_eq!(failure.reason, FailureReason::Unauthentic);
    let stats = script.endpoint.stats();
    assert_eq!(
        stats.value(Stat::Unauthentic),
        u64::from(UNAUTHENTIC_MAX),
        "the rest is not looked at"
    );
    // The right one comes too late, and the place is kept: who does this again and
    // again gets no more key exchanges for it.
    assert!(script.deliver(&request).is_empty());
    assert_eq!(script.endpoint.half_open(), 1);
    script.wait(Duration::from_secs(30));
    assert_eq!(script.endpoint.half_open(), 0);
}

/// Who has sent one fragment that is authentic is there, whatever others send.
#[test]
fn no_junk_ends_a_handshake_that_goes_on() {
    let mut script = Script::new(config());
    script.init();
    let payloads = script.auth_payloads(KEY, Some(Script::child()));
    let (half, rest) = payloads.octets.split_at(payloads.octets.len() / 2);
    let auth = ExchangeType::IKE_AUTH;
    let first = script.seal_part(auth, 1, payloads.first, Some((1, 2)), half);
    let second = script.seal_part(auth, 1, PayloadType(0), Some((2, 2)), rest);
    script.deliver(&first);
    let mut junk = second.to_vec();
    *junk.last_mut().unwrap() ^= 1;
    for _ in 0..100 {
        assert!(script.deliver(&junk).is_empty());
    }
    script.deliver(&second);
    assert_eq!(script.endpoint.established(), 1);
}

#[test]
fn some_junk_keeps_nobody_out_and_an_sa_that_is_up_does_not_care() {
    let mut script = Script::new(config());
    script.init();
    let payloads = script.auth_payloads(KEY, Some(Script::child()));
    let request = script.seal(ExchangeType::IKE_AUTH, 1, &payloads);
    let mut junk = request.to_vec();
    *junk.last_mut().unwrap() ^= 1;
    for _ in 1..UNAUTHENTIC_MAX {
        script.deliver(&junk);
    }
    assert_eq!(script.deliver(&request).len(), 1);
    assert_eq!(script.endpoint.established(), 1);
    junk[23] = 2;
    for _ in 0..1000 {
        script.deliver(&junk);
    }
    assert_eq!(script.endpoint.established(), 1);
}

/// Only one key exchange is made for an SA, whatever comes meanwhile.
#[test]
fn a_half_open_sa_costs_one_key_exchange() {
    let mut script = Script::new(config());
    script.waiting = Some(std::collections::VecDeque::new());
    script.all_wait = true;
    let request = script.init_request(|_| ());
    for _ in 0..100 {
        assert!(script.deliver(&request).is_empty());
    }
    assert_eq!(script.waiting.as_ref().map(|jobs| jobs.len()), Some(1));
    script.waiting = None;
}
