//! What the command line shows of a daemon that serves a client.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    thread,
    time::Duration,
};

use harness::{
    gateway::{Gateway, count},
    journal::Journal,
    lab::{Lab, V4},
    namespace::command,
    packet::ike_sa_init,
    patience::until,
    process::Process,
    udp::socket,
};
use ikexdp::view::{Event, Happening, Limit, LimitedSource, Limits, Sa, XdpCounters};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::IKEXDP;
use crate::case::Case;

const PATIENCE: Duration = Duration::from_secs(20);

/// What `ikexdp` with these arguments says when it fails.
fn refusal(lab: &Lab, arguments: &[&str]) -> String {
    let mut ikexdp = command(IKEXDP);
    ikexdp.args(arguments);
    let output = lab.gateway.output(ikexdp);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn of_interface(gateway: &Gateway) -> XdpCounters {
    let text = gateway.ask(&["stats", "--interface", "eth0", "--json"]);
    serde_json::from_str(&text).unwrap()
}

/// Runs `ikexdp` for as long as the process is held; what it prints.
fn run(lab: &Lab, arguments: &[&str]) -> (Process, Journal<String>) {
    let mut ikexdp = command(IKEXDP);
    ikexdp.args(arguments).stdout(Stdio::piped());
    let mut process = Process::start(&lab.gateway, "ikexdp", ikexdp);
    let lines = Journal::default();
    let (journal, stdout) = (lines.clone(), process.stdout().unwrap());
    thread::spawn(move || {
        let lines = BufReader::new(stdout).lines();
        lines.for_each(|line| journal.push(line.unwrap()));
        journal.close();
    });
    (process, lines)
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn events_are_told_while_a_client_connects_and_leaves() {
    let (lab, gateway, client) = Case::psk(V4).start();
    let (follower, lines) = run(&lab, &["events", "--json"]);
    let (text, shown) = run(&lab, &["events", "--event", "established"]);
    for process in [&follower, &text] {
        let follows = |lines: &[String]| {
            lines
                .iter()
                .find(|line| line.contains("following"))
                .cloned()
        };
        process.lines().wait_for(PATIENCE, follows).unwrap();
    }
    client.initiate().unwrap();
    let [sa] = gateway.sas().try_into().unwrap();
    client.terminate().unwrap();

    let closed = |lines: &[String]| {
        let events: Vec<Event> = lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let is_closed = |event: &Event| matches!(event.what, Happening::Closed { .. });
        events.iter().any(is_closed).then_some(events)
    };
    let events = lines.wait_for(PATIENCE, closed).expect("the end is told");
    assert!(events.iter().all(|event| event.what.id() == Some(sa.id)));
    let [first, .., last] = events.as_slice() else {
        panic!("more than one event: {events:?}");
    };
    let Happening::Established(established) = &first.what else {
        panic!("the client connects first: {events:?}");
    };
    assert_eq!(Some(&established.identity), sa.identity.as_ref());
    assert_eq!(established.remote, sa.remote);
    assert_eq!(established.addresses, sa.addresses);
    assert_eq!(established.fragmentation, sa.fragmentation);
    assert!(
        matches!(&last.what, Happening::Closed { reason, .. } if reason == "deleted by the peer")
    );
    assert!(events.windows(2).all(|pair| pair[0].time <= pair[1].time));

    let [line] = shown.entries().try_into().unwrap();
    assert!(line.contains(&established.identity), "{line}");
    // Whoever follows hears of the end as well.
    gateway.stop();
    let ended = |lines: &[String]| lines.iter().find(|line| line.contains("error: ")).cloned();
    let error = text.lines().wait_for(PATIENCE, ended).unwrap();
    assert_eq!(error, "error: the daemon has ended");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_daemon_that_hangs_cannot_hide_what_xdp_counts() {
    let (lab, gateway, client) = Case::psk(V4).start();
    client.initiate().unwrap();
    client.terminate().unwrap();
    let pid = gateway.pid();
    let stats = gateway.stats();
    let process = Pid::from_raw(pid.try_into().unwrap());
    kill(process, Signal::SIGSTOP).unwrap();

    let counters = of_interface(&gateway);
    assert_eq!(
        (counters.pid, counters.mode.as_str()),
        (Some(pid), "native")
    );
    for name in ["redirect_ike", "redirect_ike_nat", "drop_ikev1"] {
        assert_eq!(
            count(&counters.xdp, name),
            count(&stats.xdp, name),
            "{name}"
        );
    }
    assert!(count(&counters.xdp, "redirect_ike") > 0);
    let on_cpus = counters.cpus.iter();
    let sum: u64 = on_cpus.map(|cpu| count(cpu, "redirect_ike")).sum();
    assert_eq!(sum, count(&counters.xdp, "redirect_ike"));
    let shown = gateway.ask(&["stats", "--interface", "eth0"]);
    let head = format!(
        "xdp on eth0, native: program {} of process {pid}\n",
        counters.program
    );
    assert!(shown.starts_with(&head), "{shown}");

    kill(process, Signal::SIGCONT).unwrap();
    gateway.kill();
    let error = refusal(&lab, &["stats", "--interface", "eth0"]);
    assert!(error.contains("no XDP program on eth0; hint: "), "{error}");
    let error = refusal(&lab, &["stats", "--interface", "eth9"]);
    assert!(error.contains("no such interface: eth9; hint: "), "{error}");
}

/// Of two requests that may come at once and one in a second, the third is too much.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn whom_xdp_limits_is_shown_while_it_is_so() {
    let mut case = Case::psk(V4);
    case.gateway.tables = "[defence]\ninit-rate-per-source = 1\ninit-burst-per-source = 2\n";
    let (lab, gateway) = case.start_gateway();
    let sources = ["stats", "--interface", "eth0", "--sources"];
    let limits = || -> Limits {
        serde_json::from_str(&gateway.ask(&[&sources[..], &["--json"]].concat())).unwrap()
    };
    assert_eq!(limits(), Limits::default());
    let client = socket(&lab.client, V4.client, 0);
    let ask_too_much = || {
        for _ in 0..3 {
            let request = ike_sa_init(100);
            client.send_to(&request, (V4.gateway, 500)).unwrap();
        }
    };
    let expected = Limits {
        known: 1,
        is_partial: false,
        sources: vec![LimitedSource {
            network: V4.client.to_string(),
            limits: vec![Limit::Init],
        }],
    };
    until("it is limited", || {
        ask_too_much();
        (limits() == expected).then_some(())
    });
    let row = format!("  {}  asked for cookies\n", V4.client);
    until("it is shown", || {
        ask_too_much();
        gateway.ask(&sources).ends_with(&row).then_some(())
    });
    until("it may ask again", || {
        limits().sources.is_empty().then_some(())
    });
    assert_eq!(limits().known, 1);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn counters_of_the_kernel_are_for_root() {
    let (lab, _gateway) = Case::psk(V4).start_gateway();
    let nobody = [
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "--inh-caps=-all",
    ];
    let mut ikexdp = command("setpriv");
    ikexdp.args(nobody);
    ikexdp.args([IKEXDP, "stats", "--interface", "eth0"]);
    let output = lab.gateway.output(ikexdp);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("not allowed to look at XDP programs; hint: run as root"),
        "{error}"
    );
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn counters_are_watched_with_their_rates() {
    let (lab, gateway, client) = Case::psk(V4).start();
    let (_json, readings) = run(&lab, &["stats", "--json", "--watch", "100ms"]);
    let (_text, shown) = run(&lab, &["stats", "--watch", "100ms", "--all"]);
    for lines in [&readings, &shown] {
        let first = |lines: &[String]| lines.first().cloned();
        lines.wait_for(PATIENCE, first).expect("there is a reading");
    }
    client.initiate().unwrap();
    let engine = |line: &String| -> u64 {
        let reading: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(reading["time"].as_str().unwrap().ends_with('Z'), "{line}");
        reading["engine"]["established"].as_u64().unwrap()
    };
    let rises = |lines: &[String]| {
        let counts: Vec<_> = lines.iter().map(engine).collect();
        (counts.first() == Some(&0) && counts.last() == Some(&1)).then_some(())
    };
    readings
        .wait_for(PATIENCE, rises)
        .expect("the client is counted");
    let rate = |lines: &[String]| {
        let mut established = lines
            .iter()
            .filter(|line| line.starts_with("  established "));
        let rose = |line: &&String| line.contains("/s") && !line.contains(" 0/s");
        established.find(rose).cloned()
    };
    shown.wait_for(PATIENCE, rate).expect("there is a rate");
    assert_eq!(gateway.sas().len(), 1);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn sas_are_found_by_what_is_known_of_them() {
    let (_lab, gateway, client) = Case::psk(V4).start();
    client.initiate().unwrap();
    let [sa] = gateway.sas().try_into().unwrap();
    let identity = sa.identity.clone().unwrap();
    let found = |arguments: &[&str]| -> Vec<Sa> {
        let arguments = [&["sas", "--json"], arguments].concat();
        serde_json::from_str(&gateway.ask(&arguments)).unwrap()
    };
    let given = sa.addresses[0].to_string();
    for (arguments, is_found) in [
        (["--connection", "lab"], true),
        (["--connection", "other"], false),
        (["--identity", identity.as_str()], true),
        (["--identity", "*.invalid"], false),
        (["--address", "192.0.2.0/24"], true),
        (["--address", given.as_str()], true),
        (["--address", "203.0.113.1"], false),
        (["--state", "established"], true),
        (["--older-than", "1h"], false),
    ] {
        let found: Vec<_> = found(&arguments).iter().map(|sa| sa.id).collect();
        assert_eq!(found == [sa.id], is_found, "{arguments:?}");
    }
    let table = gateway.ask(&["sas"]);
    assert!(table.lines().all(|line| line.len() <= 120), "{table}");
    let wide = gateway.ask(&["sas", "--wide"]);
    for part in [sa.suite.as_deref().unwrap(), &sa.children[0].spi_in] {
        assert!(wide.contains(part) && !table.contains(part), "{wide}");
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn top_writes_a_picture_of_a_daemon_at_work() {
    let (lab, gateway, client) = Case::psk(V4).start();
    client.initiate().unwrap();
    let picture = gateway.ask(&["top", "--once"]);
    assert_eq!(picture.lines().count(), 24, "{picture}");
    let head = format!("xdp on eth0, native   pid {}", gateway.pid());
    for part in [
        head.as_str(),
        "half-open 0  up 1",
        "redirect_ike ",
        "192.0.2.2 ",
    ] {
        assert!(picture.contains(part), "no `{part}` in\n{picture}");
    }
    let error = refusal(&lab, &["top"]);
    assert!(error.contains("hint: `ikexdp top --once`"), "{error}");
}

/// What a terminal shows after `ikexdp top` has been told to end.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn top_leaves_the_terminal_as_it_was() {
    let (lab, _gateway) = Case::psk(V4).start_gateway();
    for signal in ["TERM", "QUIT"] {
        // `script` gives it a terminal, and writes what that is told.
        let top = format!("timeout --foreground --signal {signal} 5 {IKEXDP} top");
        let line = format!("stty rows 24 cols 80; {top}; stty -a");
        let mut script = command("script");
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        let output = lab.gateway.output(script);
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("verdict"), "{told}");
        let (_, entered) = told
            .split_once("\u{1b}[?1049h")
            .expect("a screen of its own");
        let (_, settings) = entered.rsplit_once("\u{1b}[?1049l").expect("and back");
        assert!(
            settings.contains(" icanon") && settings.contains(" echo "),
            "{signal}: {settings}"
        );
    }
}
