//! ESP and NAT keepalives: proof that an SA is up.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::fragments::Around;
use crate::limits::ESP_FLOWS_MAX;
use crate::time::Moment;

/// ESP by flows, and keepalives by the sockets between which they go.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) esp: BTreeMap<Flow, Seen>,
    pub(crate) keepalives: BTreeMap<(SocketAddr, SocketAddr), Seen>,
    /// Whether there was no room for some.
    pub(crate) left_out: bool,
}

/// One direction of a CHILD SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flow {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// UDP ports; none if it is not in UDP.
    pub(crate) ports: Option<(u16, u16)>,
    pub(crate) spi: u32,
}

/// Source, destination, and UDP ports if it is in UDP.
pub(crate) type Between = (IpAddr, IpAddr, Option<(u16, u16)>);

/// How often, and when first and last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) count: u64,
    pub(crate) first: Moment,
    pub(crate) first_frame: u64,
    pub(crate) last: Moment,
    pub(crate) last_frame: u64,
}

impl Traffic {
    pub(crate) fn esp(
        &mut self,
        source: IpAddr,
        destination: IpAddr,
        ports: Option<(u16, u16)>,
        spi: u32,
        around: Around,
    ) {
        count(
            &mut self.esp,
            &mut self.left_out,
            Flow {
                source,
                destination,
                ports,
                spi,
            },
            around,
        );
    }

    /// All flows by whom they go between, each list by when they began.
    pub(crate) fn by_ends(&self) -> BTreeMap<Between, Vec<Seen>> {
        let mut flows = BTreeMap::<Between, Vec<Seen>>::new();
        for (flow, seen) in &self.esp {
            let between = (flow.source, flow.destination, flow.ports);
            flows.entry(between).or_default().push(*seen);
        }
        for flows in flows.values_mut() {
            flows.sort_by_key(|seen| seen.first);
        }
        flows
    }

    pub(crate) fn keepalive(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        around: Around,
    ) {
        count(
            &mut self.keepalives,
            &mut self.left_out,
            (source, destination),
            around,
        );
    }
}

fn count<K: Ord>(table: &mut BTreeMap<K, Seen>, left_out: &mut bool, key: K, around: Around) {
    if let Some(seen) = table.get_mut(&key) {
        seen.count = seen.count.saturating_add(1);
        seen.last = seen.last.max(around.time);
        seen.last_frame = around.frame;
    } else if table.len() < ESP_FLOWS_MAX {
        let first = Seen {
            count: 1,
            first: around.time,
            first_frame: around.frame,
            last: around.time,
            last_frame: around.frame,
        };
        table.insert(key, first);
    } else {
        *left_out = true;
    }
}
