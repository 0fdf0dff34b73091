//! The program comes and goes, and only one of its kind.

use harness::namespace::command;
use harness::packet::ike_sa_init;
use harness::process::Process;
use ikexdp::xdp::{AttachError, Interface, InterfaceError, Mode};
use ikexdp::xsk::{BindError, Socket, Transfer};
use nix::sys::signal::Signal;

use crate::gateway::{Gateway, load, open};
use crate::in_both_modes;
use crate::wire::{PATIENCE, V4, Wire, receive, socket};

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_killed_process_leaves_nothing_attached() {
    for mode in Mode::ALL {
        let Wire { gateway, peer } = Wire::new();
        let mut program = command(env!("CARGO_BIN_EXE_attach"));
        program.args(["wan", &mode.to_string()]);
        let mut program = Process::start(&gateway, "attach", program);
        let said = |lines: &[String]| lines.contains(&"attached".to_owned()).then_some(());
        program
            .lines()
            .wait_for(PATIENCE, said)
            .expect("the program attaches");
        assert!(gateway.has_xdp("wan"), "{mode}");

        program.signal(Signal::SIGKILL);
        program.wait();
        assert!(!gateway.has_xdp("wan"), "{mode}");
        let server = socket(&gateway, V4.gateway, 500);
        let client = socket(&peer, V4.peer, 0);
        client
            .send_to(&ike_sa_init(100), (V4.gateway, 500))
            .unwrap();
        assert_eq!(receive(&server).0, ike_sa_init(100));
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn what_is_dropped_is_detached() {
    for mode in Mode::ALL {
        let Wire {
            gateway,
            peer: _peer,
        } = Wire::new();
        let namespace = gateway.clone();
        let attachment = gateway.run(move || Gateway::attach(mode).attachment);
        assert!(namespace.has_xdp("wan"), "{mode}");
        drop(attachment);
        assert!(!namespace.has_xdp("wan"), "{mode}");
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_second_program_is_told_of_the_first() {
    in_both_modes(|mode, _| {
        let mut first = Gateway::attach(mode);
        let first_id = first.program.xdp().unwrap().info().unwrap().id();
        let interface = Interface::find("wan").unwrap();
        for modes in [&Mode::ALL[..], &[Mode::Native], &[Mode::Generic]] {
            let refusal = load(&interface).attach(&interface, modes).unwrap_err();
            let message = refusal.to_string();
            let AttachError::Occupied {
                interface,
                program,
                id,
                mode: theirs,
            } = refusal
            else {
                panic!("{message}")
            };
            assert_eq!((interface.as_str(), program.as_str()), ("wan", "ikexdp"));
            assert_eq!((id, theirs), (first_id, mode));
            for part in [
                "wan",
                "ikexdp",
                &id.to_string(),
                &mode.to_string(),
                "hint: ",
            ] {
                assert!(message.contains(part), "{message}");
            }
        }
        drop(first);
        load(&interface).attach(&interface, &Mode::ALL).unwrap();
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_second_socket_is_told_of_the_first() {
    in_both_modes(|mode, _| {
        let _first = Gateway::attach(mode);
        let interface = Interface::find("wan").unwrap();
        let refusal = open(&interface, 0, mode).unwrap_err();
        assert!(
            matches!(refusal, BindError::Occupied { queue: 0, .. }),
            "{refusal}"
        );
        let refusal = open(&interface, 1, mode).unwrap_err();
        assert!(
            matches!(refusal, BindError::Refused { queue: 1, .. }),
            "{refusal}"
        );
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_queue_is_free_again_soon_after_its_socket_is_closed() {
    in_both_modes(|mode, _| {
        let interface = Interface::find("wan").unwrap();
        for _ in 0..20 {
            Socket::open(&interface, 0, Transfer::choices(mode), PATIENCE).unwrap();
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn native_mode_is_preferred() {
    // Frames of one page at most fit the driver of veth in native mode.
    for (peer_mtu, mode, refused) in [(1500, Mode::Native, 0), (9000, Mode::Generic, 1)] {
        let Wire { gateway, peer } = Wire::new();
        peer.exec(&format!("ip link set wan mtu {peer_mtu}"));
        gateway.run(move || {
            let interface = Interface::find("wan").unwrap();
            let mut program = load(&interface);
            let attachment = program.attach(&interface, &Mode::ALL).unwrap();
            assert_eq!(attachment.mode(), mode);
            assert_eq!(attachment.refusals().len(), refused);
        });
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn an_interface_is_refused_with_a_reason() {
    let Wire {
        gateway,
        peer: _peer,
    } = Wire::with_queues(3);
    gateway.exec("ip link add off type veth");
    gateway.exec("ip link set wan mtu 1400");
    gateway.exec("ethtool -L wan rx 2");
    gateway.run(|| {
        let error = |name| Interface::find(name).unwrap_err();
        assert!(matches!(error("none"), InterfaceError::Missing { .. }));
        let too_long = "a-name-of-more-than-fifteen-octets";
        assert!(matches!(error(too_long), InterfaceError::Missing { .. }));
        assert!(matches!(error("off"), InterfaceError::Down { .. }));
        assert!(matches!(error("lo"), InterfaceError::NotEthernet { .. }));
        let wan = Interface::find("wan").unwrap();
        assert_eq!(
            (wan.name.as_str(), wan.mtu, wan.rx_queues),
            ("wan", 1400, 2)
        );
    });
}
