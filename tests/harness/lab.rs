//! The network of a test: client – router – gateway.
//!
//! ```text
//!   client                     router                      gateway
//!   eth0 192.0.2.2        .1 client  gateway .1       198.51.100.2 eth0
//!        2001:db8:1::2   ::1                 ::1   2001:db8:2::2
//! ```
//!
//! Both links are veth pairs with an MTU of 1500 and no checksum offload: a frame that AF_XDP sees
//! carries the checksum that would be on a wire. The router is where paths of the Internet go
//! wrong, see [`Path`].

use std::{
    fmt::Write as _,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::Stdio,
};

use aya::programs::xdp::XdpLink;
use serde_json::Value;

pub use crate::addresses::{Ends, V4, V6};
use crate::{
    bpf::Pass,
    capture::Capture,
    namespace::{Namespace, command},
};

/// Addresses as people call them.
pub const NAMES: [(IpAddr, &str); 4] = [
    (V4.client, "client"),
    (V4.gateway, "gateway"),
    (V6.client, "client"),
    (V6.gateway, "gateway"),
];

/// What the client's address becomes behind [`Path::nat`].
pub const NAT: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1)),
];

/// What the router does to datagrams that cross it, in both directions unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// Rewrites the client's address and port (RFC 3022).
    pub nat: bool,
    /// Drops every IP fragment, the first one included.
    pub drop_fragments: bool,
    /// Drops IP datagrams of more bytes, header included.
    pub size_max: Option<u16>,
    /// Drops that many of 100 UDP datagrams, at random.
    pub loss_percent: u8,
    /// Rules of nftables for what arrives from either side, before all others.
    pub rules: &'static str,
}

impl Path {
    /// The path that this project is for.
    pub const FRAGMENTS_DROPPED: Self = Self {
        nat: false,
        drop_fragments: true,
        size_max: None,
        loss_percent: 0,
        rules: "",
    };
}

/// What the router dropped since the last [`Lab::set_path`], in datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// By [`Path::drop_fragments`].
    pub fragments: u64,
    /// By [`Path::size_max`].
    pub oversized: u64,
    /// By [`Path::loss_percent`].
    pub lost: u64,
}

/// Three machines in a row.
#[derive(Debug)]
pub struct Lab {
    /// Where clients run; its interface is `eth0`.
    pub client: Namespace,
    /// Forwards; its interfaces are called `client` and `gateway` for what they lead to.
    pub router: Namespace,
    /// Where the gateway runs; its interface is `eth0`.
    pub gateway: Namespace,
    /// Without it the router would not receive what XDP answers.
    _receives: XdpLink,
}

impl Lab {
    /// Builds the network; the path is [`Path::default`], which drops nothing.
    #[must_use]
    pub fn new() -> Self {
        let client = Namespace::new("client");
        let router = Namespace::new("router");
        let gateway = Namespace::new("gateway");
        connect((&client, "eth0"), (&router, "client"));
        connect((&router, "gateway"), (&gateway, "eth0"));
        let lab = Self {
            _receives: router.run(|| Pass::load().attach("gateway")),
            client,
            router,
            gateway,
        };
        address(&lab.client, "eth0", &["192.0.2.2/24", "2001:db8:1::2/64"]);
        address(&lab.router, "client", &["192.0.2.1/24", "2001:db8:1::1/64"]);
        address(
            &lab.router,
            "gateway",
            &["198.51.100.1/24", "2001:db8:2::1/64"],
        );
        address(
            &lab.gateway,
            "eth0",
            &["198.51.100.2/24", "2001:db8:2::2/64"],
        );
        lab.client.exec("ip route add default via 192.0.2.1");
        lab.client.exec("ip route add default via 2001:db8:1::1");
        lab.gateway.exec("ip route add default via 198.51.100.1");
        lab.gateway.exec("ip route add default via 2001:db8:2::1");
        forward(&lab.router);
        lab
    }

    /// Gives both links another MTU.
    pub fn set_mtu(&self, octets: u16) {
        let links = [
            (&self.client, "eth0"),
            (&self.router, "client"),
            (&self.router, "gateway"),
            (&self.gateway, "eth0"),
        ];
        for (machine, interface) in links {
            machine.exec(&format!("ip link set {interface} mtu {octets}"));
        }
    }

