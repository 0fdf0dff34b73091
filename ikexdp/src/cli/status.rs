//! `ikexdp status`.

use std::fmt::Display;

use super::amount::age;
use super::table::Table;
use crate::listed::Listed;
use crate::view::{Decryption, PoolStatus, Status};

/// The daemon at a glance.
pub(super) fn table(status: &Status) -> String {
    let mut table = Table::default();
    let mut row = |name: &str, value: &dyn Display| table.row([name.to_owned(), value.to_string()]);
    row("version", &status.version);
    row("pid", &status.pid);
    row("up", &age(status.uptime_s));
    match &status.xdp {
        None => row("transport", &"udp"),
        Some(xdp) => {
            row("transport", xdp);
            row("RX queues", &Listed(&xdp.queues));
            match xdp.addresses.as_slice() {
                [] => row("addresses", &"none"),
                addresses => row("addresses", &Listed(addresses)),
            }
            if let Some(trouble) = &xdp.trouble {
                row("warning", trouble);
            }
        }
    }
    let fragmentation = match (status.fragmentation, status.ip_fragments) {
        (true, false) => "IKE fragments",
        (true, true) => "IKE fragments, IP fragments for peers without",
        (false, false) => "no fragments",
        (false, true) => "IP fragments",
    };
    row(
        "datagrams",
        &format_args!("{} octets, {fragmentation}", status.fragment_size),
    );
    row("data plane", &status.data_plane);
    row("established", &status.established);
    row("half-open", &status.half_open);
    if let Some(seconds) = status.challenging_s {
        row(
            "cookies",
            &format_args!("asked of everybody for {seconds} s"),
        );
    }
    row("prefixes", &status.listed);
    row("jobs", &status.jobs);
    row(
        "reassembly",
        &format_args!("{} octets", status.reassembly_octets),
    );
    for pool in &status.pools {
        row(&format!("pool {}", pool.name), &filled(pool));
    }
    if status.captures > 0 && status.xdp.is_some() {
        let captures = status.captures;
        row(
            "warning",
            &format_args!("IKE is left to the kernel for {captures} captures"),
        );
    }
    if let Some(decryption) = &status.decryption {
        row("warning", &told(decryption));
    }
    for shortcoming in &status.shortcomings {
        row("warning", shortcoming);
    }
    table.to_string()
}

/// How much of a pool is taken.
fn filled(pool: &PoolStatus) -> String {
    let PoolStatus {
        first,
        last,
        size,
        in_use,
        kept,
        ..
    } = pool;
    format!("{in_use} of {size} in use, {kept} kept: {first}-{last}")
}

/// Whose keys go where.
fn told(decryption: &Decryption) -> String {
    let Decryption {
        peer,
        seconds_left,
        directory,
        lines_lost,
        uid,
        ..
    } = decryption;
    let left = age(*seconds_left);
    let lost = match lines_lost {
        0 => String::new(),
        lines => format!(", {lines} lines were lost"),
    };
    format!("keys of {peer} are written for user {uid}, {left} more{lost}: {directory}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{ListedCounts, XdpStatus};

    #[test]
    fn a_status_tells_where_frames_come_from() {
        let status = Status {
            version: "1.2.3".to_owned(),
            pid: 42,
            uptime_s: 61,
            fragment_size: 1280,
            fragmentation: true,
            data_plane: "none".to_owned(),
            xdp: Some(XdpStatus {
                interface: "eth0".to_owned(),
                mode: "native".to_owned(),
                queues: vec!["zero-copy".to_owned(), "copy".to_owned()],
                addresses: vec!["192.0.2.1".parse().unwrap()],
                trouble: Some("interface is down: eth0".to_owned()),
            }),
            shortcomings: vec!["no IPv6 on this host".to_owned()],
            established: 7,
            listed: ListedCounts {
                allowed: 1,
                blocked: 2,
                commanded: 2,
            },
            pools: vec![PoolStatus {
                name: "staff".to_owned(),
                first: "10.9.0.1".parse().unwrap(),
                last: "10.9.0.254".parse().unwrap(),
                size: 254,
                in_use: 7,
                kept: 12,
            }],
            ..Status::default()
        };
        let expected = "\
version      1.2.3
pid          42
up           1m 1s
transport    xdp on eth0, native
RX queues    zero-copy, copy
addresses    192.0.2.1
warning      interface is down: eth0
datagrams    1280 octets, IKE fragments
data plane   none
established  7
half-open    0
prefixes     1 allowed, 2 blocked; 2 of them by command
jobs         0
reassembly   0 octets
pool staff   7 of 254 in use, 12 kept: 10.9.0.1-10.9.0.254
warning      no IPv6 on this host
";
        assert_eq!(table(&status), expected);
    }
}
