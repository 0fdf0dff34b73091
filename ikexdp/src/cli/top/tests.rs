//! Pictures of daemons that there are not.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::model::{Order, Reading};
use super::*;
use crate::view::{Counters, Limit, LimitedSource, Source, Sources, Stats, Status, XdpStatus};
use ikexdp_proto::time::Instant;

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

/// A daemon that has been at work for `seconds`.
fn reading(seconds: u64) -> Reading {
    let counters = |counters: &[(&str, u64)]| -> Counters {
        let counters = counters.iter();
        counters
            .map(|(name, each)| (*name, each * seconds))
            .collect()
    };
    let mut stats = Stats {
        xdp: counters(&[
            ("pass_esp", 12_000),
            ("redirect_ike", 40),
            ("drop_ikev1", 3),
        ]),
        queues: vec![
            counters(&[
                ("received", 10),
                ("sent", 9),
                ("kernel_dropped", 0),
                ("kernel_receive_full", 0),
            ]),
            counters(&[
                ("received", 30),
                ("sent", 28),
                ("kernel_dropped", 1),
                ("kernel_receive_full", 1),
            ]),
        ],
        engine: counters(&[
            ("established", 7),
            ("init_accepted", 9),
            ("fragment_received", 35),
            ("fragment_sent", 28),
        ]),
        ..Stats::default()
    };
    stats.handshakes.failed = counters(&[("shared_key", 1), ("timeout", 2)]);
    Reading {
        status: Status {
            version: "1.2.3".to_owned(),
            pid: 42,
            uptime_s: seconds,
            half_open: 5,
            established: 321,
            jobs: 2,
            xdp: Some(XdpStatus {
                interface: "eth0".to_owned(),
                mode: "native".to_owned(),
                queues: Vec::new(),
                addresses: Vec::new(),
                trouble: None,
            }),
            ..Status::default()
        },
        stats,
        sources: Sources {
            seconds: 10,
            sources: vec![Source {
                network: "2001:db8:1:2::/64".to_owned(),
                requests: 50,
            }],
        },
        limited: Vec::new(),
    }
}

fn model() -> Model {
    let mut model = Model::new(INTERVAL);
    for second in 100..110 {
        model.hear(at(second), Ok(reading(second)));
    }
    model
}

fn picture(model: &Model, now: Instant, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let drawn = terminal.draw(|frame| draw(model, now, frame.area(), frame.buffer_mut()));
    text(drawn.unwrap().buffer)
}

#[test]
fn everything_has_its_place() {
    for size in [(80, 24), (120, 40)] {
        let picture = picture(&model(), at(109), size);
        assert_eq!(picture.lines().count(), usize::from(size.1));
        for part in [
            "ikexdp 1.2.3   xdp on eth0, native   pid 42   up 1m 49s",
            "frames by verdict",
            "pass_esp                     1.3M  12000/s",
            "drop_ikev1                    327    3.0/s",
            "half-open 5  up 321  jobs 2",
            "established         763   7.0/s",
            "timeout                       218    2.0/s",
            "in                 3.8k  35.0/s",
            "2001:db8:1:2::/64              50    5.0/s",
            "queue       in     out    lost",
            "1         30.0    28.0     2.0",
            "q quit   p pause   - + every 1s   s sorted by rate",
            "█",
        ] {
            assert!(picture.contains(part), "no `{part}` in\n{picture}");
        }
        let places = ["1         30.0", "0         10.0"].map(|row| picture.find(row).unwrap());
        assert!(places.is_sorted(), "the busiest first:\n{picture}");
        assert!(!picture.contains("no answer"), "{picture}");
    }
}

