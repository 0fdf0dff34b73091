//! What there is to know about a network interface before attaching to it.

use std::ops::Range;

use aya::programs::loaded_programs;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp, XdpAttached,
};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::Mode;
use crate::netlink::{Channel, NetlinkError};
use crate::xsk::ethtool::{Queues, queues, strips_vlan_tags};

/// A network interface that can carry IKE.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index in this network namespace.
    pub index: u32,
    /// The largest IP packet it carries, in octets.
    pub mtu: u32,
    /// How many queues it receives on.
    pub rx_queues: u32,
    /// How many queues it sends on.
    pub tx_queues: u32,
    /// Whether it is a bond.
    pub bond: bool,
    /// Whether it is one end of a pair (veth).
    pub veth: bool,
}

/// Why an interface cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// There is none of this name.
    #[error("no such interface: {name}; hint: set `gateway.interface` to one that `ip link` lists")]
    Missing {
        /// The name asked for.
        name: String,
    },
    /// It was there, and is no more.
    #[error("interface is gone: {name}; hint: restart the daemon when there is one again")]
    Gone {
        /// Its name.
        name: String,
    },
    /// It is switched off.
    #[error("interface is down: {name}; hint: `ip link set {name} up`")]
    Down {
        /// The interface.
        name: String,
    },
    /// Its frames have no Ethernet header.
    #[error("interface is not Ethernet: {name}; hint: `transport = \"udp\"` needs no XDP")]
    NotEthernet {
        /// The interface.
        name: String,
    },
    /// It has VLANs, but their tags do not reach XDP: replies would lack them.
    #[error(
        "interface hides the tags of its VLANs from XDP: {name}; \
         hint: `ethtool -K {name} rxvlan off`"
    )]
    HidesTags {
        /// The interface.
        name: String,
    },
    /// The same, and the tags are off before the interface gets the frames.
    #[error(
        "interface has VLANs, and its ports take their tags off: {name}; \
         hint: set `gateway.interface` to a port, or `gateway.transport` to \"udp\""
    )]
    PortsHideTags {
        /// The interface.
        name: String,
    },
    /// The kernel would not tell.
    #[error("cannot query interface: {name}")]
    Query {
        /// The name asked for.
        name: String,
        /// What went wrong.
        source: NetlinkError,
    },
}

impl Interface {
    /// Looks up the interface of this name.
    ///
    /// # Errors
    ///
    /// When it is missing or down, is not Ethernet, or hides VLAN tags.
    pub fn find(name: &str) -> Result<Self, InterfaceError> {
        let link = query(name, Question::Name)?;
        let name = name.to_owned();
        let Some(link) = link else {
            return Err(InterfaceError::Missing { name });
        };
        check(&name, &link)?;
        let index = link.header.index;
        let bond = kind(&link) == Some(&InfoKind::Bond);
        let veth = kind(&link) == Some(&InfoKind::Veth);
        let mut mtu = 0;
        let mut allocated = Queues { rx: 1, tx: 1 };
        for attribute in link.attributes {
            match attribute {
                LinkAttribute::Mtu(value) => mtu = value,
                LinkAttribute::NumRxQueues(value) => allocated.rx = value,
                LinkAttribute::NumTxQueues(value) => allocated.tx = value,
                _ => {}
            }
        }
        // Drivers with a single queue need not answer the question.
        let set = queues(&name).unwrap_or_default();
        let known = |set, allocated| if set == 0 { allocated } else { set };
        Ok(Self {
            rx_queues: known(set.rx, allocated.rx),
            tx_queues: known(set.tx, allocated.tx),
            index,
            name,
            mtu,
            bond,
            veth,
        })
    }

    /// Checks that this very interface, not just one of its name, can still
    /// carry IKE.
    ///
    /// # Errors
    ///
    /// When it is gone or down, or hides VLAN tags by now.
    pub fn check(&self) -> Result<(), InterfaceError> {
        let Some(link) = query(&self.name, Question::Index(self.index))? else {
            let name = self.name.clone();
            return Err(InterfaceError::Gone { name });
        };
        check(&self.name, &link)
    }

