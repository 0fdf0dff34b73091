//! The fast path: IKE by XDP and AF_XDP, past the kernel's network stack.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::IpAddr;

use aya::maps::MapError;
use ikexdp_common::maps::{Config, LOCAL_ADDRESSES};
use ikexdp_common::verdict::Verdict;
use ikexdp_proto::types::{Datagram, Path, ReplySlot};
use tracing::{info, warn};

use super::queues::Queues;
use crate::causes::in_a_line;
use crate::config::{Ikev1, XdpMode, XdpSettings, XdpTransfer};
use crate::frame::{Reply, Request};
use crate::listed::Listed;
use crate::netlink::NetlinkError;
use crate::parked::{Parked, Settled};
use crate::view::{Counters, XdpStatus};
use crate::xdp::{
    AttachError, Attachment, Interface, InterfaceError, LoadError, LocalAddresses, Mode, Program,
};
use crate::xsk::{BATCH, BindError, Frame, FrameSize, HELD, QueueCounter, Socket, Transfer};

/// Frames that may wait for their reply. All may be of one queue, which must spare a batch that is
/// being handled besides, and the fragments that answer it.
const PARKED: usize = (HELD as usize).saturating_sub(2 * BATCH);

/// Why there is no fast path.
#[derive(Debug, thiserror::Error)]
pub enum FastPathError {
    /// The interface cannot be used.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// A mode in which nothing would arrive.
    #[error(
        "native mode takes no IKE from a bond: {interface}; \
         hint: set `gateway.xdp-mode` to \"generic\" or \"auto\""
    )]
    NativeOnBond {
        /// The interface.
        interface: String,
    },
    /// The program is not in the kernel.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The program is not on the interface.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// No queue has a socket.
    #[error(transparent)]
    Queue(#[from] BindError),
    /// The kernel does not tell our addresses.
    #[error("cannot learn the addresses of this host")]
    Addresses(#[from] NetlinkError),
    /// The program takes no more addresses or sockets.
    #[error("cannot tell the XDP program what is ours")]
    Map(#[from] MapError),
}

/// The XDP program on its interface, and a socket on each RX queue.
pub(super) struct FastPath {
    // Detached first, so that nothing is redirected to sockets that are gone.
    attachment: Attachment,
    program: Program,
    interface: Interface,
    queues: Queues,
    addresses: LocalAddresses,
    /// What keeps the interface from carrying IKE.
    trouble: Option<String>,
    parked: Parked<Held>,
    /// What was answered last: further fragments of the answer follow at once.
    answered: Option<Answered>,
    identification: u16,
}

/// A received frame that can carry a reply.
struct Held {
    frame: Frame,
    request: Request,
}

struct Answered {
    slot: ReplySlot,
    path: Path,
    queue: u32,
    reply: Reply,
}

impl fmt::Debug for FastPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FastPath")
            .field("interface", &self.interface)
            .field("attachment", &self.attachment)
            .finish_non_exhaustive()
    }
}

impl FastPath {
    /// Attaches the program to `interface`, with room for what is known of so many
    /// `sources`, and opens a socket on each RX queue.
    pub(super) fn open(
        interface: Interface,
        settings: &XdpSettings,
        sources: u32,
    ) -> Result<Self, FastPathError> {
        let modes = match settings.mode {
            XdpMode::Auto => interface.modes(),
            XdpMode::Native if interface.bond => {
                let interface = interface.name;
                return Err(FastPathError::NativeOnBond { interface });
            }
            XdpMode::Native => &[Mode::Native],
            XdpMode::Generic => &[Mode::Generic],
        };
        if interface.bond && settings.mode == XdpMode::Auto {
            let interface = interface.name.as_str();
            info!(interface, "generic mode, because the interface is a bond");
        }
        let config = Config {
            frame_max: FrameSize::for_mtu(interface.mtu).capacity(),
            drop_ikev1: settings.ikev1 == Ikev1::Drop,
            ..Config::default()
        };
        let mut program = Program::load(config, sources)?;
        let addresses = LocalAddresses::watch()?;
        // Once more, now that changes are told of.
        interface.check()?;
        let left_out = program.set_addresses(addresses.addresses())?;
        program.set_broadcasts(addresses.broadcasts())?;
        warn_of_left_out(left_out);
        let attachment = program.attach(&interface, modes)?;
        let transfers = match settings.transfer {
            XdpTransfer::Auto => Transfer::choices(attachment.mode()),
            XdpTransfer::Copy => &[Transfer::Copy],
        };
        let queues = Queues::open(&interface, transfers, &mut program)?;
        let path = Self {
            attachment,
            program,
            interface,
            queues,
            addresses,
            trouble: None,
            parked: Parked::with_capacity(PARKED),
            answered: None,
            identification: 0,
        };
        path.announce();
        Ok(path)
    }

