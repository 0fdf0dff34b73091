//! What XDP hides from a capture, and what is done about it.
//!
//! What our program redirects to AF_XDP never reaches packet sockets, in native mode and in
//! generic, nor does what the daemon answers from there. So the daemon is asked to have XDP
//! leave IKE to the kernel meanwhile; the connection that asks is held, and when it goes,
//! however the capture ends, XDP takes IKE again. As long as nothing is held, it is looked
//! again: a daemon may come, or come back.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::limits::RENEWAL_PATIENCE;
use super::tally::Tally;
use crate::control::{ClientError, Held, PATIENCE, Request, call_within, hold};
use crate::view::{Observation, Status, XdpStatus};
use crate::xdp::{Attached, AttachedError};

/// Where to look when nothing else helps.
const ELSEWHERE: &str =
    "set `transport = \"udp\"` for the time, or capture on another hop, such as the router before";

/// What is known of XDP, and the daemon's word that it leaves IKE alone.
#[derive(Debug)]
pub(super) struct Sight {
    interface: String,
    socket: PathBuf,
    held: Option<Held>,
    tally: Tally<Attached>,
    /// What is to be said in the file.
    state: String,
    /// What the user should know at once.
    warnings: Vec<String>,
    trouble: Option<Trouble>,
}

/// Why IKE is hidden.
#[derive(Debug, PartialEq, Eq)]
struct Trouble {
    why: String,
    is_told: bool,
}

/// What is on the interface.
#[derive(Debug, PartialEq, Eq)]
enum Program {
    Nothing,
    Ours,
    /// One of somebody else.
    Foreign(String),
    /// One of which the kernel, or its age, does not let us know more.
    Unknown(String),
}

/// Why the daemon does not leave IKE to the kernel.
#[derive(Debug, thiserror::Error)]
enum Unheld {
    #[error("the daemon that was asked has no XDP program")]
    NoXdp,
    #[error("the daemon that was asked has its XDP program on {interface}")]
    Elsewhere { interface: String },
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Sight {
    /// Has the daemon at `socket` make room for a capture on `interface`, if there is one.
    pub(super) fn clear(interface: &str, socket: &Path) -> Self {
        let (attached, program) = look(interface);
        let mut sight = Self {
            interface: interface.to_owned(),
            socket: socket.to_owned(),
            held: None,
            tally: Tally::begin(attached),
            state: String::new(),
            warnings: Vec::new(),
            trouble: None,
        };
        sight.state = match &program {
            Program::Nothing => sight.without_program(),
            Program::Ours => sight.with_program(),
            Program::Foreign(said) => {
                sight.warnings.push(format!(
                    "{said}; hint: frames that it takes or drops are not captured"
                ));
                said.clone()
            }
            Program::Unknown(why) => {
                let state = sight.with_program();
                format!("{state}; {why}")
            }
        };
        sight
    }

    fn without_program(&mut self) -> String {
        let interface = &self.interface;
        let none = format!("no XDP program is on {interface}");
        let status = call_within::<Status>(&self.socket, &Request::Status, PATIENCE);
        match status.map(|status| status.xdp) {
            Ok(Some(xdp)) if xdp.interface != *interface => {
                let there = xdp.interface;
                self.warnings.push(format!(
                    "the daemon's XDP program is on {there}, not on {interface}, and stays as it \
                     is: what it takes is not captured; hint: --interface {there}"
                ));
                format!("{none}; the daemon's is on {there}")
            }
            Ok(None) => format!("{none}; the daemon uses none"),
            // There need not be a daemon here.
            Ok(Some(_)) | Err(_) => none,
        }
    }

    fn with_program(&mut self) -> String {
        match self.ask(PATIENCE) {
            Ok(xdp) => format!(
                "{xdp}, leaves IKE to the kernel for this capture; what it drops or answers with \
                 COOKIE is not in here"
            ),
            Err(why) => {
                let why = why.to_string();
                self.warnings.push(hidden(&why));
                let state = format!("XDP takes IKE from the interface: {why}");
                let is_told = true;
                self.trouble = Some(Trouble { why, is_told });
                state
            }
        }
    }

    /// Asks the daemon to leave IKE to the kernel, if it is the one of this interface: another
    /// would lose its speed for nothing.
    fn ask(&mut self, patience: Duration) -> Result<XdpStatus, Unheld> {
        let status: Status = call_within(&self.socket, &Request::Status, patience)?;
        self.here(status.xdp)?;
        let (Observation { xdp, caution }, held) = hold(&self.socket, &Request::Observe, patience)?;
        // It may be another by now.
        let xdp = self.here(xdp)?;
        self.warnings.extend(caution);
        self.held = Some(held);
        self.trouble = None;
        Ok(xdp)
    }

    fn here(&self, xdp: Option<XdpStatus>) -> Result<XdpStatus, Unheld> {
        match xdp {
            Some(xdp) if xdp.interface == self.interface => Ok(xdp),
            Some(XdpStatus { interface, .. }) => Err(Unheld::Elsewhere { interface }),
            None => Err(Unheld::NoXdp),
        }
    }

    /// What the file says of XDP.
    pub(super) fn state(&self) -> &str {
        &self.state
    }

    /// Whether XDP leaves IKE to the kernel.
    pub(super) const fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// What is wrong, once.
    pub(super) fn warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// What becomes readable when the daemon has ended.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.held.as_ref().map(AsFd::as_fd)
    }

