//! SAs that take the place of others (RFC 7296 §1.3, §2.8, §2.18, §2.25).

use std::time::Duration;

use harness::net::{Net, Side, Weather};
use harness::parties::{Parties, Proof};
use ikexdp_proto::Command;
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::data_plane::{Carried, DataPlaneError, DataPlaneEvent, Direction};
use ikexdp_proto::error::Error;
use ikexdp_proto::event::{CloseReason, Event, IkeSaSummary};
use ikexdp_proto::stats::Stat;
use ikexdp_proto::types::EspSpi;
use ikexdp_proto::wire::iana::NotifyType;

const BOTH: [Side; 2] = [Side::Gateway, Side::Client];

fn up(parties: &Parties) -> Net {
    connected(parties, Weather::FAIR)
}

fn connected(parties: &Parties, weather: Weather) -> Net {
    let mut net = Net::new(3, weather, parties);
    net.connect();
    net.run(Duration::from_secs(2));
    assert_eq!(children(&net, Side::Client).len(), 1);
    net
}

fn psk() -> Parties {
    Parties::new(Proof::SharedKey)
}

fn only(net: &Net, side: Side) -> IkeSaSummary {
    let mut sas = net.established(side);
    assert_eq!(sas.len(), 1, "IKE SAs of {side:?}");
    sas.remove(0)
}

fn children(net: &Net, side: Side) -> Vec<EspSpi> {
    let sa = only(net, side);
    sa.children.iter().map(|child| child.spi_in).collect()
}

fn rekey_child(net: &mut Net, side: Side) {
    let sa = only(net, side);
    let child = Some(sa.children[0].spi_in);
    net.command(side, Command::Rekey { id: sa.id, child });
}

fn rekey_ike(net: &mut Net, side: Side) {
    let id = only(net, side).id;
    net.command(side, Command::Rekey { id, child: None });
}

fn count(net: &Net, side: Side, stat: Stat) -> u64 {
    net.endpoint(side).stats().value(stat)
}

/// Both sides have one IKE SA with one CHILD SA, the same, and so have their
/// kernels.
fn agree(net: &Net) {
    let [gateway, client] = BOTH.map(|side| only(net, side));
    assert_eq!(gateway.spis, client.spis);
    assert_eq!((gateway.children.len(), client.children.len()), (1, 1));
    assert_eq!(gateway.children[0].spi_in, client.children[0].spi_out);
    assert_eq!(gateway.children[0].spi_out, client.children[0].spi_in);
    for side in BOTH {
        net.kernel(side).holds(&net.established(side));
        net.kernel(side).speaks_with(net.kernel(side.other()));
    }
}

#[test]
fn a_child_sa_is_replaced_by_either_side() {
    for side in BOTH {
        for groups in [vec![], vec![Group::Ecp256]] {
            let mut parties = psk();
            parties.change_gateway(|connection| connection.child.esp.groups = groups.clone());
            parties.change_client(|connection| connection.child.esp.groups = groups.clone());
            let mut net = up(&parties);
            let before = children(&net, side);
            rekey_child(&mut net, side);
            net.run(Duration::from_secs(1));
            agree(&net);
            assert_ne!(children(&net, side), before);
            for side in BOTH {
                assert_eq!(count(&net, side, Stat::ChildRekeyed), 1);
                assert_eq!(count(&net, side, Stat::ChildClosed), 1);
            }
        }
    }
}

/// --> CREATE_CHILD_SA { SA, Ni, TSi, TSr }
/// <-- CREATE_CHILD_SA { SA, Nr, TSi, TSr }
#[test]
fn either_side_may_want_one_more_child_sa() {
    for side in BOTH {
        let mut net = up(&psk());
        let id = only(&net, side).id;
        net.command(side, Command::CreateChild(id));
        net.run(Duration::from_secs(1));
        for side in BOTH {
            assert_eq!(children(&net, side).len(), 2);
            assert_eq!(count(&net, side, Stat::ChildEstablished), 2);
            net.kernel(side).holds(&net.established(side));
            net.kernel(side).speaks_with(net.kernel(side.other()));
        }
    }
}

