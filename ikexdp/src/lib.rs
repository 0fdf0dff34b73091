//! The daemon and its command line: XDP, AF_XDP, kernel sockets, configuration.
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "tests compute on their own numbers"
    )
)]

pub mod authorities;
pub mod bench;
pub mod capture;
pub mod causes;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod daemon;
pub mod dhcp;
pub mod entropy;
pub mod failure;
pub mod frame;
pub mod heap;
pub mod host_checks;
pub mod init;
pub mod jobs;
pub mod journal;
pub mod leases;
pub mod limiter;
pub mod listed;
pub mod log;
pub mod metrics;
pub mod mtu;
pub mod netlink;
pub mod parked;
pub mod pki;
pub mod prefix;
pub mod probe;
pub mod process;
pub mod profiles;
pub mod prometheus;
pub mod radius;
pub mod signatures;
mod socket_option;
pub mod udp;
pub mod verdict;
pub mod view;
pub mod waker;
pub mod wireshark;
pub mod xdp;
pub mod xfrm;
pub mod xsk;
