//! From a frame to what becomes of it: all that the XDP program decides.

use crate::challenge::{Write, challenge};
use crate::classify::{Gateway, Load, locate};
use crate::cookie::Cookie;
use crate::guard::{Shield, admit, guard};
use crate::verdict::{Action, Verdict};

/// Decides what becomes of `frame`. If that is a reply, `frame` is the reply.
#[inline(always)]
pub fn judge(frame: &mut (impl Load + Write), gateway: &(impl Gateway + Shield)) -> Verdict {
    let located = match locate(frame, gateway) {
        Ok(located) => located,
        Err(verdict) => return verdict,
    };
    let mut cookie = Cookie::default();
    let verdict = match guard(frame, &located, gateway) {
        Some(verdict) => verdict,
        None => admit(frame, &located, gateway, &mut cookie),
    };
    if verdict.action() == Action::Reply && challenge(frame, &located, &cookie).is_none() {
        // It is as it was, and user space asks for a cookie as well.
        return located.verdict;
    }
    verdict
}
