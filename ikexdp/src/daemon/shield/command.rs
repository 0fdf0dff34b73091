//! What is listed while the daemon runs, by whoever may use the control socket.

use std::time::Duration;

use ikexdp_common::maps::LISTED_MAX;
use ikexdp_proto::time::Instant;
use ipnet::IpNet;
use tracing::info;

use super::Shield;
use super::lists::{Commanded, Full, NotCommanded};
use crate::control::{Caller, Refusal};
use crate::view::{ListedPrefix, Listing};

/// Prefixes told at a time: the packet loop stands still meanwhile.
const PAGE: usize = 256;

impl Shield {
    /// Says the same of all `prefixes`, for so many `seconds` or until it is withdrawn.
    ///
    /// # Errors
    /// [`Refusal`] if there is no room for all of them; then nothing has changed.
    pub(in crate::daemon) fn list(
        &mut self,
        now: Instant,
        prefixes: &[IpNet],
        (listing, seconds): (Listing, Option<u64>),
        by: Caller,
    ) -> Result<(), Refusal> {
        let lasts = seconds.map(|seconds| Duration::from_secs(seconds.max(1)));
        let said = Commanded {
            listing,
            by,
            since: now,
            until: lasts.map(|lasts| now + lasts),
        };
        self.lists.list(prefixes, said).map_err(|Full| Refusal {
            message: format!("nothing was listed: there is room for {LISTED_MAX} prefixes"),
            hint: Some("list shorter ones, or `ikexdp unlist` some".to_owned()),
        })?;
        self.news.lists = true;
        let Caller { uid, pid } = by;
        for prefix in prefixes {
            info!(%prefix, %listing, uid, pid, seconds, "prefix listed by command");
        }
        Ok(())
    }

    /// Withdraws what was said of `prefixes` by command.
    ///
    /// # Errors
    /// [`Refusal`] if nothing was of one of them; then nothing has changed.
    pub(in crate::daemon) fn unlist(
        &mut self,
        prefixes: &[IpNet],
        Caller { uid, pid }: Caller,
    ) -> Result<(), Refusal> {
        self.lists.unlist(prefixes).map_err(|it| refusal(&it))?;
        self.news.lists = true;
        for prefix in prefixes {
            info!(%prefix, uid, pid, "prefix listed no longer by command");
        }
        Ok(())
    }

    /// The next prefixes behind one of them, in order.
    pub(in crate::daemon) fn listed(
        &self,
        now: Instant,
        after: Option<IpNet>,
    ) -> Vec<ListedPrefix> {
        self.lists.page(now, after).take(PAGE).collect()
    }
}

fn refusal(NotCommanded { prefix, configured }: &NotCommanded) -> Refusal {
    let hint = match configured {
        None => "`ikexdp lists` shows what is".to_owned(),
        Some(listing) => {
            let (key, other) = match listing {
                Listing::Allowed => ("allow", "block"),
                Listing::Blocked => ("block", "allow"),
            };
            format!(
                "it is in `defence.{key}`: take it out there, then `ikexdp reload`; \
                 or `ikexdp {other}` it, which wins over that"
            )
        }
    };
    Refusal {
        message: format!("nothing was withdrawn: not listed by command: {prefix}"),
        hint: Some(hint),
    }
}
