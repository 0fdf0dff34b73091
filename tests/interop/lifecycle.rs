//! The daemon begins and ends, and refuses to begin.

use std::{fs, thread, time::Duration};

use harness::{
    gateway::{Gateway, Setup},
    lab::{Ends, Lab, Path, V4, V6},
    namespace::Namespace,
    packet::ike_sa_init,
    strongswan::Strongswan,
    udp::{receive, socket},
};
use ikexdp::xdp::{Attachment, Interface, Mode, Program};
use ikexdp_common::maps::{Config, SOURCES_DEFAULT};

use crate::IKEXDP;
use crate::case::Case;

const PATIENCE: Duration = Duration::from_secs(5);

/// Whether IKE from the client reaches a socket of the gateway's kernel.
fn assert_reachable(lab: &Lab, ends: Ends) {
    let server = socket(&lab.gateway, ends.gateway, 500);
    let client = socket(&lab.client, ends.client, 0);
    let sent = client.send_to(&ike_sa_init(100), (ends.gateway, 500));
    sent.unwrap();
    assert_eq!(receive(&server).0, ike_sa_init(100));
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_killed_daemon_stops_nothing_and_starts_again() {
    let case = Case::psk(V4);
    let (lab, gateway, client) = case.start();
    client.initiate().unwrap();
    assert!(lab.gateway.has_xdp("eth0"));
    gateway.kill();

    assert!(!lab.gateway.has_xdp("eth0"));
    for ends in [V4, V6] {
        assert_reachable(&lab, ends);
    }

    let gateway = Gateway::start(IKEXDP, &lab.gateway, &case.gateway);
    assert!(lab.gateway.has_xdp("eth0"));
    // As a user would who finds the tunnel dead.
    drop(client);
    let client = Strongswan::start(&lab.client, case.client.clone());
    client.initiate().unwrap();
    assert_eq!(gateway.sas().len(), 1);
}

/// No thread runs, or wakes up to see whether there is something to do.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn an_idle_daemon_sleeps() {
    let (_lab, gateway) = Case::psk(V4).start_gateway();
    let pid = gateway.pid();
    // Which threads there are, whether they sleep, and how often they went to sleep.
    let look = || -> Vec<(String, String)> {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let mut seen: Vec<_> = threads
            .map(|thread| {
                let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
                let field = |name: &str| {
                    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
                    line.to_owned()
                };
                (field("State:"), field("voluntary_ctxt_switches:"))
            })
            .collect();
        seen.sort();
        seen
    };
    // What is left to do after the question for its number takes a while.
    let sleeps = (0..20).any(|_| {
        let before = look();
        thread::sleep(Duration::from_millis(500));
        let asleep = |(state, _): &(String, String)| state.contains("sleeping");
        before.iter().all(asleep) && look() == before
    });
    assert!(sleeps, "{:?}", look());
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_stopped_daemon_tells_its_clients_and_leaves_nothing() {
    let (lab, gateway, client) = Case::psk(V4).start();
    client.initiate().unwrap();
    let [sa] = client.sas().try_into().unwrap();
    gateway.stop();

    let told = |lines: &[String]| {
        lines
            .iter()
            .any(|it| it.contains("received DELETE for IKE_SA"))
    };
    let told = client
        .log()
        .wait_for(PATIENCE, |lines| told(lines).then_some(()));
    told.unwrap_or_else(|| panic!("nobody told the client of the end of {sa:?}"));
    assert_eq!(client.sas(), []);
    assert!(!lab.gateway.has_xdp("eth0"));
    assert_reachable(&lab, V4);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_client_out_of_reach_does_not_hold_the_daemon() {
    let (lab, gateway, client) = Case::psk(V4).start();
    client.initiate().unwrap();
    lab.set_path(&Path {
        loss_percent: 100,
        ..Path::default()
    });
    gateway.stop();
    assert!(lab.drops().lost > 0, "it was told, in vain");
    assert!(!lab.gateway.has_xdp("eth0"));
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn who_tells_the_daemon_twice_waits_for_nobody() {
    let (lab, gateway, client) = Case::psk(V4).start();
    client.initiate().unwrap();
    lab.set_path(&Path {
        loss_percent: 100,
        ..Path::default()
    });
    gateway.tell_to_end();
    gateway.wait_for_line("peers are being told");
    gateway.tell_to_end();
    gateway.wait_for_line("error: told to end at once");
    assert_eq!(gateway.wait().code(), Some(1));
    assert!(!lab.gateway.has_xdp("eth0"));
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn another_program_on_the_interface_is_named() {
    for mode in Mode::ALL {
        let lab = Lab::new();
        let (occupant, id) = lab.gateway.run(move || occupy("eth0", mode));
        let refused = Gateway::launch(IKEXDP, &lab.gateway, &Case::psk(V4).gateway);
        let line = refused.line("error: ");
        for part in [
            "eth0 has an XDP program already",
            "ikexdp",
            &format!("id {id}"),
            "hint: ",
        ] {
            assert!(line.contains(part), "{line}");
        }
        assert_eq!(refused.wait().code(), Some(1));
        // It is still there, and still another's.
        assert!(lab.gateway.has_xdp("eth0"));
        drop(occupant);
        let _ = Gateway::start(IKEXDP, &lab.gateway, &Case::psk(V4).gateway);
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_restart_at_once_works_every_time() {
    let setup = Case::psk(V4).gateway;
    let lab = Lab::new();
    for _ in 0..10 {
        let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
        let xdp = gateway.status().xdp.unwrap();
        assert_eq!(xdp.queues, ["copy"]);
        gateway.kill();
    }
}

/// Attaches a program that is none of the daemon's, and says its id. It passes all.
fn occupy(interface: &str, mode: Mode) -> (Attachment, u32) {
    let mut program = Program::load(Config::default(), SOURCES_DEFAULT).unwrap();
    let id = program.xdp().unwrap().info().unwrap().id();
    let interface = Interface::find(interface).unwrap();
    (program.attach(&interface, &[mode]).unwrap(), id)
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_second_daemon_is_told_of_the_first() {
    let setup = Case::psk(V4).gateway;
    let lab = Lab::new();
    let first = Gateway::start(IKEXDP, &lab.gateway, &setup);
    let elsewhere = Setup {
        gateway: "control-socket = \"/run/ikexdp/second.sock\"",
        ..setup.clone()
    };
    let pid = format!("(pid {})", first.pid());
    let refusals: [(&Setup, &[&str]); 2] = [
        (
            &setup,
            &["control socket is in use: ", "hint: ikexdp runs already"],
        ),
        (
            &elsewhere,
            &["UDP port 500 is taken by ikexdp ", &pid, "hint: "],
        ),
    ];
    for (setup, parts) in refusals {
        let second = Gateway::launch(IKEXDP, &lab.gateway, setup);
        let line = second.line("error: ");
        for part in parts {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert_eq!(second.wait().code(), Some(1));
    }
    assert!(lab.gateway.has_xdp("eth0"));
    assert_eq!(first.sas(), []);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_missing_interface_is_named() {
    let empty = Namespace::new("empty");
    let refused = Gateway::launch(IKEXDP, &empty, &Case::psk(V4).gateway);
    let line = refused.line("error: ");
    assert_eq!(
        line,
        "error: no such interface: eth0; hint: set `gateway.interface` to one that `ip link` lists"
    );
    assert_eq!(refused.wait().code(), Some(1));
}
