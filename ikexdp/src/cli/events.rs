//! `ikexdp events`.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::Args;
use clap::builder::PossibleValuesParser;
use ikexdp_diagnose::printable::printable;

use super::{CliError, Query};
use crate::control::follow;
use crate::view::{Happening, NAMES};

#[derive(Args, Debug)]
pub(super) struct Options {
    /// Show only events of this kind, such as `handshake_failed`; may be given more than once
    #[arg(
        long = "event",
        value_name = "KIND",
        value_parser = PossibleValuesParser::new(NAMES),
        hide_possible_values = true
    )]
    events: Vec<String>,
    /// Show only what happens to this IKE SA, and to those that replace it
    #[arg(long, value_name = "ID")]
    id: Option<u64>,
    #[command(flatten)]
    query: Query,
}

pub(super) fn execute(options: Options, out: &mut impl Write) -> Result<(), CliError> {
    let Query { json, daemon } = options.query;
    let events = follow(&daemon.socket)?;
    let socket = daemon.socket.display();
    writeln!(io::stderr(), "following: {socket}; Ctrl-C ends it")?;
    let mut filter = Filter {
        events: options.events,
        ids: options.id.map(|id| BTreeSet::from([id])),
    };
    for event in events {
        let event = event?;
        if !filter.takes(&event.what) {
            continue;
        }
        if json {
            serde_json::to_writer(&mut *out, &event).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{}", printable(&event.to_string()))?;
        }
        out.flush()?;
    }
    Err(CliError::Ended)
}

/// What is shown.
struct Filter {
    /// Of these kinds, or all.
    events: Vec<String>,
    /// Of these IKE SAs, or all.
    ids: Option<BTreeSet<u64>>,
}

impl Filter {
    fn takes(&mut self, what: &Happening) -> bool {
        // Whoever follows an SA must know that they do not know all of it.
        let is_lost = matches!(what, Happening::Lost { .. });
        let is_of = match (&mut self.ids, what.id()) {
            (None, _) => true,
            (Some(ids), Some(id)) if ids.contains(&id) => {
                match what {
                    Happening::Rekeyed { new, .. } => drop(ids.insert(*new)),
                    Happening::Closed { .. } => drop(ids.remove(&id)),
                    _ => {}
                }
                true
            }
            (Some(_), _) => false,
        };
        let mut kinds = self.events.iter();
        let is_kind = self.events.is_empty() || kinds.any(|kind| kind == what.name());
        is_lost || is_of && is_kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(id: u64) -> Happening {
        let spi_in = "0a0b0c0d".to_owned();
        Happening::ChildClosed { id, spi_in }
    }

    fn rekeyed(id: u64, new: u64) -> Happening {
        Happening::Rekeyed {
            id,
            new,
            initiator_spi: String::new(),
            responder_spi: String::new(),
            suite: String::new(),
        }
    }

    #[test]
    fn an_sa_is_followed_beyond_its_rekeying() {
        let mut filter = Filter {
            events: Vec::new(),
            ids: Some(BTreeSet::from([7])),
        };
        assert!(!filter.takes(&closed(8)));
        assert!(filter.takes(&closed(7)));
        assert!(!filter.takes(&rekeyed(3, 4)));
        assert!(filter.takes(&rekeyed(7, 8)));
        assert!(filter.takes(&closed(8)) && filter.takes(&closed(7)));
        assert!(!filter.takes(&closed(4)));
        assert!(filter.takes(&Happening::Lost { events: 3 }));
    }

    #[test]
    fn an_sa_is_followed_even_if_its_rekeying_is_not_shown() {
        let mut filter = Filter {
            events: vec!["child_closed".to_owned()],
            ids: Some(BTreeSet::from([7])),
        };
        assert!(!filter.takes(&rekeyed(7, 8)));
        assert!(filter.takes(&closed(8)) && !filter.takes(&closed(9)));
    }
}
