//! From a frame to what becomes of it: all that the XDP program decides.

use crate::challenge::{Write, challenge};
use crate::classify::{Gateway, Load, locate};
use crate::cookie::Cookie;
use crate::guard::{Shield, Step, admit, guard, trickle};
use crate::verdict::{Action, Verdict};

/// Decides what becomes of `frame`. If that is a reply, `frame` is the reply.
#[inline(always)]
pub fn judge(frame: &mut (impl Load + Write), gateway: &(impl Gateway + Shield)) -> Verdict {
    let located = match locate(frame, gateway) {
        Ok(located) => located,
        Err(verdict) => return verdict,
    };
    let mut cookie = Cookie::default();
    let trickle = |verdicts| trickle(frame, &located, gateway, verdicts);
    let verdict = match guard(frame, &located, gateway) {
        Step::Decided(verdict) => verdict,
        Step::Stray => trickle([Verdict::RedirectStray, Verdict::DropStray]),
        Step::Version => trickle([Verdict::RedirectVersion, Verdict::DropVersionLimit]),
        Step::Opening => admit(frame, &located, gateway, &mut cookie),
    };
    if verdict.action() == Action::Reply && challenge(frame, &located, &cookie).is_none() {
        // It is as it was, and user space asks for a cookie as well.
        return located.verdict;
    }
    verdict
}
