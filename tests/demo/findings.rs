//! What must be so after an attempt, and whether it is.

use std::{fmt, net::SocketAddr};

use harness::{gateway::count, lab::V4, pki::CLIENT};
use ikexdp::view::Sa;

use crate::attempt::Attempt;

/// Something expected, beside what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Whether it is as expected.
    pub(crate) is_so: bool,
    expected: String,
    seen: String,
}

impl Finding {
    fn new(is_so: bool, expected: impl Into<String>, seen: impl Into<String>) -> Self {
        let (expected, seen) = (expected.into(), seen.into());
        Self {
            is_so,
            expected,
            seen,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (expected, seen) = (&self.expected, &self.seen);
        if self.is_so {
            write!(f, "ok   {expected} ({seen})")
        } else {
            write!(f, "NOT AS EXPECTED   expected: {expected}; seen: {seen}")
        }
    }
}

/// Without IKE fragmentation the client fails, because the router drops its IP fragments.
pub(crate) fn of_failure(attempt: &Attempt) -> Vec<Finding> {
    let (sent, dropped) = (attempt.ip_fragments(), attempt.fragments_dropped);
    let says_why = |line: &&String| line.contains("handshake failed") && line.contains("hint=");
    let lines = attempt.log.iter().filter(says_why).count();
    let sas = attempt.sas.len();
    vec![
        outcome(attempt, false),
        Finding::new(
            sent > 0 && u64::try_from(sent) == Ok(dropped),
            "the client sends IP fragments, and the router drops every one",
            format!("{sent} sent, {dropped} dropped"),
        ),
        Finding::new(
            lines == 1,
            "the gateway's log tells of the failure, with a hint",
            format!("lines of it: {lines}"),
        ),
        Finding::new(
            sas == 0,
            "the gateway has no IKE SA",
            format!("IKE SAs: {sas}"),
        ),
    ]
}

/// With IKE fragmentation the client connects, by datagrams of at most `fragment_size` bytes.
pub(crate) fn of_success(attempt: &Attempt, fragment_size: usize) -> Vec<Finding> {
    let (ip_fragments, longest) = (attempt.ip_fragments(), attempt.longest());
    let arrived = attempt.crossings.iter().map(|crossing| crossing.arrived);
    let lost = arrived.filter(|arrived| !arrived).count();
    let [from_client, from_gateway] = [V4.client, V4.gateway].map(|end| attempt.ike_fragments(end));
    vec![
        outcome(attempt, true),
        Finding::new(
            ip_fragments == 0 && lost == 0 && attempt.fragments_dropped == 0,
            "no datagram is an IP fragment, and none is lost",
            format!("{ip_fragments} IP fragments, {lost} lost"),
        ),
        Finding::new(
            (1..=fragment_size).contains(&longest),
            format!("no datagram is longer than {fragment_size} bytes"),
            format!("the longest has {longest}"),
        ),
        Finding::new(
            from_client > 1 && from_gateway > 1,
            "both sides send IKE fragments",
            format!("{from_client} from the client, {from_gateway} from the gateway"),
        ),
        sa(&attempt.sas, from_client, from_gateway),
    ]
}

/// Over all attempts, the XDP program has counted what came through the router.
///
/// That is no IP fragment, or else the attempts themselves are not as expected.
pub(crate) fn of_counters(attempts: &[&Attempt]) -> Finding {
    let to_port = |port| {
        let is_to = |(_, receiver): (_, SocketAddr)| receiver.port() == port;
        attempts
            .iter()
            .flat_map(|attempt| attempt.sent_by(V4.client))
            .filter(|crossing| crossing.arrived && crossing.datagram.ike().is_some())
            .filter(|crossing| crossing.datagram.sockets().is_some_and(is_to))
            .count()
    };
    let captured = [
        ("redirect_ike", to_port(500)),
        ("redirect_ike_nat", to_port(4500)),
        ("pass_first_fragment", 0),
        ("pass_fragment", 0),
    ];
    let last = attempts.last().expect("an attempt was made");
    let counts = captured.map(|(name, captured)| (name, count(&last.stats.xdp, name), captured));
    let agree = |(_, counted, captured)| counted == captured as u64;
    let shown = counts.map(|(name, counted, captured)| format!("{name} {counted} of {captured}"));
    Finding::new(
        counts.into_iter().all(agree),
        "`ikexdp stats` has counted what was captured in both attempts",
        shown.join(", "),
    )
}

fn outcome(attempt: &Attempt, connects: bool) -> Finding {
    let expected = if connects {
        "the client connects"
    } else {
        "the client does not connect"
    };
    let seen = match &attempt.outcome {
        Ok(()) => "it says: established",
        Err(words) => words.trim().lines().last().unwrap_or_default(),
    };
    Finding::new(attempt.outcome.is_ok() == connects, expected, seen)
}

/// The gateway has one IKE SA, of the client, who has proved that; its fragments are those captured.
fn sa(sas: &[Sa], from_client: usize, from_gateway: usize) -> Finding {
    let show = |sa: &Sa| {
        let identity = sa.identity.as_deref().unwrap_or("nobody");
        let (received, sent) = (sa.fragmentation.received, sa.fragmentation.sent);
        format!("{}, {identity}, {received} in, {sent} out", sa.state)
    };
    let captured = format!("established, {CLIENT}, {from_client} in, {from_gateway} out");
    let shown: Vec<_> = sas.iter().map(show).collect();
    Finding::new(
        shown == [captured],
        format!(
            "`ikexdp sas` shows {CLIENT}, and {from_client} fragments in and {from_gateway} out, as captured"
        ),
        format!("IKE SAs: {}", shown.join("; ")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::Crossing;
    use harness::datagram::{Datagram, IpFragment, Payload};
    use ikexdp::view::{Fragmentation, Stats};
    use std::net::IpAddr;

    /// A message of IKE_AUTH, one of three fragments.
    fn ike(source: IpAddr, destination: IpAddr) -> Crossing {
        let marker = [0; 4];
        let header = [
            [7; 16].as_slice(),
            &[53, 0x20, 35, 8, 0, 0, 0, 1, 0, 0, 0, 36],
        ]
        .concat();
        let fragment = [36, 0, 0, 8, 0, 1, 0, 3];
        Crossing {
            datagram: Datagram {
                time: std::time::Duration::ZERO,
                source,
                destination,
                length: 1280,
                fragment: None,
                dont_fragment: true,
                checksums_right: true,
                payload: Payload::Udp {
                    source: 4500,
                    destination: 4500,
                    data: [&marker[..], &header, &fragment].concat(),
                },
            },
            arrived: true,
        }
    }

    /// Two fragments each way, and all else as it should be.
    fn connected() -> Attempt {
        let there = ike(V4.client, V4.gateway);
        let back = ike(V4.gateway, V4.client);
        let counters = [
            ("redirect_ike", 0),
            ("redirect_ike_nat", 2),
            ("pass_first_fragment", 0),
            ("pass_fragment", 0),
        ];
        let sa = Sa {
            id: 1,
            state: "established".to_owned(),
            connection: None,
            role: "responder".to_owned(),
            local: (V4.gateway, 4500).into(),
            remote: (V4.client, 4500).into(),
            initiator_spi: String::new(),
            responder_spi: String::new(),
            identity: Some(CLIENT.to_owned()),
            suite: None,
            age_s: 0,
            addresses: vec![],
            fragmentation: Fragmentation {
                negotiated: true,
                datagram_len: 1280,
                received: 2,
                sent: 2,
            },
            children: vec![],
        };
        Attempt {
            outcome: Ok(()),
            crossings: vec![there.clone(), there, back.clone(), back],
            fragments_dropped: 0,
            log: vec![],
            sas: vec![sa],
            stats: Stats {
                xdp: counters.into_iter().collect(),
                ..Stats::default()
            },
            shown: Default::default(),
        }
    }

    /// Two IP fragments, both dropped.
    fn failed() -> Attempt {
        let mut attempt = connected();
        attempt.outcome = Err("peer not responding".to_owned());
        attempt.crossings.truncate(2);
        for crossing in &mut attempt.crossings {
            crossing.arrived = false;
            crossing.datagram.fragment = Some(IpFragment {
                identification: 1,
                offset: 0,
                more: true,
            });
        }
        attempt.fragments_dropped = 2;
        attempt.log = vec!["WARN handshake failed hint=\"\"".to_owned()];
        attempt.sas.clear();
        attempt
    }

    fn unexpected(findings: &[Finding]) -> usize {
        findings.iter().filter(|finding| !finding.is_so).count()
    }

    #[test]
    fn what_should_be_is_as_expected() {
        let attempt = connected();
        assert_eq!(unexpected(&of_success(&attempt, 1280)), 0);
        assert_eq!(unexpected(&[of_counters(&[&failed(), &attempt])]), 0);
        assert_eq!(unexpected(&of_failure(&failed())), 0);
    }

    #[test]
    fn every_flaw_of_a_success_is_found() {
        let flaws: [fn(&mut Attempt); 7] = [
            |attempt| attempt.outcome = Err("peer not responding".to_owned()),
            |attempt| attempt.fragments_dropped = 1,
            |attempt| attempt.crossings[0].arrived = false,
            |attempt| attempt.crossings[3].datagram.length = 1281,
            |attempt| attempt.sas.clear(),
            |attempt| attempt.sas[0].identity = None,
            |attempt| attempt.sas[0].fragmentation.sent = 3,
        ];
        for (number, flaw) in flaws.iter().enumerate() {
            let mut attempt = connected();
            flaw(&mut attempt);
            assert_eq!(unexpected(&of_success(&attempt, 1280)), 1, "{number}");
        }
    }

    #[test]
    fn every_flaw_of_a_failure_is_found() {
        let flaws: [fn(&mut Attempt); 4] = [
            |attempt| attempt.outcome = Ok(()),
            |attempt| attempt.fragments_dropped = 1,
            |attempt| attempt.log.clear(),
            |attempt| attempt.sas = connected().sas,
        ];
        for (number, flaw) in flaws.iter().enumerate() {
            let mut attempt = failed();
            flaw(&mut attempt);
            assert_eq!(unexpected(&of_failure(&attempt)), 1, "{number}");
        }
    }

    #[test]
    fn a_counter_that_differs_from_the_capture_is_found() {
        for counter in ["redirect_ike", "redirect_ike_nat", "pass_first_fragment"] {
            let mut attempt = connected();
            attempt.stats.xdp.set(counter, 1);
            assert_eq!(unexpected(&[of_counters(&[&attempt])]), 1, "{counter}");
        }
    }

    #[test]
    fn a_finding_that_is_not_so_says_what_was_seen() {
        let finding = Finding::new(false, "the client connects", "peer not responding");
        assert_eq!(
            finding.to_string(),
            "NOT AS EXPECTED   expected: the client connects; seen: peer not responding"
        );
    }
}
