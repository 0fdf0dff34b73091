//! Who begins handshakes most often.

use std::cmp::Reverse;
use std::mem;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ikexdp_proto::time::Instant;
use ikexdp_proto::types::Datagram;
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::ExchangeType;

use crate::view::{Source, Sources, network};

/// Sources that are known at a time. Whoever sends more than one in 64 of all requests is among
/// them.
const PLACES: usize = 64;

/// How long is counted together: what is shown is of the last one or two of these.
const PERIOD: Duration = Duration::from_secs(10);

/// IKE_SA_INIT requests by source, of the last seconds. What it takes does not depend on how many
/// sources there are.
#[derive(Debug, Default)]
pub(super) struct Senders {
    since: Instant,
    current: Counts,
    last: Counts,
}

impl Senders {
    /// Counts a datagram, if it is a request that begins a handshake.
    pub(super) fn see(&mut self, now: Instant, datagram: &Datagram<'_>) {
        let is_init = Header::decode(datagram.payload).is_ok_and(|(header, _)| {
            header.exchange == ExchangeType::IKE_SA_INIT && !header.response
        });
        if is_init {
            self.turn(now);
            self.current.count(prefix(datagram.path.remote.ip()));
        }
    }

    /// Who they are, the busiest first.
    pub(super) fn view(&mut self, now: Instant) -> Sources {
        self.turn(now);
        let mut both = self.current.0.clone();
        for earlier in &self.last.0 {
            match both.iter_mut().find(|entry| entry.prefix == earlier.prefix) {
                Some(entry) => entry.requests = entry.requests.saturating_add(earlier.requests),
                None => both.push(*earlier),
            }
        }
        both.sort_by_key(|entry| Reverse(entry.requests));
        both.truncate(PLACES);
        let seconds = now.since(self.since).saturating_add(PERIOD).as_secs();
        let sources = both.into_iter().map(|entry| Source {
            network: network(entry.prefix),
            requests: entry.requests,
        });
        Sources {
            seconds: seconds.min(now.since(Instant::ZERO).as_secs()).max(1),
            sources: sources.collect(),
        }
    }

    /// Begins anew when the time has come.
    fn turn(&mut self, now: Instant) {
        let elapsed = now.since(self.since);
        if elapsed < PERIOD {
            return;
        }
        self.last = mem::take(&mut self.current);
        if elapsed >= PERIOD.saturating_mul(2) {
            self.last = Counts::default();
        }
        self.since = now;
    }
}

/// What one source can be told by: of IPv6 everybody has a network.
fn prefix(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// Counts of the busiest ("space-saving", Metwally et al., 2005): a newcomer takes the place of
/// whoever has the least, and that count with it, so that it is never too low.
#[derive(Debug, Default)]
struct Counts(Vec<Entry>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    prefix: IpAddr,
    requests: u64,
}

impl Counts {
    fn count(&mut self, prefix: IpAddr) {
        let known = self.0.iter_mut().find(|entry| entry.prefix == prefix);
        if let Some(entry) = known {
            entry.requests = entry.requests.saturating_add(1);
        } else if self.0.len() < PLACES {
            let requests = 1;
            self.0.push(Entry { prefix, requests });
        } else if let Some(least) = self.0.iter_mut().min_by_key(|entry| entry.requests) {
            least.prefix = prefix;
            least.requests = least.requests.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ikexdp_proto::types::{MessageId, Path, Role, Spi, Spis};
    use ikexdp_proto::wire::iana::PayloadType;

    const START: Instant = Instant::from_micros(60_000_000);

    fn message(exchange: ExchangeType, response: bool) -> Vec<u8> {
        let header = Header {
            spis: Spis {
                initiator: Spi(1),
                responder: Spi(0),
            },
            next_payload: PayloadType(0),
            version: 0x20,
            exchange,
            from: Role::Initiator,
            response,
            message_id: MessageId(0),
        };
        let mut message = Vec::new();
        header.encode(28, &mut message);
        message
    }

    fn see(senders: &mut Senders, now: Instant, remote: IpAddr, payload: &[u8]) {
        let path = Path {
            local: "192.0.2.1:500".parse().unwrap(),
            remote: (remote, 500).into(),
            marker: false,
        };
        senders.see(
            now,
            &Datagram {
                path,
                slot: None,
                is_allowed: false,
                payload,
            },
        );
    }

    fn init(senders: &mut Senders, now: Instant, remote: &str, times: usize) {
        let request = message(ExchangeType::IKE_SA_INIT, false);
        let remote = remote.parse().unwrap();
        (0..times).for_each(|_| see(senders, now, remote, &request));
    }

    fn shown(senders: &mut Senders, now: Instant) -> Vec<(String, u64)> {
        let sources = senders.view(now).sources.into_iter();
        sources.map(|it| (it.network, it.requests)).collect()
    }

    #[test]
    fn the_busiest_come_first_and_a_network_of_ipv6_is_one() {
        let mut senders = Senders::default();
        init(&mut senders, START, "198.51.100.7", 3);
        init(&mut senders, START, "198.51.100.8", 5);
        init(&mut senders, START, "2001:db8:1:2::3", 2);
        init(&mut senders, START, "2001:db8:1:2::4", 2);
        let expected = [
            ("198.51.100.8", 5),
            ("2001:db8:1:2::/64", 4),
            ("198.51.100.7", 3),
        ];
        let expected = expected.map(|(network, requests)| (network.to_owned(), requests));
        assert_eq!(shown(&mut senders, START), expected);
    }

    #[test]
    fn only_what_begins_a_handshake_counts() {
        let mut senders = Senders::default();
        let remote = "198.51.100.7".parse().unwrap();
        for payload in [
            message(ExchangeType::IKE_AUTH, false),
            message(ExchangeType::IKE_SA_INIT, true),
            vec![0; 27],
            Vec::new(),
        ] {
            see(&mut senders, START, remote, &payload);
        }
        assert_eq!(shown(&mut senders, START), []);
    }

    #[test]
    fn a_flood_of_strangers_does_not_hide_who_sends_most() {
        let mut senders = Senders::default();
        for number in 0..10_000_u32 {
            let stranger = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string();
            init(&mut senders, START, &stranger, 1);
            if number % 10 == 0 {
                init(&mut senders, START, "198.51.100.7", 1);
            }
        }
        let shown = shown(&mut senders, START);
        assert_eq!(shown.len(), PLACES);
        let (network, requests) = &shown[0];
        assert_eq!(network, "198.51.100.7");
        assert!(
            (1000..=1000 + 11_000 / PLACES as u64).contains(requests),
            "{requests}"
        );
    }

    #[test]
    fn who_has_stopped_is_forgotten() {
        let mut senders = Senders::default();
        init(&mut senders, START, "198.51.100.7", 3);
        init(&mut senders, START + PERIOD, "198.51.100.7", 1);
        assert_eq!(senders.view(START + PERIOD).seconds, 10);
        assert_eq!(shown(&mut senders, START + PERIOD)[0].1, 4);
        let later = START + PERIOD + PERIOD;
        assert_eq!(shown(&mut senders, later)[0].1, 1);
        assert_eq!(shown(&mut senders, later + PERIOD), []);
        init(&mut senders, later, "198.51.100.7", 3);
        assert_eq!(shown(&mut senders, later + PERIOD + PERIOD + PERIOD), []);
    }
}
