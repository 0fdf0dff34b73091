//! What the gateway sends, as it leaves its interface.
//!
//! It is captured at the other end of the cable: a tap on the gateway's own interface does not see
//! what AF_XDP sends.

use harness::{
    lab::{V4, V6},
    pki::Key,
    strongswan::Esp,
};

use crate::case::Case;

/// RFC 7383 §2.5 in full: the longest datagram has the size that is configured, to the octet, and
/// none is ever an IP fragment, whoever sends it, XDP or the kernel.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn no_datagram_is_longer_than_configured() {
    for ends in [V4, V6] {
        let mut case = Case::certificates(ends, Key::Rsa4096);
        let virtual_ips = case.client.virtual_ips.clone();
        for (size, port) in [576, 1280, 1500]
            .into_iter()
            .flat_map(|size| [(size, 500), (size, 4500)])
        {
            case.gateway.fragment_size = size;
            // User-space ESP pretends that there is a NAT; without any, IKE
            // stays where it was.
            (case.client.esp, case.client.virtual_ips) = match port {
                500 => (Esp::None, vec![]),
                _ => (Esp::Userspace, virtual_ips.clone()),
            };
            let (lab, gateway, client) = case.start();
            let capture = lab.capture_router();
            client.initiate().unwrap();
            let sa = gateway.sas().remove(0);
            assert_eq!(sa.local.port(), port);
            // Nobody asked for this one: it cannot leave in the frame of a request.
            gateway.terminate(sa.id);
            let sent = |name| gateway.count(|stats| &stats.daemon, name);
            let (by_xdp, by_kernel) = (sent("frame_replied"), sent("udp_sent"));

            let datagrams = capture.stop();
            let ours = datagrams.iter().filter(|it| it.source == ends.gateway);
            let mut lengths = vec![];
            for datagram in ours {
                assert_eq!(datagram.fragment, None, "{datagram}");
                assert!(datagram.dont_fragment, "{datagram}");
                assert!(datagram.checksums_right, "{datagram}");
                lengths.extend(datagram.ike().map(|_| datagram.length));
            }
            assert_eq!(lengths.iter().max(), Some(&usize::from(size)));
            assert_eq!(u64::try_from(lengths.len()), Ok(by_xdp + by_kernel));
            assert!(by_xdp > 0 && by_kernel > 0, "{by_xdp}, {by_kernel}");
        }
    }
}