/// Traffic goes on under the same policies, so that nothing is lost in between.
#[test]
fn a_replaced_child_sa_keeps_its_policies() {
    let mut net = up(&psk());
    let lineages = BOTH.map(|side| net.kernel(side).names().1);
    rekey_child(&mut net, Side::Client);
    net.run(Duration::from_secs(1));
    assert_eq!(BOTH.map(|side| net.kernel(side).names().1), lineages);
}

/// As the responder we send on the new SA only when the peer has shown, by
/// deleting the old one, that it receives on it; we receive on both until then.
#[test]
fn the_responder_goes_on_sending_on_the_old_until_it_is_deleted() {
    let mut net = up(&psk());
    let old = only(&net, Side::Gateway).children[0].clone();
    rekey_child(&mut net, Side::Client);
    // One way there, and half way back.
    net.run(Duration::from_millis(15));
    let both = only(&net, Side::Gateway).children;
    assert_eq!(both.len(), 2);
    let kernel = net.kernel(Side::Gateway);
    let inbound = |spi| kernel.sa(Direction::Inbound, spi).is_some();
    let outbound = |spi| kernel.sa(Direction::Outbound, spi).is_some();
    assert!(inbound(old.spi_in) && inbound(both[1].spi_in));
    assert!(outbound(old.spi_out) && !outbound(both[1].spi_out));
    net.run(Duration::from_secs(1));
    agree(&net);
}

#[test]
fn an_ike_sa_is_replaced_by_either_side_and_leaves_what_it_had() {
    for side in BOTH {
        let mut net = up(&psk());
        let before = only(&net, side);
        for _ in 0..3 {
            rekey_ike(&mut net, side);
            net.run(Duration::from_secs(1));
            agree(&net);
        }
        let after = only(&net, side);
        assert_ne!(after.spis, before.spis);
        assert_eq!(after.children, before.children);
        assert_eq!(after.addresses, before.addresses);
        assert_eq!(after.peer, before.peer);
        for side in BOTH {
            assert_eq!(count(&net, side, Stat::Rekeyed), 3);
            assert_eq!(count(&net, side, Stat::Closed), 0);
        }
        // It is an SA like any other: it has children replaced, and ends.
        rekey_child(&mut net, side.other());
        net.run(Duration::from_secs(1));
        agree(&net);
        let id = only(&net, side).id;
        net.command(side, Command::Terminate(id));
        net.run(Duration::from_secs(20));
        for side in BOTH {
            assert!(net.endpoint(side).is_quiet());
            net.kernel(side).holds(&[]);
        }
    }
}

/// Who is thrown out while the IKE SA is being replaced does not stay by that.
#[test]
fn an_end_is_not_forgotten_by_rekeying() {
    for side in BOTH {
        for both in [false, true] {
            let mut net = up(&psk());
            let id = only(&net, side).id;
            rekey_ike(&mut net, side);
            if both {
                rekey_ike(&mut net, side.other());
            }
            net.run(Duration::from_millis(5));
            net.command(side, Command::Terminate(id));
            net.run(Duration::from_secs(300));
            for side in BOTH {
                assert!(net.endpoint(side).is_quiet());
                net.kernel(side).holds(&[]);
            }
        }
    }
}

/// RFC 7296 §2.8.1: of two CHILD SAs for one the lower nonce decides.
#[test]
fn both_sides_replacing_a_child_sa_end_with_one() {
    let mut collided = 0;
    for seed in 0..20 {
        let weather = Weather {
            jitter: Duration::from_millis(30),
            job_delay: Duration::from_millis(20),
            ..Weather::FAIR
        };
        let mut net = Net::new(seed, weather, &psk());
        net.connect();
        net.run(Duration::from_secs(2));
        for side in BOTH {
            rekey_child(&mut net, side);
        }
        net.run(Duration::from_secs(2));
        agree(&net);
        // One was made and undone; only who answered has ever had it.
        let made = BOTH.map(|side| count(&net, side, Stat::ChildRekeyed));
        collided += usize::from(made.iter().sum::<u64>() == 3);
    }
    assert!(collided > 10, "{collided} of 20 have collided");
}

