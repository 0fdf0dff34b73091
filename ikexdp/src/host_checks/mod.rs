//! What of this host keeps the traffic of CHILD SAs from passing, to be said
//! before somebody wonders why a tunnel that is up carries nothing.

mod esp;

use std::fmt;
use std::fs;
use std::path::Path;

use ikexdp_proto::config::{Config, RemoteSelectors};
use ikexdp_proto::wire::payload::ts::TrafficSelector;

use crate::config::{DataPlane, Settings, Transport};

/// Where the kernel shows how its network is set.
const SYSCTL: &str = "/proc/sys/net";

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Its directory of settings.
    const fn directory(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// What traffic does not get past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The kernel cannot do ESP over this family, not even after loading modules.
    NoEsp(Family),
    /// The kernel forwards nothing of this family.
    NotForwarded(Family),
    /// The kernel drops what comes in by this interface and would be answered
    /// by another one (RFC 3704 §2.2).
    StrictReversePath {
        /// The interface.
        interface: String,
    },
}

impl Obstacle {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoEsp(Family::V4) => "`modprobe esp4`, or a kernel with CONFIG_INET_ESP".into(),
            Self::NoEsp(Family::V6) => "`modprobe esp6`, or a kernel with CONFIG_INET6_ESP".into(),
            Self::NotForwarded(Family::V4) => {
                "`sysctl -w net.ipv4.ip_forward=1`, and the same in /etc/sysctl.d".into()
            }
            Self::NotForwarded(Family::V6) => {
                "`sysctl -w net.ipv6.conf.all.forwarding=1`, and the same in /etc/sysctl.d".into()
            }
            Self::StrictReversePath { interface } => {
                // In names of interfaces a dot is written as a slash (sysctl(8)).
                let interface = interface.replace('.', "/");
                format!(
                    "unless routes are symmetric, `sysctl -w net.ipv4.conf.{interface}.rp_filter=2`"
                )
            }
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEsp(family) => write!(
                f,
                "the kernel has no ESP over {family}: no CHILD SA of such peers will carry traffic"
            ),
            Self::NotForwarded(family) => write!(
                f,
                "the kernel does not forward {family}: peers reach this host only"
            ),
            Self::StrictReversePath { interface } => write!(
                f,
                "strict reverse path filter on {interface}: \
                 ESP of peers whose way back is another interface is dropped, their IKE is not"
            ),
        }
    }
}

/// Everything that stands in the way of what `settings` would serve; nothing, if
/// the kernel has no part in that.
#[must_use]
pub fn obstacles(settings: &Settings) -> Vec<Obstacle> {
    if settings.data_plane == DataPlane::None {
        return Vec::new();
    }
    let sysctl = Path::new(SYSCTL);
    let has = |family: &Family| sysctl.join(family.directory()).is_dir();
    let missing = |family: &Family| matches!(esp::is_there(*family), Ok(false));
    let esp = Family::ALL.into_iter().filter(has).filter(missing);
    let interface = match &settings.transport {
        Transport::Xdp(xdp) => Some(xdp.interface.as_str()),
        Transport::Udp => None,
    };
    let sysctls = set_against_us(sysctl, &settings.engine, interface);
    esp.map(Obstacle::NoEsp).chain(sysctls).collect()
}

/// The same, as far as `sysctl` shows it. `interface` is the one that is served;
/// without one all are.
fn set_against_us(sysctl: &Path, config: &Config, interface: Option<&str>) -> Vec<Obstacle> {
    let forwarded = Family::ALL
        .into_iter()
        .filter(|family| carries(config, *family));
    let mut obstacles: Vec<_> = forwarded
        .filter(|family| !forwards(sysctl, *family))
        .map(Obstacle::NotForwarded)
        .collect();
    let settings = sysctl.join("ipv4/conf");
    let served = match interface {
        Some(interface) => vec![interface.to_owned()],
        None => interfaces(&settings),
    };
    let strict = served.into_iter().filter(|interface| {
        // The larger one counts (networking/ip-sysctl.rst).
        let of = |name: &str| value(&settings.join(name).join("rp_filter"));
        of("all").max(of(interface)) == Some(1)
    });
    obstacles.extend(strict.map(|interface| Obstacle::StrictReversePath { interface }));
    obstacles
}

/// Whether traffic of `family` passes between peers and what lies behind us.
fn carries(config: &Config, family: Family) -> bool {
    let is_of = |selector: &TrafficSelector| selector.start.is_ipv4() == (family == Family::V4);
    config.connections.iter().any(|connection| {
        let child = &connection.child;
        let remote = match &child.remote {
            RemoteSelectors::Pool(name) => config.pool(name).is_some_and(|pool| match family {
                Family::V4 => pool.v4.is_some(),
                Family::V6 => pool.v6.is_some(),
            }),
            RemoteSelectors::Fixed(networks) => networks.iter().any(is_of),
        };
        remote && child.local.iter().any(is_of)
    })
}

