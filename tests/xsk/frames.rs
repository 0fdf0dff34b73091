//! Frames are held, used up, and given back.

use harness::packet::ike_sa_init;
use ikexdp::xdp::Mode;
use ikexdp::xsk::QueueCounter;

use crate::gateway::Gateway;
use crate::in_both_modes;
use crate::wire::{V4, Wire, receive, socket, socket_here};

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn frames_run_out_and_come_back() {
    in_both_modes(|mode, peer| {
        let mut gateway = Gateway::attach(mode);
        let peer = socket(peer, V4.peer, 0);
        let free: Vec<_> = std::iter::from_fn(|| gateway.sockets[0].allocate()).collect();
        assert!(free.len() >= 512, "{}", free.len());
        assert_eq!(gateway.queues(QueueCounter::Exhausted), [1]);

        // What is received now is all that is left to receive into.
        let mut held = Vec::new();
        let sent = 100;
        for _ in 0..sent {
            peer.send_to(&ike_sa_init(100), (V4.gateway, 500)).unwrap();
        }
        while held.len() < sent {
            gateway.wait();
            gateway.sockets[0].receive(&mut held);
            gateway.sockets[0].flush().unwrap();
        }
        assert_ne!(gateway.queues(QueueCounter::Starved), [0]);

        drop(held);
        drop(free);
        let starved = {
            gateway.sockets[0].flush().unwrap();
            gateway.queues(QueueCounter::Starved)
        };
        for _ in 0..2000 {
            peer.send_to(&ike_sa_init(100), (V4.gateway, 500)).unwrap();
            gateway.echo(1);
            receive(&peer);
        }
        assert_eq!(gateway.queues(QueueCounter::Starved), starved);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_frame_is_sent_on_its_own_queue_only() {
    let Wire {
        gateway,
        peer: _peer,
    } = Wire::with_queues(2);
    gateway.run(|| {
        let mut gateway = Gateway::attach(Mode::Native);
        let [first, second] = gateway.sockets.as_mut_slice() else {
            panic!("two queues")
        };
        let mut frame = first.allocate().unwrap();
        assert_eq!(frame.queue(), 0);
        frame.resize(100).unwrap();
        let frame = second.send(frame).unwrap_err();
        assert_eq!((frame.queue(), frame.len()), (0, 100));
        first.send(frame).unwrap();
        let empty = first.allocate().unwrap();
        first.send(empty).unwrap_err();
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_full_ring_refuses_and_then_drains() {
    in_both_modes(|mode, peer| {
        let mut gateway = Gateway::attach(mode);
        let peer = socket(peer, V4.peer, 0);
        let socket = &mut gateway.sockets[0];
        let refused = loop {
            let mut frame = socket
                .allocate()
                .expect("more frames than places in the ring");
            frame.resize(60).unwrap();
            frame.fill(0xff);
            if let Err(frame) = socket.send(frame) {
                break frame;
            }
        };
        assert_eq!(gateway.queues(QueueCounter::TransmitFull), [1]);
        drop(refused);
        gateway.sockets[0].flush().unwrap();
        peer.send_to(&ike_sa_init(100), (V4.gateway, 500)).unwrap();
        gateway.echo(1);
        receive(&peer);
        assert_eq!(gateway.queues(QueueCounter::KernelTransmitInvalid), [0]);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn what_is_too_long_for_a_frame_goes_to_the_kernel() {
    let Wire { gateway, peer } = Wire::new();
    for namespace in [&gateway, &peer] {
        namespace.exec("ip link set wan mtu 9000");
    }
    gateway.run(move || {
        let mut gateway = Gateway::attach(Mode::Generic);
        let kernel = socket_here(V4.gateway, 500);
        let peer = socket(&peer, V4.peer, 0);
        let longest = 3840 - 14 - 20 - 8;
        for length in [2000, longest] {
            peer.send_to(&ike_sa_init(length), (V4.gateway, 500))
                .unwrap();
            gateway.echo(1);
            assert_eq!(receive(&peer).0, ike_sa_init(length));
        }
        for length in [longest + 1, 8000] {
            peer.send_to(&ike_sa_init(length), (V4.gateway, 500))
                .unwrap();
            assert_eq!(receive(&kernel).0, ike_sa_init(length));
        }
    });
}