/// The same with the IKE SA (RFC 7296 §2.8.2).
#[test]
fn both_sides_replacing_the_ike_sa_end_with_one() {
    for seed in 0..20 {
        let mut net = Net::new(seed, Weather::FAIR, &psk());
        net.connect();
        net.run(Duration::from_secs(2));
        for side in BOTH {
            rekey_ike(&mut net, side);
        }
        net.run(Duration::from_secs(2));
        agree(&net);
        assert_eq!(count(&net, Side::Client, Stat::Rekeyed), 1, "seed {seed}");
        // The one that was undone is gone, and so is the old one.
        net.run(Duration::from_secs(200));
        agree(&net);
    }
}

/// RFC 7296 §2.25.2: while one side replaces the IKE SA, the other's wish for a
/// CHILD SA waits.
#[test]
fn a_child_sa_waits_for_the_ike_sa() {
    for (ike, child) in [(Side::Client, Side::Gateway), (Side::Gateway, Side::Client)] {
        let mut net = up(&psk());
        let before = only(&net, ike);
        rekey_ike(&mut net, ike);
        rekey_child(&mut net, child);
        net.run(Duration::from_millis(50));
        assert_eq!(only(&net, ike).spis, before.spis);
        let collisions = BOTH.map(|side| count(&net, side, Stat::Collision));
        assert!(collisions.iter().all(|count| *count > 0), "{collisions:?}");
        net.run(Duration::from_secs(60));
        agree(&net);
        let after = only(&net, ike);
        assert_ne!(after.spis, before.spis);
        assert_ne!(after.children, before.children);
    }
}

/// A lifetime is over before it is: the SAs are replaced in time, again and
/// again.
#[test]
fn lifetimes_end_before_they_are_over() {
    let mut parties = psk();
    parties.change_gateway(|connection| {
        connection.lifetimes.child = Duration::from_secs(60);
        connection.lifetimes.ike = Duration::from_secs(200);
    });
    let mut net = up(&parties);
    net.run(Duration::from_secs(3600));
    agree(&net);
    let replaced = |stat| count(&net, Side::Gateway, stat);
    assert!((60..=80).contains(&replaced(Stat::ChildRekeyed)));
    assert!((18..=24).contains(&replaced(Stat::Rekeyed)));
    assert_eq!(replaced(Stat::Closed), 0);
}

/// Windows takes no rekeying from a gateway: it has to come back.
#[test]
fn what_nobody_replaces_is_deleted_at_its_end() {
    let mut parties = psk();
    parties.change_gateway(|connection| {
        connection.lifetimes.initiate_rekey = false;
        connection.lifetimes.child = Duration::from_secs(60);
        connection.lifetimes.ike = Duration::from_secs(200);
    });
    let mut net = up(&parties);
    net.run(Duration::from_secs(57));
    agree(&net);
    net.run(Duration::from_secs(10));
    assert_eq!(children(&net, Side::Client), []);
    net.run(Duration::from_secs(200));
    let expired = |event: &Event| {
        let reason = CloseReason::Expired;
        matches!(event, Event::Closed { reason: told, .. } if *told == reason)
    };
    assert!(net.events(Side::Gateway).iter().any(expired));
    for side in BOTH {
        assert!(net.endpoint(side).is_quiet());
        net.kernel(side).holds(&[]);
    }
}

/// The kernel counts octets and packets.
#[test]
fn a_worn_child_sa_is_replaced_and_a_worn_out_one_deleted() {
    let mut net = up(&psk());
    let before = only(&net, Side::Gateway).children[0].clone();
    let lineage = net.kernel(Side::Gateway).names().1[0];
    let owner = only(&net, Side::Gateway).id;
    assert_eq!(net.endpoint(Side::Gateway).owner(lineage), Some(owner));
    let expired = |direction, spi, hard| DataPlaneEvent::Expired {
        lineage,
        direction,
        spi,
        hard,
        carried: Carried::default(),
    };
    let soft = expired(Direction::Outbound, before.spi_out, false);
    net.tell(Side::Gateway, soft);
    net.run(Duration::from_secs(1));
    agree(&net);
    let after = only(&net, Side::Gateway).children[0].clone();
    assert_ne!(after.spi_in, before.spi_in);
    let hard = expired(Direction::Inbound, after.spi_in, true);
    net.tell(Side::Gateway, hard);
    net.run(Duration::from_secs(1));
    assert_eq!(children(&net, Side::Client), []);
}

