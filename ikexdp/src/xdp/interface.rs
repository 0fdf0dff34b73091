//! What there is to know about a network interface before attaching to it.

use std::io;

use aya::programs::loaded_programs;
use netlink_packet_core::NLM_F_ACK;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    LinkAttribute, LinkFlags, LinkLayerType, LinkMessage, LinkXdp, XdpAttached,
};

use super::Mode;
use super::netlink::{NetlinkError, ask};
use crate::xsk::queues::rx_queues;

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
}

/// Why an interface cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// There is none of this name.
    #[error("no such interface: {name}; hint: `ip link` lists them")]
    Missing {
        /// The name asked for.
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
    /// When it is missing, down or not Ethernet.
    pub fn find(name: &str) -> Result<Self, InterfaceError> {
        let link = query(name)?;
        let name = name.to_owned();
        if link.header.link_layer_type != LinkLayerType::Ether {
            return Err(InterfaceError::NotEthernet { name });
        }
        if !link.header.flags.contains(LinkFlags::Up) {
            return Err(InterfaceError::Down { name });
        }
        let mut mtu = 0;
        let mut allocated = 1;
        for attribute in link.attributes {
            match attribute {
                LinkAttribute::Mtu(value) => mtu = value,
                LinkAttribute::NumRxQueues(value) => allocated = value,
                _ => {}
            }
        }
        Ok(Self {
            // Drivers with a single queue need not answer the question.
            rx_queues: rx_queues(&name).unwrap_or(allocated),
            index: link.header.index,
            name,
            mtu,
        })
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
    let link = query(name)?;
    let attributes = link
        .attributes
        .into_iter()
        .find_map(|attribute| match attribute {
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

fn program_name(id: u32) -> String {
    loaded_programs()
        .flatten()
        .find(|program| program.id() == id)
        .and_then(|program| program.name_as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn query(name: &str) -> Result<LinkMessage, InterfaceError> {
    let mut question = LinkMessage::default();
    question
        .attributes
        .push(LinkAttribute::IfName(name.to_owned()));
    let answers = match ask(RouteNetlinkMessage::GetLink(question), NLM_F_ACK) {
        Err(NetlinkError::Refused(error)) if is_missing(&error) => Vec::new(),
        answers => answers.map_err(|source| InterfaceError::Query {
            name: name.to_owned(),
            source,
        })?,
    };
    answers
        .into_iter()
        .find_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Some(link),
            _ => None,
        })
        .ok_or_else(|| InterfaceError::Missing {
            name: name.to_owned(),
        })
}

/// No device can have a name that the kernel finds too long.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ERANGE))
}