    fn announce(&self) {
        for (mode, error) in self.attachment.refusals() {
            let hint = "the next mode costs more CPU time; `ethtool -i` names the driver";
            let error = in_a_line(error);
            warn!(%mode, error, hint, "XDP mode not available");
        }
        let XdpStatus {
            interface,
            mode,
            queues,
            addresses,
            ..
        } = self.status();
        let hint = "netfilter does not see the IKE that XDP takes: \
            filter it upstream, or count it with `ikexdp stats`";
        info!(
            interface,
            mode,
            queues = Listed(&queues).to_string(),
            addresses = Listed(&addresses).to_string(),
            hint,
            "XDP program attached"
        );
        if self.interface.veth && self.attachment.mode() == Mode::Native {
            let hint = "attach an XDP program there as well, were it one that passes everything, \
                or set `gateway.xdp-mode` to \"generic\"";
            info!(
                interface,
                hint, "cookies by XDP reach the other end of this pair only if XDP is there too"
            );
        }
        if addresses.is_empty() {
            let hint = "all IKE takes the kernel's UDP sockets until there is one";
            warn!(hint, "this host has no address that peers can use");
        }
    }

    /// The sockets, and the queues they are on.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (u32, &Socket)> {
        self.queues.iter()
    }

    /// What tells of addresses and links that come and go.
    pub(super) const fn addresses(&self) -> &LocalAddresses {
        &self.addresses
    }

    /// Appends to `batch` what the queue has received.
    pub(super) fn receive(&mut self, queue: u32, batch: &mut Vec<Frame>) {
        if let Some(socket) = self.queues.get_mut(queue) {
            socket.receive(batch);
        }
    }

    /// The message in `frame`, which waits for a reply until [`Self::settle`].
    ///
    /// # Errors
    /// What the classifier says of a frame that it would not have redirected.
    pub(super) fn datagram(&mut self, frame: Frame) -> Result<Datagram<'_>, Verdict> {
        let request = Request::parse(&frame, self.interface.mtu)?;
        let (slot, held) = self.parked.receive(Held { frame, request });
        let message = held.request.message.clone();
        Ok(Datagram {
            path: held.request.path,
            slot: Some(slot),
            is_allowed: false,
            payload: held.frame.get(message).unwrap_or_default(),
        })
    }

    /// The engine has handled the frame; a reply may come later, or not.
    pub(super) fn settle(&mut self, may_come: bool) -> Settled {
        self.parked.settle(may_come)
    }

    /// Sends `message` in the frame of `slot`, or in one like it if an earlier
    /// part of the same reply took that. Says whether it could.
    pub(super) fn reply(&mut self, slot: ReplySlot, path: &Path, message: &[u8]) -> bool {
        self.try_reply(slot, path, message).is_some()
    }

    fn try_reply(&mut self, slot: ReplySlot, path: &Path, message: &[u8]) -> Option<()> {
        let frame = self.parked.take(slot).map(|Held { frame, request }| {
            self.answered = Some(Answered {
                slot,
                path: request.path,
                queue: frame.queue(),
                reply: request.reply,
            });
            frame
        });
        let answered = self.answered.as_ref();
        let answered = answered.filter(|last| last.slot == slot && last.path == *path)?;
        let socket = self.queues.get_mut(answered.queue)?;
        let mut frame = match frame {
            Some(frame) => frame,
            None => socket.allocate()?,
        };
        let length = answered.reply.frame_len(message).ok()?;
        frame.resize(length).ok()?;
        self.identification = self.identification.wrapping_add(1);
        let written = answered
            .reply
            .write(message, self.identification, &mut frame);
        written.ok()?;
        socket.send(frame).ok()
    }

    /// Ends a turn of the loop: sends what was replied, and makes room for what
    /// comes.
    ///
    /// # Errors
    /// The first [`io::Error`] of a queue; the others are served all the same.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut result = Ok(());
        for socket in self.queues.iter_mut() {
            result = result.and(socket.flush());
        }
        result
    }

    /// Whether a queue waits for a flush soon.
    pub(super) fn is_stalled(&self) -> bool {
        self.queues.iter().any(|(_, socket)| socket.is_stalled())
    }

    /// The program in the kernel.
    pub(super) const fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Where frames come from and go to.
    pub(super) const fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Follows the interface and the addresses of this host.
    ///
    /// # Errors
    /// [`FastPathError`] if the kernel does not tell, or does not take them.
    pub(super) fn refresh(&mut self) -> Result<(), FastPathError> {
        // First what is told of, so that what changes from here on is told of
        // again: an address of a VLAN was there after its VLAN.
        let changed = self.addresses.refresh()?;
        let trouble = match self.interface.check() {
            Err(error @ InterfaceError::Query { .. }) => return Err(error.into()),
            result => result.err(),
        };
        // A reply without the tag of its VLAN would lead nowhere.
        let hidden = matches!(
            trouble,
            Some(InterfaceError::HidesTags { .. } | InterfaceError::PortsHideTags { .. })
        );
        let left_out = if hidden {
            self.program.set_addresses(&BTreeSet::new())?
        } else {
            self.program.set_addresses(self.addresses.addresses())?
        };
        self.program.set_broadcasts(self.addresses.broadcasts())?;
        if changed {
            warn_of_left_out(left_out);
            let addresses: Vec<IpAddr> = self.program.addresses().iter().copied().collect();
            let addresses = Listed(&addresses).to_string();
            info!(addresses, "addresses of this host changed");
        }
        self.tell(trouble.map(|error| error.to_string()));
        Ok(())
    }

    /// Writes a line when the interface gets into trouble, or out of it.
    fn tell(&mut self, trouble: Option<String>) {
        if trouble == self.trouble {
            return;
        }
        let interface = self.interface.name.as_str();
        match &trouble {
            Some(error) => warn!(
                interface,
                error, "XDP takes no IKE; what reaches this host takes the kernel's UDP sockets"
            ),
            None => info!(interface, "XDP takes IKE again"),
        }
        self.trouble = trouble;
    }

    /// What there is to show of it.
    pub(super) fn status(&self) -> XdpStatus {
        let transfer = |socket: Option<&Socket>| match socket {
            Some(socket) => socket.transfer().to_string(),
            None => "none".to_owned(),
        };
        XdpStatus {
            interface: self.interface.name.clone(),
            mode: self.attachment.mode().to_string(),
            queues: self.queues.map(transfer),
            addresses: self.program.addresses().iter().copied().collect(),
            trouble: self.trouble.clone(),
        }
    }

    /// Frames by their fate; nothing if the kernel does not tell.
    pub(super) fn verdicts(&self) -> Counters {
        let Ok(counters) = self.program.counters() else {
            return Counters::default();
        };
        let verdicts = Verdict::ALL.iter();
        verdicts
            .map(|verdict| (verdict.name(), counters.total(*verdict)))
            .collect()
    }

    /// The counters of each queue; nothing where there is no socket, or the kernel
    /// does not tell.
    pub(super) fn queues(&self) -> Vec<Counters> {
        let counters = |socket: Option<&Socket>| {
            let Some(Ok(counters)) = socket.map(Socket::counters) else {
                return Counters::default();
            };
            let names = QueueCounter::ALL.iter();
            names
                .map(|counter| (counter.name(), counters.get(*counter)))
                .collect()
        };
        self.queues.map(counters)
    }
}

fn warn_of_left_out(addresses: usize) {
    if addresses > 0 {
        let max = LOCAL_ADDRESSES;
        let hint = "their IKE takes the kernel's UDP sockets";
        warn!(
            addresses,
            max, hint, "more addresses of a family than XDP has room for"
        );
    }
}