/// --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, KEi(ecp256), ... }
/// <-- CREATE_CHILD_SA { N(INVALID_KE_PAYLOAD: x25519) }
/// --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, KEi(x25519), ... }
#[test]
fn another_group_is_tried_when_it_is_asked_for() {
    let mut parties = psk();
    parties.change_client(|connection| {
        connection.child.esp.groups = vec![Group::Ecp256, Group::Curve25519];
    });
    parties.change_gateway(|connection| connection.child.esp.groups = vec![Group::Curve25519]);
    let mut net = up(&parties);
    rekey_child(&mut net, Side::Client);
    net.run(Duration::from_secs(1));
    agree(&net);
    assert_eq!(count(&net, Side::Gateway, Stat::ChildRekeyed), 1);
}

/// The kernel cannot do what was agreed on: the peer hears of it, the IKE SA
/// stands, and nothing is left half-installed.
#[test]
fn a_child_sa_that_the_kernel_does_not_take_is_refused() {
    let unsupported = DataPlaneError::Unsupported("no esp4".to_string());
    for side in BOTH {
        let mut net = Net::new(3, Weather::FAIR, &psk());
        net.kernel(side).refuse(Some(unsupported.clone()));
        net.connect();
        net.run(Duration::from_secs(5));
        for side in BOTH {
            assert_eq!(children(&net, side), []);
            net.kernel(side).holds(&[]);
        }
        let refused = |event: &Event| {
            let error = Error::DataPlane(unsupported.clone());
            matches!(event, Event::ChildRefused { reason, .. } if *reason == error)
        };
        assert!(net.events(side).iter().any(refused));
        if side == Side::Gateway {
            assert!(only(&net, side).addresses.is_empty());
        }
    }
}

/// The same when one is to be replaced: the old one goes on.
#[test]
fn a_replacement_that_the_kernel_does_not_take_leaves_the_old_one() {
    for asks in BOTH {
        for refuses in BOTH {
            let mut net = up(&psk());
            let before = children(&net, asks);
            let failed = DataPlaneError::Failed("no memory".to_string());
            net.kernel(refuses).refuse(Some(failed));
            rekey_child(&mut net, asks);
            net.run(Duration::from_secs(2));
            assert_eq!(children(&net, asks), before);
            agree(&net);
        }
    }
}

/// ESP that comes in is as good as an answer to a liveness check.
#[test]
fn a_peer_that_sends_traffic_is_not_asked_whether_it_lives() {
    let mut net = up(&psk());
    let spi = children(&net, Side::Gateway)[0];
    net.run(Duration::from_secs(10));
    let asked = |net: &Net| count(net, Side::Gateway, Stat::Sent);
    for _ in 0..20 {
        let before = asked(&net);
        net.kernel(Side::Gateway).carry(spi, 100);
        net.run(Duration::from_secs(59));
        // The client may ask, and is answered.
        assert!(asked(&net) <= before + 1);
    }
}

/// The peer refuses for good: it is not asked again, and the SA lives until its
/// end.
#[test]
fn a_rekeying_that_is_refused_is_not_tried_again() {
    let mut parties = psk();
    parties.change_client(|connection| connection.lifetimes.child = Duration::from_secs(600));
    parties.change_gateway(|connection| {
        let other = ikexdp_proto::crypto::cipher::Encryption::ChaCha20Poly1305;
        connection
            .child
            .esp
            .encryption
            .retain(|known| *known != other);
    });
    let mut net = up(&parties);
    // From now on the client wants what the gateway does not have.
    net.kernel(Side::Gateway)
        .refuse(Some(DataPlaneError::Unsupported("gone".to_string())));
    rekey_child(&mut net, Side::Client);
    net.run(Duration::from_secs(100));
    let refused = |event: &&Event| {
        let error = Error::PeerRefused(NotifyType::NO_PROPOSAL_CHOSEN);
        matches!(event, Event::ChildRefused { reason, .. } if *reason == error)
    };
    assert_eq!(net.events(Side::Client).iter().filter(refused).count(), 1);
    agree(&net);
}