/// Whether `family` is forwarded from any interface, or that cannot be told.
fn forwards(sysctl: &Path, family: Family) -> bool {
    let settings = sysctl.join(family.directory()).join("conf");
    let all = value(&settings.join("all/forwarding"));
    // Each interface has a setting of its own; that of IPv6 is newer.
    let own = match family {
        Family::V4 => "forwarding",
        Family::V6 => "force_forwarding",
    };
    let is_on = |interface: &String| value(&settings.join(interface).join(own)) == Some(1);
    all != Some(0) || interfaces(&settings).iter().any(is_on)
}

/// Every interface that has settings but the loopback interface.
fn interfaces(settings: &Path) -> Vec<String> {
    let names = fs::read_dir(settings).into_iter().flatten().flatten();
    let mut names: Vec<_> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !matches!(name.as_str(), "all" | "default" | "lo"))
        .collect();
    names.sort();
    names
}

/// What a file of one number says.
fn value(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::unix_time;
    use crate::config::load;
    use tempfile::TempDir;

    /// A gateway whose clients get addresses of both families, and reach such.
    const BOTH: &str = r#"
        gateway = { transport = "udp" }
        [[pool]]
        name = "staff"
        addresses = ["10.9.0.0/24", "2001:db8:9::/112"]
        [[connection]]
        name = "staff"
        local = { id = "vpn.example.com", secret = "correct horse battery staple" }
        remote = { secret = "correct horse battery staple", ids = ["*"] }
        pool = "staff"
    "#;

    /// What stands in the way of `configuration` on a host with these settings,
    /// and with these alone.
    fn found(
        configuration: &str,
        interface: Option<&str>,
        values: &[(&str, u32)],
    ) -> Vec<Obstacle> {
        let directory = TempDir::new().unwrap();
        for (name, value) in values {
            let file = directory.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("{value}\n")).unwrap();
        }
        let file = directory.path().join("gateway.toml");
        fs::write(&file, configuration).unwrap();
        let engine = load(&file, unix_time()).unwrap().settings.engine;
        set_against_us(directory.path(), &engine, interface)
    }

    #[test]
    fn what_is_carried_must_be_forwarded() {
        let off = [
            ("ipv4/conf/all/forwarding", 0),
            ("ipv6/conf/all/forwarding", 0),
        ];
        let (v4, v6) = (
            Obstacle::NotForwarded(Family::V4),
            Obstacle::NotForwarded(Family::V6),
        );
        assert_eq!(found(BOTH, None, &off), [v4.clone(), v6.clone()]);
        // Of an IPv6 that this host does not have nothing is known.
        assert_eq!(
            found(BOTH, None, &off[..1]),
            [Obstacle::NotForwarded(Family::V4)]
        );
        let only_v4 = BOTH.replace(", \"2001:db8:9::/112\"", "");
        assert_eq!(found(&only_v4, None, &off), [v4]);
        let only_v6 = format!("{BOTH}\nlocal-networks = [\"2001:db8::/32\"]");
        assert_eq!(found(&only_v6, None, &off), [v6]);
    }

    #[test]
    fn one_interface_that_forwards_is_enough() {
        let on_one = [
            ("ipv4/conf/all/forwarding", 0),
            ("ipv4/conf/lan/forwarding", 1),
            ("ipv6/conf/all/forwarding", 0),
            ("ipv6/conf/lan/force_forwarding", 1),
        ];
        assert_eq!(found(BOTH, None, &on_one), []);
        let on = [
            ("ipv4/conf/all/forwarding", 1),
            ("ipv6/conf/all/forwarding", 1),
        ];
        assert_eq!(found(BOTH, None, &on), []);
    }

    #[test]
    fn the_larger_reverse_path_filter_counts() {
        let strict = |interface: &str| Obstacle::StrictReversePath {
            interface: interface.to_owned(),
        };
        for (all, own, is_strict) in [(0, 0, false), (0, 1, true), (1, 0, true), (1, 2, false)] {
            let values = [
                ("ipv4/conf/all/rp_filter", all),
                ("ipv4/conf/wan.7/rp_filter", own),
                ("ipv4/conf/lan/rp_filter", 1),
                ("ipv4/conf/lo/rp_filter", 1),
            ];
            let expected = if is_strict {
                vec![strict("wan.7")]
            } else {
                vec![]
            };
            assert_eq!(found(BOTH, Some("wan.7"), &values), expected, "{all} {own}");
        }
        let values = [
            ("ipv4/conf/lan/rp_filter", 1),
            ("ipv4/conf/wan/rp_filter", 1),
        ];
        assert_eq!(found(BOTH, None, &values), [strict("lan"), strict("wan")]);
        let hint = strict("wan.7").hint();
        assert!(hint.contains("net.ipv4.conf.wan/7.rp_filter=2"), "{hint}");
    }
}
