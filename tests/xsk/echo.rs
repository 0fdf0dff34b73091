//! IKE goes to the AF_XDP socket and comes back.

use harness::packet::{CLIENT_MAC, GATEWAY_MAC, Packet, ike_sa_init, marked};
use ikexdp::xdp::Mode;
use ikexdp::xsk::{BATCH, QueueCounter, Transfer};
use ikexdp_common::verdict::{Action, Verdict};

use crate::gateway::Gateway;
use crate::in_both_modes;
use crate::wire::{V4, V6, Wire, elsewhere, receive, socket, socket_here};

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn ike_comes_back() {
    in_both_modes(|mode, peer| {
        let mut gateway = Gateway::attach(mode);
        assert_eq!(gateway.attachment.mode(), mode);
        assert_eq!(gateway.sockets[0].transfer(), Transfer::Copy);
        let lengths = [28, 29, 576, 1001, 1200];
        for ends in [V4, V6] {
            let peer = socket(peer, ends.peer, 0);
            for length in lengths {
                for (port, payload) in [(500, ike_sa_init(length)), (4500, marked(length))] {
                    peer.send_to(&payload, (ends.gateway, port)).unwrap();
                    gateway.echo(1);
                    assert_eq!(receive(&peer), (payload, (ends.gateway, port).into()));
                }
            }
        }
        let each = 2 * lengths.len() as u64;
        assert_eq!(gateway.count(Verdict::RedirectIke), each);
        assert_eq!(gateway.count(Verdict::RedirectIkeNat), each);
        for counter in [QueueCounter::Received, QueueCounter::Sent] {
            assert_eq!(gateway.queues(counter), [2 * each]);
        }
        let drops = |verdict: &&Verdict| verdict.action() == Action::Drop;
        for verdict in Verdict::ALL.iter().filter(drops) {
            assert_eq!(gateway.count(*verdict), 0, "{verdict:?}");
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_burst_comes_back() {
    in_both_modes(|mode, peer| {
        let mut gateway = Gateway::attach(mode);
        let peer = socket(peer, V4.peer, 0);
        // More than the kernel sends at a time, and more than once round the rings.
        for _ in 0..30 {
            for _ in 0..100 {
                peer.send_to(&ike_sa_init(500), (V4.gateway, 500)).unwrap();
            }
            gateway.echo(100);
            for _ in 0..100 {
                assert_eq!(receive(&peer).0, ike_sa_init(500));
            }
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn receiving_allocates_nothing() {
    in_both_modes(|mode, peer| {
        let mut gateway = Gateway::attach(mode);
        let peer = socket(peer, V4.peer, 0);
        for _ in 0..20 {
            for _ in 0..BATCH {
                peer.send_to(&ike_sa_init(500), (V4.gateway, 500)).unwrap();
            }
            let mut read = 0;
            while read < BATCH {
                gateway.wait();
                let allocations = allocation_counter::measure(|| read += gateway.read());
                assert_eq!(allocations.count_total, 0);
            }
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn every_queue_has_its_socket() {
    let Wire { gateway, peer } = Wire::with_queues(4);
    gateway.run(move || {
        let mut gateway = Gateway::attach(Mode::Native);
        assert_eq!(gateway.sockets.len(), 4);
        // The peer chooses a queue by a hash over the ports.
        let flows = 64;
        for _ in 0..flows {
            let peer = socket(&peer, V4.peer, 0);
            peer.send_to(&ike_sa_init(100), (V4.gateway, 500)).unwrap();
            gateway.echo(1);
            assert_eq!(receive(&peer).0, ike_sa_init(100));
        }
        let received = gateway.queues(QueueCounter::Received);
        assert_eq!(received.iter().sum::<u64>(), flows);
        assert!(
            received.iter().filter(|count| **count > 0).count() > 1,
            "{received:?}"
        );
        assert_eq!(gateway.queues(QueueCounter::Sent), received);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_queue_that_cannot_send_is_the_kernels() {
    let Wire { gateway, peer } = Wire::with_rx_and_tx(2, 1);
    gateway.run(move || {
        let mut gateway = Gateway::attach(Mode::Native);
        assert_eq!(gateway.sockets.len(), 1);
        let kernel = socket_here(V4.gateway, 500);
        let flows = 64;
        for _ in 0..flows {
            let peer = socket(&peer, V4.peer, 0);
            peer.send_to(&ike_sa_init(100), (V4.gateway, 500)).unwrap();
            if gateway.wait_or_else(&kernel) {
                gateway.echo(1);
                assert_eq!(receive(&peer).0, ike_sa_init(100));
            } else {
                assert_eq!(receive(&kernel).0, ike_sa_init(100));
            }
        }
        let redirected = gateway.count(Verdict::RedirectIke);
        let passed = gateway.count(Verdict::PassNoSocket);
        assert_eq!(redirected + passed, flows);
        assert!(redirected > 0 && passed > 0, "{redirected}, {passed}");
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_reply_keeps_its_vlan_tags() {
    in_both_modes(|mode, peer| {
        let mut gateway = Gateway::attach(mode);
        let mut sender = elsewhere(peer, move || Gateway::attach(mode));
        for ends in [V4, V6] {
            let packet = Packet::new(ends.peer, ends.gateway, 500).from_port(500);
            let packet = packet.carrying(ike_sa_init(100)).tag(0x88a8).tag(0x8100);
            sender.transmit(&packet.build());
            gateway.echo(1);
            sender.wait();
            let mut received = Vec::new();
            sender.sockets[0].receive(&mut received);
            let [frame] = received.as_slice() else {
                panic!("one frame")
            };
            assert_eq!(frame[..6], CLIENT_MAC);
            assert_eq!(frame[6..12], GATEWAY_MAC);
            assert_eq!(frame[12..20], packet.build()[12..20]);
            assert_eq!(frame[frame.len() - 100..], ike_sa_init(100));
        }
    });
}