    /// Makes the router treat datagrams as `path` says from now on; counts start at zero.
    pub fn set_path(&self, path: &Path) {
        let mut nft = command("nft");
        nft.args(["-f", "-"]).stdin(Stdio::piped());
        let mut nft = self.router.spawn(nft);
        nft.stdin
            .take()
            .expect("a pipe was asked for")
            .write_all(ruleset(path).as_bytes())
            .unwrap();
        assert!(
            nft.wait().unwrap().success(),
            "nft refuses:\n{}",
            ruleset(path)
        );
    }

    /// What the router has dropped.
    #[must_use]
    pub fn drops(&self) -> Drops {
        let listed = self.router.exec("nft --json list counters table inet path");
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let packets = |name: &str| {
            let counters = listed["nftables"].as_array().expect("a list").iter();
            let mut named = counters
                .map(|entry| &entry["counter"])
                .filter(|counter| counter["name"] == name);
            named
                .next()
                .and_then(|counter| counter["packets"].as_u64())
                .expect("a counter of this name")
        };
        Drops {
            fragments: packets("fragments"),
            oversized: packets("oversized"),
            lost: packets("lost"),
        }
    }

    /// Captures at the client's interface.
    #[must_use]
    pub fn capture_client(&self) -> Capture {
        Capture::start(&self.client, "eth0")
    }

    /// Captures at the router's interface to the gateway.
    ///
    /// It shows what AF_XDP takes and sends, which never passes the gateway's own taps.
    #[must_use]
    pub fn capture_router(&self) -> Capture {
        Capture::start(&self.router, "gateway")
    }

    /// Captures at the gateway's interface.
    #[must_use]
    pub fn capture_gateway(&self) -> Capture {
        Capture::start(&self.gateway, "eth0")
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

/// Joins two machines by a veth pair.
pub fn connect((one, name): (&Namespace, &str), (other, other_name): (&Namespace, &str)) {
    let network = other.network();
    one.exec(&format!(
        "ip link add {name} type veth peer name {other_name} netns {}",
        network.display()
    ));
    for (namespace, interface) in [(one, name), (other, other_name)] {
        // What the sending stack leaves to hardware, a veth never fills in.
        namespace.exec(&format!("ethtool --offload {interface} tx off"));
        namespace.exec(&format!("ip link set {interface} up"));
    }
}

/// Gives an interface addresses, each with its prefix length.
pub fn address(namespace: &Namespace, interface: &str, addresses: &[&str]) {
    for address in addresses {
        namespace.exec(&format!("ip address add {address} dev {interface}"));
    }
}

/// Makes a machine a router of both families.
pub fn forward(namespace: &Namespace) {
    namespace.write("/proc/sys/net/ipv4/ip_forward", "1");
    namespace.write("/proc/sys/net/ipv6/conf/all/forwarding", "1");
}

/// nftables' rules for a path.
///
/// Priority -450 lies before connection tracking, which would put fragments together before a rule
/// sees them.
fn ruleset(path: &Path) -> String {
    let mut rules = String::from(
        "table inet path\n\
         delete table inet path\n\
         table inet path {\n\
         counter fragments {}\n\
         counter oversized {}\n\
         counter lost {}\n\
         chain arriving {\n\
         type filter hook prerouting priority -450\n",
    );
    rules.push_str(path.rules);
    rules.push('\n');
    if path.drop_fragments {
        rules.push_str("ip frag-off & 0x3fff != 0 counter name fragments drop\n");
        rules.push_str("exthdr frag exists counter name fragments drop\n");
    }
    if let Some(size_max) = path.size_max {
        writeln!(
            rules,
            "meta length > {size_max} counter name oversized drop"
        )
        .unwrap();
    }
    // Only UDP: a lost neighbour solicitation costs a second and tests nothing.
    match path.loss_percent {
        0 => (),
        percent @ 1..100 => {
            writeln!(
                rules,
                "meta l4proto udp numgen random mod 100 < {percent} counter name lost drop"
            )
            .unwrap();
        }
        _ => rules.push_str("meta l4proto udp counter name lost drop\n"),
    }
    rules.push_str("}\n");
    if path.nat {
        rules.push_str("chain leaving {\ntype nat hook postrouting priority srcnat\n");
        rules.push_str("oifname \"gateway\" masquerade random\n}\n");
    }
    rules.push_str("}\n");
    rules
}