    /// The modes in which redirected frames reach an AF_XDP socket, the best first.
    /// In native mode those of a bond are still its ports', and the kernel gives a
    /// socket only what its own interface received; and what the program answers on a
    /// veth is lost, unless the other end has a program as well.
    #[must_use]
    pub const fn modes(&self) -> &'static [Mode] {
        if self.bond {
            &[Mode::Generic]
        } else if self.veth {
            &[Mode::Generic, Mode::Native]
        } else {
            &Mode::ALL
        }
    }

    /// The queues that can have an AF_XDP socket. On a queue that only receives
    /// the kernel gives one as well, and lets what it sends lie.
    #[must_use]
    pub fn sockets(&self) -> Range<u32> {
        0..self.rx_queues.min(self.tx_queues)
    }
}

/// An XDP program on an interface.
#[derive(Debug)]
pub(super) struct Occupant {
    pub(super) id: u32,
    /// Empty without the privilege to ask for it.
    pub(super) program: String,
    pub(super) mode: Mode,
}

/// The XDP program on the interface of this name, if there is one.
pub(super) fn occupant(name: &str) -> Result<Option<Occupant>, InterfaceError> {
    let Some(link) = query(name, Question::Name)? else {
        let name = name.to_owned();
        return Err(InterfaceError::Missing { name });
    };
    let mut attributes = link.attributes.into_iter();
    let attributes = attributes.find_map(|attribute| match attribute {
        LinkAttribute::Xdp(attributes) => Some(attributes),
        _ => None,
    });
    let mut mode = Mode::Native;
    let mut id = None;
    for attribute in attributes.into_iter().flatten() {
        match attribute {
            LinkXdp::Attached(XdpAttached::SocketBuffer) => mode = Mode::Generic,
            LinkXdp::ProgId(value) => id = Some(value),
            _ => {}
        }
    }
    Ok(id.map(|id| Occupant {
        id,
        program: program_name(id),
        mode,
    }))
}

/// Only who has CAP_SYS_ADMIN may look at the programs of others.
fn program_name(id: u32) -> String {
    loaded_programs()
        .flatten()
        .find(|program| program.id() == id)
        .and_then(|program| program.name_as_str().map(str::to_owned))
        .unwrap_or_else(|| "name not known".to_owned())
}

/// Checks that an interface can carry IKE.
fn check(known_as: &str, link: &LinkMessage) -> Result<(), InterfaceError> {
    // It may have another name by now.
    let mut attributes = link.attributes.iter();
    let name = attributes.find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    });
    let name = name.unwrap_or(known_as);
    let owned = || name.to_owned();
    if link.header.link_layer_type != LinkLayerType::Ether {
        return Err(InterfaceError::NotEthernet { name: owned() });
    }
    if !link.header.flags.contains(LinkFlags::Up) {
        return Err(InterfaceError::Down { name: owned() });
    }
    let of_ports = matches!(
        kind(link),
        Some(InfoKind::Bond | InfoKind::Bridge | InfoKind::Team)
    );
    if !of_ports && !strips_vlan_tags(name).unwrap_or_default() {
        return Ok(());
    }
    let links = links(name, |channel| {
        let mut links = Vec::new();
        let question = RouteNetlinkMessage::GetLink(LinkMessage::default());
        channel.dump(question, |answer| links.push(answer))?;
        Ok(links)
    })?;
    if !carries_vlans(&links, link.header.index) {
        return Ok(());
    }
    Err(if of_ports {
        InterfaceError::PortsHideTags { name: owned() }
    } else {
        InterfaceError::HidesTags { name: owned() }
    })
}

/// Whether there are VLAN interfaces on top of this one, or on a bridge or bond
/// that it is a port of.
fn carries_vlans(links: &[LinkMessage], mut index: u32) -> bool {
    // As many steps as there can be, should the list be of two minds.
    for _ in links {
        if links.iter().any(|link| is_vlan_on(link, index)) {
            return true;
        }
        let link = links.iter().find(|link| link.header.index == index);
        let mut attributes = link.into_iter().flat_map(|link| &link.attributes);
        let controller = attributes.find_map(|attribute| match attribute {
            LinkAttribute::Controller(controller) => Some(*controller),
            _ => None,
        });
        match controller {
            Some(controller) => index = controller,
            None => return false,
        }
    }
    false
}

fn is_vlan_on(link: &LinkMessage, index: u32) -> bool {
    kind(link) == Some(&InfoKind::Vlan) && link.attributes.contains(&LinkAttribute::Link(index))
}

