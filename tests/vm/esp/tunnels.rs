//! What is carried, and how.

use std::net::IpAddr;

use harness::capture::Capture;
use ikexdp_proto::{
    crypto::cipher::{Cipher, Encryption, Integrity},
    data_plane::{Binding, Carried, Mark},
    suite::EspSuite,
};

use super::end::{Agreed, End, INNER, ends, install, pings, remove, tunnel};

#[test]
#[ignore = "needs ESP in the kernel"]
fn every_cipher_carries_traffic() {
    let ends = ends();
    let alone = Encryption::ALL.map(|encryption| Cipher::new(encryption, None));
    let joined = [Encryption::AesCbc128, Encryption::AesCbc256]
        .map(|encryption| Integrity::ALL.map(|integrity| Cipher::new(encryption, Some(integrity))));
    let ciphers = alone.into_iter().chain(joined.into_iter().flatten());
    let mut tried = 0;
    for cipher in ciphers.flatten() {
        for extended_sequence_numbers in [false, true] {
            let suite = EspSuite {
                cipher,
                extended_sequence_numbers,
            };
            let agreed = Agreed {
                suite,
                ..Agreed::new()
            };
            install(&ends, &agreed);
            assert_eq!(pings(&ends, 2), 0, "{suite}");
            // Of either family two, there and back.
            for (place, end) in ends.iter().enumerate() {
                let carried = end.carried(agreed.names(place).to_vec());
                let packets: Vec<_> = carried.iter().map(|sa| sa.packets).collect();
                assert_eq!(packets, [4, 4], "{suite}");
                assert!(carried.iter().all(|sa| sa.octets > 4 * 84), "{carried:?}");
            }
            remove(&ends, &agreed);
            assert_eq!(
                ends[0].carried(agreed.names(0).to_vec()),
                [Carried::default(); 2]
            );
            tried += 1;
        }
    }
    assert_eq!(tried, 2 * (3 + 2 * 4));
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn every_tunnel_carries_both_families_and_nothing_is_in_clear() {
    let ends = ends();
    for (family, in_udp) in [(0, false), (0, true), (1, false), (1, true)] {
        let agreed = Agreed {
            tunnel: tunnel(family, in_udp),
            ..Agreed::new()
        };
        install(&ends, &agreed);
        let capture = Capture::start(&ends[1].namespace, "eth0");
        assert_eq!(pings(&ends, 2), 0, "{:?}", agreed.tunnel);
        let datagrams = capture.stop();
        let outer = [agreed.tunnel.local.ip(), agreed.tunnel.remote.ip()];
        let tunneled = datagrams
            .iter()
            .filter(|it| outer.contains(&it.source))
            .count();
        assert!(tunneled >= 8, "{datagrams:?}");
        // What has been decrypted is seen on the interface as well; what was sent never is.
        let own = INNER[1].map(|address| address.parse::<IpAddr>().unwrap());
        assert!(
            datagrams.iter().all(|it| !own.contains(&it.source)),
            "{datagrams:?}"
        );
        remove(&ends, &agreed);
    }
}

/// What the SAs of the first end have carried.
fn packets(end: &End, agreed: &Agreed) -> u64 {
    let carried = end.carried(agreed.names(0).to_vec());
    carried.iter().map(|sa| sa.packets).sum()
}

/// The policies are those of the interface, and routes say what goes there.
#[test]
#[ignore = "needs ESP in the kernel"]
fn an_xfrm_interface_decides_what_is_protected() {
    let ends = ends();
    let agreed = Agreed {
        binding: Binding {
            if_id: Some(7),
            mark: None,
        },
        ..Agreed::new()
    };
    install(&ends, &agreed);
    // Around the tunnel: nothing of it applies.
    assert_eq!(pings(&ends, 1), 0);
    let carried = || packets(&ends[0], &agreed);
    assert_eq!(carried(), 0);
    for (place, end) in ends.iter().enumerate() {
        end.namespace
            .exec("ip link add ipsec0 type xfrm dev eth0 if_id 7");
        end.namespace.exec("ip link set ipsec0 up");
        for (own, inner) in INNER[place].iter().zip(INNER[1 - place]) {
            end.namespace
                .exec(&format!("ip route replace {inner} dev ipsec0 src {own}"));
        }
    }
    assert_eq!(pings(&ends, 2), 0);
    assert_eq!(carried(), 8);
    remove(&ends, &agreed);
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn a_mark_decides_what_is_protected() {
    let ends = ends();
    let agreed = Agreed {
        binding: Binding {
            if_id: None,
            mark: Some(Mark {
                value: 0x10,
                mask: 0xff,
            }),
        },
        ..Agreed::new()
    };
    install(&ends, &agreed);
    assert_eq!(pings(&ends, 1), 0);
    let carried = || packets(&ends[0], &agreed);
    assert_eq!(carried(), 0);
    for end in &ends {
        let rules = [
            "add table inet marks",
            "add chain inet marks out { type route hook output priority mangle; }",
            "add rule inet marks out ip daddr 10.0.0.0/8 meta mark set 0x110",
            "add rule inet marks out ip6 daddr 2001:db8:a::/47 meta mark set 0x110",
            "add chain inet marks in { type filter hook prerouting priority mangle; }",
            "add rule inet marks in meta l4proto esp meta mark set 0x10",
        ];
        for rule in rules {
            end.namespace.exec(&format!("nft {rule}"));
        }
    }
    assert_eq!(pings(&ends, 2), 0);
    assert_eq!(carried(), 8);
    remove(&ends, &agreed);
}
