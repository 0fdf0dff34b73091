//! What is listed while the daemon runs, by whoever may use the control socket.

use std::time::Duration;

use ikexdp_common::maps::LISTED_MAX;
use ikexdp_proto::time::Instant;
use ipnet::IpNet;
use tracing::info;

use super::Shield;
use super::lists::{Commanded, Full, NotCommanded};
use crate::control::{Caller, Refusal};
use crate::listed::Listed;
use crate::view::{ListedCounts, ListedPrefix, Listing};

/// Prefixes told at a time: the packet loop stands still meanwhile.
const PAGE: usize = 256;

/// Prefixes in a line of the log: 43 characters each at most.
const SHOWN: usize = 32;

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
        self.news.relist(prefixes);
        let Caller { uid, pid } = by;
        let (count, prefixes) = (prefixes.len(), first(prefixes));
        info!(count, prefixes, %listing, uid, pid, seconds, "prefixes listed by command");
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
        self.news.relist(prefixes);
        let (count, prefixes) = (prefixes.len(), first(prefixes));
        info!(
            count,
            prefixes, uid, pid, "prefixes listed no longer by command"
        );
        Ok(())
    }

    /// Withdraws what was said for a time that is over.
    pub(super) fn expire(&mut self, now: Instant) {
        let over = self.lists.expire(now);
        if !over.is_empty() {
            self.news.relist(&over);
            let (count, prefixes) = (over.len(), first(&over));
            info!(
                count,
                prefixes, "prefixes listed no longer, their time is over"
            );
        }
    }

    /// How many prefixes are listed.
    pub(in crate::daemon) fn listed_counts(&self) -> ListedCounts {
        self.lists.counts()
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

/// As many prefixes as a line has room for.
fn first(prefixes: &[IpNet]) -> String {
    match prefixes.split_at_checked(SHOWN) {
        Some((first, [_, ..])) => format!("{}, ...", Listed(first)),
        _ => Listed(prefixes).to_string(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn a_line_has_as_many_prefixes_as_it_has_room_for() {
        let hosts = (0..=SHOWN as u32).map(|host| IpAddr::from(host.to_be_bytes()).into());
        let hosts: Vec<IpNet> = hosts.collect();
        assert_eq!(first(&hosts[..2]), "0.0.0.0/32, 0.0.0.1/32");
        assert!(first(&hosts[..SHOWN]).ends_with(", 0.0.0.31/32"));
        assert!(first(&hosts).ends_with(", 0.0.0.31/32, ..."));
    }
}