/// What an interface is, if it is no hardware.
fn kind(link: &LinkMessage) -> Option<&InfoKind> {
    let mut attributes = link.attributes.iter();
    let info = attributes.find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(info) => Some(info),
        _ => None,
    })?;
    info.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    })
}

/// How to ask for an interface.
enum Question {
    Name,
    Index(u32),
}

/// The interface `name`, or that of an index, which had this name once.
fn query(name: &str, question: Question) -> Result<Option<LinkMessage>, InterfaceError> {
    let mut message = LinkMessage::default();
    match question {
        Question::Name => message
            .attributes
            .push(LinkAttribute::IfName(name.to_owned())),
        Question::Index(index) => message.header.index = index,
    }
    let question = RouteNetlinkMessage::GetLink(message);
    match links(name, |channel| channel.ask(question)) {
        Err(InterfaceError::Query { source, .. }) if is_missing(&source) => Ok(None),
        links => Ok(links?.into_iter().next()),
    }
}

/// No interface can have a name that the kernel finds too long.
fn is_missing(error: &NetlinkError) -> bool {
    matches!(error.errno(), Some(libc::ENODEV | libc::ERANGE))
}

/// The links that answer what `ask` asks, about the interface `name`.
fn links(
    name: &str,
    ask: impl FnOnce(
        &mut Channel<RouteNetlinkMessage>,
    ) -> Result<Vec<RouteNetlinkMessage>, NetlinkError>,
) -> Result<Vec<LinkMessage>, InterfaceError> {
    let answers = Channel::open(NETLINK_ROUTE).and_then(|mut channel| ask(&mut channel));
    let answers = answers.map_err(|source| InterfaceError::Query {
        name: name.to_owned(),
        source,
    })?;
    let links = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(link) => Some(link),
        _ => None,
    });
    Ok(links.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bond_has_no_native_mode_and_a_veth_has_another_first() {
        let of = |bond, veth| Interface {
            name: "wan".to_owned(),
            index: 7,
            mtu: 1500,
            rx_queues: 1,
            tx_queues: 1,
            bond,
            veth,
        };
        assert_eq!(of(true, false).modes(), [Mode::Generic]);
        assert_eq!(of(false, true).modes(), [Mode::Generic, Mode::Native]);
        assert_eq!(of(false, false).modes(), [Mode::Native, Mode::Generic]);
        let mut link = LinkMessage::default();
        assert_eq!(kind(&link), None);
        link.attributes = vec![LinkAttribute::LinkInfo(vec![LinkInfo::Kind(
            InfoKind::Bond,
        )])];
        assert_eq!(kind(&link), Some(&InfoKind::Bond));
    }

    #[test]
    fn a_vlan_is_known_by_its_kind_and_what_it_is_on() {
        let link = |kind, below| {
            let mut link = LinkMessage::default();
            link.attributes = vec![
                LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)]),
                LinkAttribute::Link(below),
            ];
            link
        };
        assert!(is_vlan_on(&link(InfoKind::Vlan, 7), 7));
        assert!(!is_vlan_on(&link(InfoKind::Vlan, 8), 7));
        assert!(!is_vlan_on(&link(InfoKind::MacVlan, 7), 7));
    }

    #[test]
    fn vlans_of_a_bridge_are_those_of_its_ports() {
        let link = |index, attributes| {
            let mut link = LinkMessage::default();
            link.header.index = index;
            link.attributes = attributes;
            link
        };
        let port = link(7, vec![LinkAttribute::Controller(8)]);
        let bridge = link(8, vec![]);
        let vlan = |below| {
            let kind = LinkInfo::Kind(InfoKind::Vlan);
            let below = LinkAttribute::Link(below);
            link(9, vec![LinkAttribute::LinkInfo(vec![kind]), below])
        };
        for (below, carries) in [(7, true), (8, true), (6, false)] {
            let links = [port.clone(), bridge.clone(), vlan(below)];
            assert_eq!(carries_vlans(&links, 7), carries, "{below}");
        }
        // Read while it changed.
        let circle = [port.clone(), link(8, vec![LinkAttribute::Controller(7)])];
        assert!(!carries_vlans(&circle, 7));
    }
}
