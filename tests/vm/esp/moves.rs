//! SAs whose ends are reached elsewhere.

use harness::lab::address;
use ikexdp_proto::data_plane::{Carried, EspSa, EspSaName, Lineage, Operation, Tunnel};

use super::end::{Agreed, End, ends, install, pings, remove, tunnel};

/// Has both ends move what they agreed on; what they agree on then.
fn relocate(ends: &[End; 2], from: Agreed, to: Tunnel) -> Agreed {
    let moved = Agreed { tunnel: to, ..from };
    for (place, end) in ends.iter().enumerate() {
        let relocation = Operation::Move {
            sas: from.names(place).to_vec(),
            policies: vec![from.policies(place)],
            to: moved.policies(place).tunnel,
        };
        end.apply(vec![relocation]).unwrap();
    }
    moved
}

/// Sequence numbers, as `ip xfrm state` has them: of what was sent, and received.
fn sequence_numbers(end: &End) -> Vec<(u64, u64)> {
    let text = end.namespace.exec("ip xfrm state list");
    let number = |line: &str, name: &str| {
        let rest = line.split_once(&format!("{name} 0x"))?.1;
        let digits = rest.split([',', ' ', '\n']).next()?;
        u64::from_str_radix(digits, 16).ok()
    };
    let numbers = text.lines().filter(|line| line.contains("oseq 0x"));
    let numbers = numbers.map(|line| {
        let received = number(line, " seq").unwrap();
        (number(line, "oseq").unwrap(), received)
    });
    numbers.collect()
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn an_sa_goes_on_wherever_it_moves() {
    let ends = ends();
    address(&ends[1].namespace, "eth0", &["192.0.2.3/24"]);
    let start = tunnel(0, false);
    let elsewhere = Tunnel {
        remote: "192.0.2.3:4500".parse().unwrap(),
        ..start
    };
    let tunnels = [
        elsewhere,
        Tunnel {
            in_udp: true,
            ..elsewhere
        },
        tunnel(1, true),
        tunnel(1, false),
        start,
    ];
    for extended_sequence_numbers in [false, true] {
        let mut agreed = Agreed::new();
        agreed.suite.extended_sequence_numbers = extended_sequence_numbers;
        install(&ends, &agreed);
        assert_eq!(pings(&ends, 1), 0);
        for (moves, to) in (1_u64..).zip(tunnels) {
            agreed = relocate(&ends, agreed, to);
            assert_eq!(pings(&ends, 1), 0, "to {to:?}");
            for (place, end) in ends.iter().enumerate() {
                let sent = 2 * (moves + 1);
                let carried = end.carried(agreed.names(place).to_vec());
                assert!(carried.iter().all(|sa| sa.packets == sent), "{carried:?}");
                let mut numbers = sequence_numbers(end);
                numbers.sort_unstable();
                let number = sent + moves * (1 << 16);
                assert_eq!(numbers, [(0, number), (number, 0)], "{to:?}");
            }
        }
        remove(&ends, &agreed);
    }
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn a_port_changes_in_an_sa_that_goes_on() {
    let ends = ends();
    let agreed = Agreed {
        tunnel: tunnel(0, true),
        ..Agreed::new()
    };
    install(&ends, &agreed);
    assert_eq!(pings(&ends, 1), 0);
    let port = Tunnel {
        remote: "192.0.2.2:1024".parse().unwrap(),
        ..agreed.tunnel
    };
    let moved = relocate(&ends, agreed, port);
    let text = ends[0].namespace.exec("ip xfrm state list");
    assert!(text.contains("sport 4500 dport 1024"), "{text}");
    let back = relocate(&ends, moved, agreed.tunnel);
    assert_eq!(pings(&ends, 1), 0);
    let mut numbers = sequence_numbers(&ends[0]);
    numbers.sort_unstable();
    assert_eq!(numbers, [(0, 4), (4, 0)]);
    remove(&ends, &back);
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn what_cannot_move_stays_where_it_was() {
    let ends = ends();
    let agreed = Agreed::new();
    install(&ends, &agreed);
    // Somebody has an SA of the name that one of ours would get.
    let to = Tunnel {
        remote: "192.0.2.3:4500".parse().unwrap(),
        ..agreed.tunnel
    };
    let moved = Agreed {
        tunnel: to,
        ..agreed
    };
    let mut in_the_way = moved.sas(0);
    let outbound = in_the_way.pop().map(|sa| EspSa {
        lineage: Lineage(9),
        ..sa
    });
    let others = outbound.as_ref().map(EspSa::name).unwrap();
    let outbound = outbound.map(Operation::InstallSa);
    ends[0].apply(outbound.into_iter().collect()).unwrap();
    let before = ends[0].policies();
    let relocation = Operation::Move {
        sas: agreed.names(0).to_vec(),
        policies: vec![agreed.policies(0)],
        to,
    };
    ends[0].apply(vec![relocation]).unwrap_err();
    assert_eq!(ends[0].policies(), before);
    ends[0].apply(vec![Operation::RemoveSa(others)]).unwrap();
    assert_eq!(pings(&ends, 1), 0);
    remove(&ends, &agreed);
}

/// The SPI we send on is the peer's choice: two clients behind one NAT may have
/// chosen the same.
#[test]
#[ignore = "needs ESP in the kernel"]
fn an_sa_of_another_lineage_is_neither_removed_nor_moved_nor_counted() {
    let ends = ends();
    let agreed = Agreed::new();
    install(&ends, &agreed);
    assert_eq!(pings(&ends, 1), 0);
    let names = agreed.names(0).map(|name| EspSaName {
        lineage: Lineage(9),
        ..name
    });
    let removal = names.map(Operation::RemoveSa).into();
    ends[0].apply(removal).unwrap();
    let relocation = Operation::Move {
        sas: names.to_vec(),
        policies: Vec::new(),
        to: tunnel(1, false),
    };
    ends[0].apply(vec![relocation]).unwrap();
    let nothing = Carried::default();
    assert_eq!(ends[0].carried(names.to_vec()), [nothing, nothing]);
    assert_eq!(pings(&ends, 1), 0);
    remove(&ends, &agreed);
}