    /// The daemon has ended.
    pub(super) fn lose(&mut self) {
        self.held = None;
        self.warnings.push(
            "the daemon has ended; when it is back, XDP is asked again to leave IKE".to_owned(),
        );
    }

    /// Looks again, if nothing is held; says whether XDP leaves IKE to the kernel from now on.
    pub(super) fn renew(&mut self) -> bool {
        if self.is_held() {
            return false;
        }
        let (attached, program) = look(&self.interface);
        if let Some(attached) = attached {
            self.tally.see(attached);
        }
        if !matches!(program, Program::Ours | Program::Unknown(_)) {
            self.trouble = None;
            return false;
        }
        match self.ask(RENEWAL_PATIENCE) {
            Ok(_) => true,
            Err(why) => {
                self.fail(why.to_string());
                false
            }
        }
    }

    /// Tells the user when the same is wrong for the second time, and then no more: a daemon
    /// that starts has its program sooner than it answers.
    fn fail(&mut self, why: String) {
        let again = self.trouble.take().filter(|trouble| trouble.why == why);
        let is_told = again.is_some();
        if again.is_some_and(|trouble| !trouble.is_told) {
            self.warnings.push(hidden(&why));
        }
        self.trouble = Some(Trouble { why, is_told });
    }

    /// What XDP has kept back since the start.
    pub(super) fn unseen(&self) -> String {
        self.tally.told()
    }
}

fn look(interface: &str) -> (Option<Attached>, Program) {
    match Attached::find(interface) {
        Ok(attached) => (Some(attached), Program::Ours),
        Err(AttachedError::Missing { .. } | AttachedError::NoInterface { .. }) => {
            (None, Program::Nothing)
        }
        Err(AttachedError::Foreign { program, id, .. }) => {
            let said = format!("XDP program {program} (id {id}) is none of ikexdp's");
            (None, Program::Foreign(said))
        }
        Err(error) => (None, Program::Unknown(error.to_string())),
    }
}

fn hidden(why: &str) -> String {
    format!(
        "XDP takes IKE from the interface before it can be captured, and the daemon does not \
         leave it: {why}; hint: name its socket with --socket, or {ELSEWHERE}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight() -> Sight {
        Sight {
            interface: "eth0".to_owned(),
            socket: PathBuf::new(),
            held: None,
            tally: Tally::begin(None),
            state: String::new(),
            warnings: Vec::new(),
            trouble: None,
        }
    }

    #[test]
    fn what_stays_wrong_is_told_once() {
        let mut sight = sight();
        let told = |sight: &mut Sight, why: &str| {
            sight.fail(why.to_owned());
            sight.warnings().len()
        };
        let told = ["a", "a", "a", "b", "b", "b"].map(|why| told(&mut sight, why));
        assert_eq!(told, [0, 1, 0, 0, 1, 0]);
        // It was told at the start.
        let (why, is_told) = ("c".to_owned(), true);
        sight.trouble = Some(Trouble { why, is_told });
        sight.fail("c".to_owned());
        assert_eq!(sight.warnings(), [""; 0]);
    }

    #[test]
    fn only_the_daemon_of_the_interface_is_asked() {
        let xdp = |interface: &str| XdpStatus {
            interface: interface.to_owned(),
            mode: "native".to_owned(),
            queues: Vec::new(),
            addresses: Vec::new(),
            trouble: None,
        };
        let sight = sight();
        let said = |xdp| match sight.here(xdp) {
            Ok(xdp) => xdp.interface,
            Err(why) => why.to_string(),
        };
        assert_eq!(said(Some(xdp("eth0"))), "eth0");
        let elsewhere = "the daemon that was asked has its XDP program on eth1";
        assert_eq!(said(Some(xdp("eth1"))), elsewhere);
        assert_eq!(said(None), "the daemon that was asked has no XDP program");
    }
}