#[test]
fn the_busiest_come_first_and_of_others_who_are_limited_it_is_told_how_many() {
    let mut reading = reading(100);
    for (network, requests) in [("198.51.100.7", 20), ("2001:db8:1:3::/64", 10)] {
        reading.sources.sources.push(Source {
            network: network.to_owned(),
            requests,
        });
    }
    let limit = |network: &str| LimitedSource {
        network: network.to_owned(),
        limits: vec![Limit::Init],
    };
    let picture = |reading: &Reading| {
        let mut model = Model::new(INTERVAL);
        model.hear(at(100), Ok(reading.clone()));
        picture(&model, at(100), (80, 24))
    };
    reading.limited.push(limit("198.51.100.7"));
    let rows = [
        "2001:db8:1:2::/64              50    5.0/s",
        "198.51.100.7              limited    2.0/s",
        "2001:db8:1:3::/64              10    1.0/s",
    ];
    let assert_in_order = |picture: &str, rows: &[&str]| {
        let place = |row: &&str| {
            let place = picture.find(*row);
            place.unwrap_or_else(|| panic!("{row}:\n{picture}"))
        };
        assert!(rows.iter().map(place).is_sorted(), "{picture}");
    };
    let all_shown = picture(&reading);
    assert_in_order(&all_shown, &rows);
    assert!(!all_shown.contains("│+"), "{all_shown}");
    for number in 0..99 {
        reading.limited.push(limit(&format!("203.0.113.{number}")));
    }
    let [first, second, third] = rows;
    assert_in_order(&picture(&reading), &[first, second, third, "+99 limited"]);
    // Who is limited and has no row is among the others.
    for number in 0..9 {
        let busy = format!("192.0.2.{number}");
        reading.sources.sources.insert(
            0,
            Source {
                network: busy,
                requests: 70,
            },
        );
    }
    assert_in_order(&picture(&reading), &["192.0.2.8 ", "+100 limited"]);
}

#[test]
fn a_daemon_that_is_gone_or_hangs_is_told_of() {
    let mut model = model();
    let silent = picture(&model, at(119), (80, 24));
    assert!(silent.contains("\nno answer for 10s\n"), "{silent}");
    model.hear(
        at(120),
        Err("the daemon is not running: \u{1b}[31m".to_owned()),
    );
    let gone = picture(&model, at(120), (80, 24));
    assert!(
        gone.contains("the daemon is not running: \u{fffd}[31m"),
        "{gone}"
    );
    assert!(gone.contains("up 1m 49s"), "what was known stays:\n{gone}");
    model.hear(at(121), Ok(reading(121)));
    let back = picture(&model, at(121), (80, 24));
    assert!(!back.contains("not running"), "{back}");
}

#[test]
fn trouble_of_the_interface_is_told_of() {
    let mut told = reading(100);
    told.status.xdp.as_mut().unwrap().trouble = Some("interface is down: eth0".to_owned());
    let mut model = Model::new(INTERVAL);
    model.hear(at(1), Ok(told));
    let picture = picture(&model, at(1), (80, 24));
    assert!(picture.contains("\ninterface is down: eth0\n"), "{picture}");
}

#[test]
fn without_xdp_messages_are_shown() {
    let mut told = reading(1);
    told.status.xdp = None;
    told.stats.xdp = Counters::default();
    told.stats.queues = Vec::new();
    told.stats.daemon = [("udp_received", 12), ("job_submitted", 3)]
        .into_iter()
        .collect();
    let mut model = Model::new(INTERVAL);
    model.hear(at(1), Ok(told));
    let picture = picture(&model, at(1), (80, 24));
    assert!(
        picture.contains("messages") && picture.contains("udp_received"),
        "{picture}"
    );
    assert!(!picture.contains("job_submitted"), "{picture}");
}

/// Not every window is large, and none makes us fall.
#[test]
fn no_size_is_too_small() {
    for size in [(1, 1), (10, 3), (40, 12), (79, 23), (500, 2)] {
        picture(&model(), at(109), size);
        picture(&Model::new(INTERVAL), at(0), size);
    }
}

#[test]
fn keys_do_what_the_last_line_says() {
    let mut model = Model::new(INTERVAL);
    let mut press = |code: KeyCode, modifiers| obey(&mut model, KeyEvent::new(code, modifiers));
    let none = KeyModifiers::NONE;
    assert_eq!(press(KeyCode::Char('p'), none), Next::Stay);
    assert_eq!(press(KeyCode::Char('+'), none), Next::Stay);
    assert_eq!(press(KeyCode::Char('s'), none), Next::Stay);
    assert_eq!(press(KeyCode::Char('c'), none), Next::Stay);
    assert_eq!(
        press(KeyCode::Char('c'), KeyModifiers::CONTROL),
        Next::Leave
    );
    assert_eq!(press(KeyCode::Char('q'), none), Next::Leave);
    assert_eq!(press(KeyCode::Esc, none), Next::Leave);
    assert!(model.paused);
    assert_eq!(model.interval, 2 * INTERVAL);
    assert_eq!(model.order, Order::Total);
}
