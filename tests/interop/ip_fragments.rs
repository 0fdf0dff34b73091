//! A client that cannot fragment (RFC 7383), with a chain that does not fit one datagram, on a path
//! that lets IP fragments through.

use harness::{
    lab::{Ends, Path, V4, V6},
    pki::Key,
};

use crate::case::Case;

fn client_without_fragmentation(ends: Ends) -> Case {
    let mut case = Case::certificates(ends, Key::Rsa4096);
    case.client.fragmentation = false;
    case.path = Path::default();
    case
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn with_ip_fragments_it_connects() {
    for ends in [V4, V6] {
        let mut case = client_without_fragmentation(ends);
        case.gateway.gateway = "ip-fragments = true";
        let (_lab, gateway, client) = case.start();
        client.initiate().unwrap();

        let sa = &gateway.sas()[0];
        assert!(!sa.fragmentation.negotiated);
        let daemon = |name| gateway.count(|stats| &stats.daemon, name);
        assert_eq!(daemon("udp_ip_fragmented"), 1);
        // XDP leaves the request's fragments to the kernel, which puts them together.
        let xdp = |name| gateway.count(|stats| &stats.xdp, name);
        assert_eq!(xdp("pass_first_fragment"), 1);
        assert!(xdp("pass_fragment") >= 2);
        // Our next message fits a datagram, and is one again.
        gateway.terminate(sa.id);
        assert_eq!(daemon("udp_ip_fragmented"), 1);
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn by_default_it_is_told_why_not() {
    for ends in [V4, V6] {
        let (lab, gateway, client) = client_without_fragmentation(ends).start();
        let capture = lab.capture_router();
        client.initiate().unwrap_err();

        let line = gateway.line("peer cannot fragment at the IKE layer");
        for part in [
            &ends.client.to_string(),
            "switch on IKE fragmentation (RFC 7383) on the client",
            "or set `ip-fragments = true`",
        ] {
            assert!(line.contains(part), "{line}");
        }
        assert!(gateway.count(|stats| &stats.daemon, "udp_too_long") > 0);
        let datagrams = capture.stop();
        let mut ours = datagrams.iter().filter(|it| it.source == ends.gateway);
        assert!(ours.all(|datagram| datagram.fragment.is_none()));
    }
}
