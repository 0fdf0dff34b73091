//! The kernel's table of UDP sockets: who has a port, and what was dropped.

use std::fmt;
use std::fs;
use std::net::SocketAddr;

use crate::process::Process;

/// A line of `/proc/net/udp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    port: u16,
    inode: u64,
    drops: u64,
}

const TABLE_V4: &str = "/proc/net/udp";
const TABLE_V6: &str = "/proc/net/udp6";

fn read(table: &str) -> Vec<Entry> {
    let text = fs::read_to_string(table).unwrap_or_default();
    text.lines().filter_map(parse).collect()
}

/// `sl local remote st queues timer retransmits uid timeout inode ref pointer
/// drops`; the first line has the names.
fn parse(line: &str) -> Option<Entry> {
    let mut columns = line.split_ascii_whitespace();
    let local = columns.nth(1)?;
    let (_, port) = local.rsplit_once(':')?;
    Some(Entry {
        port: u16::from_str_radix(port, 16).ok()?,
        inode: columns.nth(7)?.parse().ok()?,
        drops: columns.nth(2)?.parse().ok()?,
    })
}

/// Datagrams that came to certain sockets and were dropped before anybody read
/// them, because their buffers were full.
#[derive(Clone, Debug)]
pub struct Drops {
    inodes: Vec<u64>,
}

impl Drops {
    pub(super) const fn of(inodes: Vec<u64>) -> Self {
        Self { inodes }
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> u64 {
        [TABLE_V4, TABLE_V6]
            .into_iter()
            .flat_map(read)
            .filter(|entry| self.inodes.contains(&entry.inode))
            .fold(0, |sum, entry| sum.saturating_add(entry.drops))
    }
}

/// The process that has a socket, as far as it can be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    process: Option<Process>,
}

impl Owner {
    /// Who has a UDP socket on the port of `address`; first looked for among
    /// those of its family, because a socket for IPv6 may also take IPv4.
    pub(super) fn of(address: SocketAddr) -> Self {
        let mut tables = [TABLE_V4, TABLE_V6];
        if address.is_ipv6() {
            tables.reverse();
        }
        let process = tables
            .into_iter()
            .flat_map(read)
            .filter(|entry| entry.port == address.port())
            .find_map(|entry| process_of(entry.inode));
        Self { process }
    }

    /// How to make it give the port up.
    #[must_use]
    pub fn remedy(&self) -> String {
        let name = self.process.as_ref().map(|process| process.name.as_str());
        match name {
            Some("charon-systemd") => "`systemctl stop strongswan`".to_owned(),
            Some("charon") => "`systemctl stop strongswan-starter`, or `ipsec stop`".to_owned(),
            Some("pluto") => "`systemctl stop ipsec`".to_owned(),
            Some("iked") => "`systemctl stop openiked`".to_owned(),
            Some("ikexdp") => "ikexdp runs already, see `ikexdp status`".to_owned(),
            Some(name) => format!("stop {name}"),
            None => "`ss -lunp` as root shows who".to_owned(),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some(process) => write!(f, "{process}"),
            None => f.write_str("another process"),
        }
    }
}

/// The process that holds the socket `inode`, unless we may not look at it.
fn process_of(inode: u64) -> Option<Process> {
    let link = format!("socket:[{inode}]");
    Process::find(|process| {
        let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten();
        descriptors
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| *target == *link))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_line_of_the_kernel_is_read() {
        let v4 = "  637: 00000000:01F4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 20112 2 000000009b0f7d1e 42";
        let v6 = "  638: 00000000000000000000000000000000:1194 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 20113 2 000000001f7a3f5e 0";
        let expected = Entry {
            port: 500,
            inode: 20112,
            drops: 42,
        };
        assert_eq!(parse(v4), Some(expected));
        assert_eq!(
            parse(v6).map(|entry| (entry.port, entry.drops)),
            Some((4500, 0))
        );
        let names = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops";
        assert_eq!(parse(names), None);
    }

    #[test]
    fn the_owner_of_a_port_is_found() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let owner = Owner::of(address);
        assert_eq!(
            owner.process.as_ref().map(|process| process.pid),
            Some(std::process::id())
        );
        drop(socket);
        assert_eq!(Owner::of(address).to_string(), "another process");
    }

    #[test]
    fn the_remedy_names_the_service_of_a_known_daemon() {
        let owner = |name: &str| Owner {
            process: Some(Process {
                pid: 1,
                name: name.to_owned(),
            }),
        };
        assert!(owner("charon-systemd").remedy().contains("stop strongswan"));
        assert_eq!(owner("socat").remedy(), "stop socat");
        assert_eq!(owner("socat").to_string(), "socat (pid 1)");
    }
}
