//! Rates: of a source, of a network, of all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ikexdp_common::limit::{Limits, Rate};
use ikexdp_common::maps::{Config, Cookies};
use ikexdp_common::verdict::Verdict::*;

use super::{Case, PEER_V4, PEER_V6, case, config, cookie, each, no_cookie, once_and, told};

const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 3));

pub(super) fn rates() -> Vec<Case> {
    let near = IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 9, 9, 9, 9));
    let far = |network| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0xff, network, 0, 0, 0, 2));
    let over = |source, total, proven_total| {
        let limits = |total| Limits { source, total };
        told(Config {
            init: limits(total),
            proven: limits(proven_total),
            ..config(Cookies::OverRate)
        })
    };
    let (us, them) = (PEER_V4.into(), OTHER);
    vec![
        case(
            "a source over its rate",
            over(once_and(1), Rate::default(), Rate::default()),
            vec![
                (no_cookie(us), RedirectIke),
                (no_cookie(us), RedirectIke),
                (no_cookie(us), ReplyCookieSource),
                (no_cookie(them), RedirectIke),
                (cookie(us), RedirectIke),
                (cookie(us), RedirectIke),
                (cookie(us), DropSourceLimit),
                (no_cookie(us), ReplyCookieSource),
            ],
        ),
        case(
            "a network of IPv6 is one source",
            over(once_and(0), Rate::default(), Rate::default()),
            vec![
                (no_cookie(PEER_V6.into()), RedirectIke),
                (no_cookie(near), ReplyCookieSource),
                (no_cookie(far(1)), RedirectIke),
                (cookie(near), RedirectIke),
                (cookie(near), DropSourceLimit),
            ],
        ),
        case(
            "a customer of many networks of IPv6",
            over(once_and(0), Rate::default(), Rate::default()),
            vec![
                (no_cookie(far(1)), RedirectIke),
                (no_cookie(far(2)), RedirectIke),
                (no_cookie(far(3)), RedirectIke),
                (no_cookie(far(4)), RedirectIke),
                (no_cookie(far(5)), ReplyCookieNetwork),
                (no_cookie(far(1)), ReplyCookieSource),
                (cookie(far(5)), RedirectIke),
                (cookie(far(6)), RedirectIke),
                (cookie(far(7)), RedirectIke),
                (cookie(far(8)), RedirectIke),
                (cookie(far(9)), DropNetworkLimit),
                (cookie(us), RedirectIke),
            ],
        ),
        case(
            "all sources over the rate",
            over(Rate::default(), once_and(1), once_and(0)),
            vec![
                (no_cookie(us), RedirectIke),
                (no_cookie(them), RedirectIke),
                (no_cookie(near), ReplyCookieTotal),
                (cookie(us), RedirectIke),
                (cookie(them), DropTotalLimit),
            ],
        ),
    ]
}

pub(super) fn whom_they_are_for() -> Vec<Case> {
    let (us, them) = (PEER_V4.into(), OTHER);
    vec![
        case(
            "limits with cookies for all",
            told(Config {
                proven: each(once_and(0)),
                ..config(Cookies::Always)
            }),
            vec![
                (no_cookie(us), ReplyCookie),
                (no_cookie(us), ReplyCookie),
                (cookie(us), RedirectIke),
                (cookie(us), DropSourceLimit),
                (cookie(them), RedirectIke),
            ],
        ),
        case(
            "no limits without cookies",
            told(Config {
                init: each(once_and(0)),
                proven: each(once_and(0)),
                ..config(Cookies::Off)
            }),
            vec![(no_cookie(us), RedirectIke), (no_cookie(us), RedirectIke)],
        ),
    ]
}
