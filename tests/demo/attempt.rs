//! One attempt of the client to connect, and all that was seen of it.

use std::{net::IpAddr, time::Duration};

use harness::{
    capture::Capture,
    datagram::Datagram,
    gateway::Gateway,
    lab::{Lab, Path, V4},
    strongswan::{Settings, Strongswan},
};
use ikexdp::view::{Sa, Stats};

/// What the daemon writes last of a handshake.
const ENDS: [&str; 2] = ["CHILD SA established", "handshake failed"];
/// How long the daemon may take to find that the client is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was seen.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// Why the client did not connect, in its own words.
    pub(crate) outcome: Result<(), String>,
    /// Everything between client and gateway, in order.
    pub(crate) crossings: Vec<Crossing>,
    /// The IP fragments that the router counted.
    pub(crate) fragments_dropped: u64,
    /// What the daemon wrote meanwhile.
    pub(crate) log: Vec<String>,
    /// The daemon's IKE SAs afterwards.
    pub(crate) sas: Vec<Sa>,
    /// The daemon's counters afterwards.
    pub(crate) stats: Stats,
    /// `ikexdp sas --wide` and `ikexdp stats`, as people see them.
    pub(crate) shown: [String; 2],
}

/// A datagram where it was sent, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Crossing {
    pub(crate) datagram: Datagram,
    /// Whether it came out on the other side of the router.
    pub(crate) arrived: bool,
}

impl Attempt {
    /// Lets a new client connect, and waits until the gateway, too, knows how that ended.
    pub(crate) fn make(lab: &Lab, gateway: &Gateway, settings: Settings) -> Self {
        lab.set_path(&Path {
            drop_fragments: true,
            ..Path::default()
        });
        let lines_before = gateway.log().entries().len();
        let client = Strongswan::start(&lab.client, settings);
        // Not at the gateway's own interface: what AF_XDP takes and sends is not seen there.
        let captures = [lab.capture_client(), lab.capture_router()];
        let outcome = client.initiate();
        let [at_client, at_router] = captures.map(Capture::stop);
        let fragments_dropped = lab.drops().fragments;
        // Should neither come, the findings will say so.
        let _ = gateway.log().wait_for(PATIENCE, |lines| {
            let mut lines = lines.iter().skip(lines_before);
            lines
                .find(|line| ENDS.iter().any(|end| line.contains(end)))
                .map(drop)
        });
        let attempt = Self {
            outcome,
            crossings: Crossing::all(at_client, at_router),
            fragments_dropped,
            log: gateway.log().entries().split_off(lines_before),
            sas: gateway.sas(),
            stats: gateway.stats(),
            shown: [&["sas", "--wide"][..], &["stats"]].map(|what| gateway.ask(what)),
        };
        client.stop();
        attempt
    }

    /// What was sent from there.
    pub(crate) fn sent_by(&self, end: IpAddr) -> impl Iterator<Item = &Crossing> {
        let sent = self.crossings.iter();
        sent.filter(move |crossing| crossing.datagram.source == end)
    }

    /// IP fragments.
    pub(crate) fn ip_fragments(&self) -> usize {
        let datagrams = self.crossings.iter().map(|crossing| &crossing.datagram);
        datagrams
            .filter(|datagram| datagram.fragment.is_some())
            .count()
    }

    /// IKE fragments that were sent from there.
    pub(crate) fn ike_fragments(&self, end: IpAddr) -> usize {
        let ike = self
            .sent_by(end)
            .filter_map(|crossing| crossing.datagram.ike());
        ike.filter(|ike| ike.fragment.is_some()).count()
    }

    /// The longest IP datagram with IKE, in bytes.
    pub(crate) fn longest(&self) -> usize {
        let ike = self.crossings.iter().map(|crossing| &crossing.datagram);
        let lengths = ike
            .filter(|datagram| datagram.ike().is_some())
            .map(|datagram| datagram.length);
        lengths.max().unwrap_or_default()
    }
}

impl Crossing {
    /// Puts together what was seen on both sides of the router.
    fn all(at_client: Vec<Datagram>, at_router: Vec<Datagram>) -> Vec<Self> {
        let is_from = |end| move |datagram: &Datagram| datagram.source == end;
        let is_between = |datagram: &Datagram| {
            [V4.client, V4.gateway].contains(&datagram.source)
                && [V4.client, V4.gateway].contains(&datagram.destination)
        };
        let side = |datagrams: Vec<Datagram>| -> (Vec<_>, Vec<_>) {
            datagrams
                .into_iter()
                .filter(is_between)
                .partition(is_from(V4.client))
        };
        let (client_sent, client_received) = side(at_client);
        let (gateway_received, gateway_sent) = side(at_router);
        let mut crossings = Self::one_way(client_sent, gateway_received);
        crossings.extend(Self::one_way(gateway_sent, client_received));
        crossings.sort_by_key(|crossing| crossing.datagram.time);
        crossings
    }

    fn one_way(sent: Vec<Datagram>, mut received: Vec<Datagram>) -> Vec<Self> {
        let crosses = |datagram: Datagram| {
            let is_same = |other: &Datagram| {
                let time = other.time;
                *other
                    == Datagram {
                        time,
                        ..datagram.clone()
                    }
            };
            let place = received.iter().position(is_same);
            // Each arrives once: a repetition may be the same to the last bit.
            let arrived = place.map(|place| received.remove(place)).is_some();
            Self { datagram, arrived }
        };
        sent.into_iter().map(crosses).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::datagram::Payload;

    fn datagram(time_ms: u64, source: IpAddr, destination: IpAddr) -> Datagram {
        Datagram {
            time: Duration::from_millis(time_ms),
            source,
            destination,
            length: 28,
            fragment: None,
            dont_fragment: true,
            checksums_right: true,
            payload: Payload::Udp {
                source: 500,
                destination: 500,
                data: vec![],
            },
        }
    }

    #[test]
    fn each_datagram_arrives_once() {
        let there = |time_ms| datagram(time_ms, V4.client, V4.gateway);
        let back = |time_ms| datagram(time_ms, V4.gateway, V4.client);
        let at_client = vec![there(0), there(1), back(4)];
        let at_router = vec![there(2), back(3), back(5)];
        let crossings = Crossing::all(at_client, at_router);
        let seen: Vec<_> = crossings
            .iter()
            .map(|crossing| (crossing.datagram.time.as_millis(), crossing.arrived))
            .collect();
        // One of each pair is lost; which one nobody can tell, as they are the same.
        assert_eq!(seen, [(0, true), (1, false), (3, true), (5, false)]);
    }

    #[test]
    fn others_on_the_link_do_not_count() {
        let stranger = datagram(0, V4.client, [224, 0, 0, 1].into());
        assert_eq!(Crossing::all(vec![stranger], vec![]).len(), 0);
    }
}
