//! Reminding a NAT that we are behind of us (RFC 3948 §4, RFC 7296 §2.23).

use super::Established;
use crate::endpoint::Output;
use crate::sa::{Context, Core};
use crate::time::Instant;

impl Established {
    /// Sends a keepalive if one is due.
    pub(super) fn remind_nat(&mut self, cx: &mut Context<'_>, core: &Core) {
        if self.keepalive_due(core).is_none_or(|due| due > cx.now) {
            return;
        }
        self.keepalive = cx.now + cx.config.timing.nat_keepalive;
        cx.outputs.push_back(Output::Keepalive(core.path));
    }

    /// When the next one is due, if we are behind a NAT.
    pub(super) fn keepalive_due(&self, core: &Core) -> Option<Instant> {
        (core.nat.local && core.path.marker).then_some(self.keepalive)
    }
}
