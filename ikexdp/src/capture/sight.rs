//! What XDP hides from a capture, and what is done about it.
//!
//! What our program redirects to AF_XDP never reaches packet sockets, in native mode and in
//! generic, nor does what the daemon answers from there. So the daemon is asked to have XDP
//! leave IKE to the kernel meanwhile; the connection that asks is held, and when it goes,
//! however the capture ends, XDP takes IKE again.

use std::fmt::Write as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use ikexdp_common::verdict::{Action, Verdict};

use crate::control::{ClientError, Held, Request, hold};
use crate::view::{Observation, XdpStatus};
use crate::xdp::{Attached, AttachedError, Counters};

/// Where to look when nothing else helps.
const ELSEWHERE: &str =
    "set `transport = \"udp\"` for the time, or capture on another hop, such as the router before";

/// What is known of XDP, and the daemon's word that it leaves IKE alone.
#[derive(Debug)]
pub(super) struct Sight {
    socket: PathBuf,
    held: Option<Held>,
    /// The daemon's program on the interface, and what it had counted at the start.
    program: Option<(Attached, Counters)>,
    /// What is to be said in the file.
    state: String,
    /// What the user should know at once.
    warnings: Vec<String>,
}

impl Sight {
    /// Has the daemon at `socket` make room for a capture on `interface`, if there is one.
    pub(super) fn clear(interface: &str, socket: &Path) -> Self {
        let mut sight = Self {
            socket: socket.to_owned(),
            held: None,
            program: None,
            state: String::new(),
            warnings: Vec::new(),
        };
        let attached = Attached::find(interface);
        let asked = hold(socket, &Request::Observe);
        sight.judge(interface, attached, asked);
        sight
    }

    fn judge(
        &mut self,
        interface: &str,
        attached: Result<Attached, AttachedError>,
        asked: Result<(Observation, Held), ClientError>,
    ) {
        let is_ours = attached.is_ok();
        match asked {
            // It leaves IKE alone where nobody looks, and another one takes it here.
            Ok((Observation { xdp: Some(xdp), .. }, _))
                if is_ours && xdp.interface != interface =>
            {
                let other = xdp.interface;
                self.hidden(&format!("the daemon that was asked serves {other}"));
            }
            Ok((
                Observation {
                    xdp: Some(xdp),
                    caution,
                },
                held,
            )) => {
                self.observe(&xdp, caution, held);
            }
            // The daemon serves by UDP sockets, which hide nothing.
            Ok((Observation { xdp: None, .. }, _)) if !is_ours => {
                self.state.push_str("the daemon uses no XDP");
            }
            Ok(_) => self.hidden("the daemon that was asked is another one"),
            Err(error) if is_ours => self.hidden(&error.to_string()),
            // There need not be a daemon here.
            Err(_) => self.state.push_str("no daemon was asked"),
        }
        match attached {
            Ok(attached) => {
                self.program = attached.counters().ok().map(|before| (attached, before));
            }
            Err(AttachedError::Foreign { program, id, .. }) => {
                let said = format!("XDP program {program} (id {id}) is none of ikexdp's");
                let _ = write!(self.state, "; {said}");
                self.warnings.push(format!(
                    "{said}; hint: frames that it takes or drops are not captured"
                ));
            }
            Err(AttachedError::NotAllowed) => {
                self.state
                    .push_str("; not allowed to look for XDP programs");
            }
            Err(_) => {}
        }
    }

    fn observe(&mut self, xdp: &XdpStatus, caution: Option<String>, held: Held) {
        let _ = write!(
            self.state,
            "{xdp}, leaves IKE to the kernel for this capture; what it drops or answers with \
             COOKIE is not in here"
        );
        self.warnings.extend(caution);
        self.held = Some(held);
    }

    fn hidden(&mut self, why: &str) {
        let _ = write!(self.state, "XDP takes IKE from the interface: {why}");
        self.warnings.push(format!(
            "XDP takes IKE from the interface before it can be captured, and the daemon does not \
             leave it: {why}; hint: name its socket with --socket, or {ELSEWHERE}"
        ));
    }

    /// What the file says of XDP.
    pub(super) fn state(&self) -> &str {
        &self.state
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

    /// Asks again, if there was a daemon and it is no more; says whether it is back.
    pub(super) fn renew(&mut self) -> bool {
        if self.held.is_some() || !self.was_held() {
            return false;
        }
        let Ok((observation, held)) = hold::<Observation>(&self.socket, &Request::Observe) else {
            return false;
        };
        self.warnings.extend(observation.caution);
        self.held = Some(held);
        true
    }

    fn was_held(&self) -> bool {
        self.state.contains("leaves IKE to the kernel")
    }

    /// What XDP has dropped and answered since the start, which no capture shows.
    pub(super) fn unseen(&self) -> String {
        let Some((attached, before)) = &self.program else {
            return String::new();
        };
        let Ok(now) = attached.counters() else {
            return "XDP no longer tells what it counts".to_owned();
        };
        let added = |verdict: &Verdict| {
            let added = now.total(*verdict).saturating_sub(before.total(*verdict));
            let is_unseen = matches!(verdict.action(), Action::Drop | Action::Reply);
            let is_taken = verdict.action() == Action::Redirect;
            (added > 0 && (is_unseen || is_taken)).then(|| format!("{} {added}", verdict.name()))
        };
        let added: Vec<_> = Verdict::ALL.iter().filter_map(added).collect();
        if added.is_empty() {
            return "XDP kept nothing back".to_owned();
        }
        format!("XDP kept back: {}", added.join(", "))
    }
}
