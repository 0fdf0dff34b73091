//! What XDP hides from a capture, and what is done about it.
//!
//! What our program redirects to AF_XDP never reaches packet sockets, in native mode and in
//! generic, nor does what the daemon answers from there. So the daemon is asked to have XDP
//! leave IKE to the kernel meanwhile; the connection that asks is held, and when it goes,
//! however the capture ends, XDP takes IKE again.

use std::collections::BTreeMap;
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
    interface: String,
    socket: PathBuf,
    held: Option<Held>,
    /// Whether the daemon has left IKE alone, and is to do so again.
    is_wanted: bool,
    /// The daemon's program on the interface, and what it had counted at the start.
    program: Option<(Attached, Counters)>,
    /// What programs before it have kept back, by verdict.
    kept_back: BTreeMap<&'static str, u64>,
    /// What is to be said in the file.
    state: String,
    /// What the user should know at once.
    warnings: Vec<String>,
}

impl Sight {
    /// Has the daemon at `socket` make room for a capture on `interface`, if there is one.
    pub(super) fn clear(interface: &str, socket: &Path) -> Self {
        let mut sight = Self {
            interface: interface.to_owned(),
            socket: socket.to_owned(),
            held: None,
            is_wanted: false,
            program: None,
            kept_back: BTreeMap::new(),
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
            Ok(attached) => self.watch(Some(attached)),
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
        self.is_wanted = true;
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
        self.count();
        self.program = None;
        self.warnings.push(
            "the daemon has ended; when it is back, it is asked again to leave IKE to the kernel"
                .to_owned(),
        );
    }

    /// Asks again, if there was a daemon and it is no more; says whether it is back.
    pub(super) fn renew(&mut self) -> bool {
        if self.held.is_some() || !self.is_wanted {
            return false;
        }
        let Ok((observation, held)) = hold::<Observation>(&self.socket, &Request::Observe) else {
            return false;
        };
        self.warnings.extend(observation.caution);
        self.held = Some(held);
        self.watch(Attached::find(&self.interface).ok());
        true
    }

    /// Counts from now on what a program keeps back.
    fn watch(&mut self, program: Option<Attached>) {
        self.program = program.and_then(|attached| {
            let before = attached.counters().ok()?;
            Some((attached, before))
        });
    }

    /// Adds what the program has dropped, answered and redirected since it was looked at last.
    fn count(&mut self) {
        let Some((attached, before)) = &mut self.program else {
            return;
        };
        let Ok(now) = attached.counters() else {
            return;
        };
        for verdict in Verdict::ALL {
            let added = now.total(*verdict).saturating_sub(before.total(*verdict));
            if added > 0 && verdict.action() != Action::Pass {
                let count = self.kept_back.entry(verdict.name()).or_default();
                *count = count.saturating_add(added);
            }
        }
        *before = now;
    }

    /// What XDP has kept back since the start, which no capture shows; nothing without it.
    pub(super) fn unseen(&mut self) -> String {
        self.count();
        let kept_back = self.kept_back.iter();
        let kept_back: Vec<_> = kept_back
            .map(|(verdict, count)| format!("{verdict} {count}"))
            .collect();
        match (kept_back.as_slice(), &self.program) {
            ([], None) => String::new(),
            ([], Some(_)) => "XDP kept nothing back".to_owned(),
            (kept_back, _) => format!("XDP kept back: {}", kept_back.join(", ")),
        }
    }
}
