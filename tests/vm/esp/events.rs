//! What the kernel says by itself.

use ikexdp_proto::data_plane::{DataPlaneEvent, Direction, UsageLimits};

use super::end::{Agreed, ends, install, pings, tunnel};

#[test]
#[ignore = "needs ESP in the kernel"]
fn an_sa_says_when_it_is_worn_and_when_it_is_over() {
    let mut ends = ends();
    let agreed = Agreed {
        limits: UsageLimits {
            soft_octets: Some(500),
            hard_octets: None,
            soft_packets: None,
            hard_packets: Some(20),
        },
        ..Agreed::new()
    };
    install(&ends, &agreed);
    assert_eq!(pings(&ends, 5), 0);
    for (place, end) in ends.iter_mut().enumerate() {
        let [inbound, outbound] = agreed.names(place).map(|name| name.spi);
        let mut worn = [end.event(), end.event()];
        worn.sort_by_key(|event| {
            matches!(
                event,
                DataPlaneEvent::Expired {
                    direction: Direction::Outbound,
                    ..
                }
            )
        });
        let both = [
            (Direction::Inbound, inbound),
            (Direction::Outbound, outbound),
        ];
        for (event, (direction, spi)) in worn.into_iter().zip(both) {
            let DataPlaneEvent::Expired { carried, .. } = event else {
                panic!("{event:?}");
            };
            let soft = DataPlaneEvent::Expired {
                lineage: agreed.lineage,
                direction,
                spi,
                hard: false,
                carried,
            };
            assert_eq!(event, soft);
            assert!((500..700).contains(&carried.octets), "{carried:?}");
        }
    }
    assert!(pings(&ends, 10) > 0);
    let over = ends[0].event();
    let DataPlaneEvent::Expired {
        hard: true,
        carried,
        ..
    } = over
    else {
        panic!("{over:?}");
    };
    assert_eq!(carried.packets, 20);
    // What the kernel has given up is no error to remove, nor to move.
    for (place, end) in ends.iter().enumerate() {
        end.apply(agreed.remove(place)).unwrap();
        assert!(end.is_clean());
    }
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn a_peer_that_comes_from_elsewhere_is_noticed() {
    let mut ends = ends();
    let agreed = Agreed {
        tunnel: tunnel(0, true),
        ..Agreed::new()
    };
    // As if a NAT had given the left end another port than the right end knows.
    let mut elsewhere = agreed;
    elsewhere.tunnel.local.set_port(1024);
    ends[0].apply(elsewhere.install(0)).unwrap();
    ends[1].apply(agreed.install(1)).unwrap();
    assert_eq!(pings(&ends, 1), 0);
    let remapped = DataPlaneEvent::Remapped {
        lineage: agreed.lineage,
        spi: agreed.names(1)[0].spi,
        remote: elsewhere.tunnel.local,
    };
    assert_eq!(ends[1].event(), remapped);
}
