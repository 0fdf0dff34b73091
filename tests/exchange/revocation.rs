//! Peers whose certificates have been revoked, or may have been.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use harness::host;
use harness::parties::{Parties, Proof, revocation_list, trust};
use ikexdp_proto::config::Config;
use ikexdp_proto::crypto::cert::{
    CredentialError, Issued, Revocation, RevocationPolicy, Revoked, Status, StatusSource, Unknown,
};
use ikexdp_proto::data_plane::NoDataPlane;
use ikexdp_proto::event::{Event, FailureReason};
use ikexdp_proto::job::{Job, JobId, JobResult};
use ikexdp_proto::limits::DENIAL_STEP;
use ikexdp_proto::spi::RandomSpis;
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::{Datagram, Path};
use ikexdp_proto::wire::iana::NotifyType;
use ikexdp_proto::{Command, Endpoint, Input, Output};
use rustls_pki_types::UnixTime;

/// When a certificate was revoked that is.
const SINCE: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_988_150_400));

/// Says the same of every certificate, when it is asked.
#[derive(Debug)]
struct Says(Status);

impl StatusSource for Says {
    fn known(&self, _: &Issued, _: UnixTime) -> Option<Status> {
        None
    }

    fn ask(&self, _: &Issued, _: UnixTime) -> Status {
        self.0
    }
}

struct End {
    endpoint: Endpoint,
    path: Path,
    events: Vec<Event>,
    status: Says,
    /// Which jobs are not done yet, and those.
    holds: fn(&Job) -> bool,
    held: Vec<(JobId, Job)>,
    inquiries: usize,
}

impl End {
    fn new(config: &Config, local: &str, remote: &str, status: Status) -> Self {
        let random = Box::new(ChaCha8Rng::seed_from_u64(1));
        Self {
            endpoint: Endpoint::new(Arc::new(config.clone()), random, Box::new(RandomSpis)),
            path: Path {
                local: local.parse().unwrap(),
                remote: remote.parse().unwrap(),
                marker: false,
            },
            events: Vec::new(),
            status: Says(status),
            holds: |_| false,
            held: Vec::new(),
            inquiries: 0,
        }
    }

    fn handle(&mut self, now: Instant, input: Input<'_>) -> Vec<Bytes> {
        self.endpoint.handle(now, input);
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => sent.push(transmit.payload),
                Output::Keepalive(_) | Output::Keys(_) => {}
                Output::Event(event) => self.events.push(event),
                Output::Job(id, job) => {
                    self.inquiries += usize::from(matches!(job, Job::Inquire(_)));
                    if (self.holds)(&job) {
                        self.held.push((id, job));
                    } else {
                        let result = host::run_asking(job, &NoDataPlane, &self.status);
                        self.endpoint.handle(now, Input::JobDone(id, result));
                    }
                }
            }
        }
        sent
    }

    fn receive(&mut self, now: Instant, payload: &[u8]) -> Vec<Bytes> {
        let datagram = Datagram {
            path: self.path,
            slot: None,
            is_allowed: false,
            payload,
        };
        self.handle(now, Input::Datagram(datagram))
    }

    /// Does what it was held from.
    fn release(&mut self, now: Instant) -> Vec<Bytes> {
        let (id, job) = self.held.remove(0);
        let result = host::run_asking(job, &NoDataPlane, &self.status);
        self.handle(now, Input::JobDone(id, result))
    }

    fn failure(&self) -> Option<&FailureReason> {
        self.events.iter().rev().find_map(|event| match event {
            Event::HandshakeFailed(failure) => Some(&failure.reason),
            _ => None,
        })
    }

    /// Lets time pass until nothing is due any more.
    fn rest(&mut self) {
        while let Some(at) = self.endpoint.poll_timeout() {
            self.handle(at, Input::Timeout);
        }
    }
}

struct Both {
    now: Instant,
    client: End,
    gateway: End,
}

impl Both {
    fn new(revocation: Revocation, status: Status) -> Self {
        const CLIENT: &str = "192.0.2.10:500";
        const GATEWAY: &str = "198.51.100.1:500";
        let mut parties = Parties::new(Proof::Certificates(0));
        parties.change_gateway(|connection| connection.requirement = trust(revocation));
        Self {
            now: Instant::from_micros(1),
            client: End::new(&parties.client, CLIENT, GATEWAY, status),
            gateway: End::new(&parties.gateway, GATEWAY, CLIENT, status),
        }
    }

    /// Carries everything back and forth until both are silent; returns the last
    /// that the client sent.
    fn connect(&mut self) -> Vec<Bytes> {
        let command = Command::Initiate {
            connection: "home".into(),
            path: self.client.path,
        };
        let mut sent = self.client.handle(self.now, Input::Command(command));
        loop {
            let answers: Vec<Bytes> = sent
                .iter()
                .flat_map(|datagram| self.gateway.receive(self.now, datagram))
                .collect();
            let answers = if answers.is_empty() {
                self.denial()
            } else {
                answers
            };
            if answers.is_empty() {
                return sent;
            }
            let next = self.answer(&answers);
            if next.is_empty() {
                return sent;
            }
            sent = next;
        }
    }

    /// What the gateway says when it is time for that.
    fn denial(&mut self) -> Vec<Bytes> {
        self.now = self.now + DENIAL_STEP;
        self.gateway.handle(self.now, Input::Timeout)
    }

    fn answer(&mut self, answers: &[Bytes]) -> Vec<Bytes> {
        let answers = answers.iter();
        answers
            .flat_map(|datagram| self.client.receive(self.now, datagram))
            .collect()
    }

    /// The client is refused and told nothing but that; the gateway says why, and
    /// keeps nothing.
    fn refused(mut self, why: &CredentialError) {
        let reason = FailureReason::Credentials(why.clone());
        assert_eq!(self.gateway.failure(), Some(&reason));
        let told = FailureReason::PeerRefused(NotifyType::AUTHENTICATION_FAILED);
        assert_eq!(self.client.failure(), Some(&told));
        self.gateway.rest();
        self.client.rest();
        for end in [&self.gateway, &self.client] {
            assert_eq!(end.endpoint.established(), 0);
            assert_eq!(end.endpoint.half_open(), 0);
            assert_eq!(end.endpoint.summaries(None).count(), 0);
        }
    }
}

fn revoked() -> CredentialError {
    CredentialError::Revoked {
        subject: String::from("CN=rcgen self signed cert"),
        revoked: REVOKED,
    }
}

const REVOKED: Revoked = Revoked {
    since: SINCE,
    reason: None,
};

fn listed(policy: RevocationPolicy, serials: &[u64]) -> Revocation {
    Revocation {
        policy,
        lists: vec![revocation_list(serials)],
        fetch: false,
    }
}

fn asked(policy: RevocationPolicy) -> Revocation {
    Revocation {
        policy,
        lists: Vec::new(),
        fetch: true,
    }
}

const POLICIES: [RevocationPolicy; 2] = [RevocationPolicy::Relaxed, RevocationPolicy::Strict];

/// --> IKE_AUTH { IDi, CERT, AUTH, ... }
/// <-- IKE_AUTH { N(AUTHENTICATION_FAILED) }
#[test]
fn who_is_in_a_list_is_refused() {
    for policy in POLICIES {
        let mut both = Both::new(listed(policy, &[3, 7]), Status::Good);
        both.connect();
        assert_eq!(both.gateway.inquiries, 0);
        both.refused(&revoked());
        let mut both = Both::new(listed(policy, &[3]), Status::Good);
        both.connect();
        assert_eq!(both.gateway.endpoint.established(), 1, "{policy}");
    }
}

#[test]
fn the_whole_handshake_waits_for_what_is_asked() {
    let unknown = Status::Unknown(Unknown::NoAnswer);
    for (status, policy, opens) in [
        (Status::Good, RevocationPolicy::Strict, true),
        (Status::Good, RevocationPolicy::Relaxed, true),
        (unknown, RevocationPolicy::Relaxed, true),
        (unknown, RevocationPolicy::Strict, false),
        (Status::Revoked(REVOKED), RevocationPolicy::Relaxed, false),
        (Status::Revoked(REVOKED), RevocationPolicy::Strict, false),
    ] {
        let mut both = Both::new(asked(policy), status);
        both.gateway.holds = |job| matches!(job, Job::Inquire(_));
        let request = both.connect();
        assert_eq!(both.gateway.held.len(), 1);
        assert_eq!(both.gateway.endpoint.established(), 0);
        assert_eq!(both.gateway.failure(), None);
        // RFC 7296 §2.1: a repeat of what is being worked on begins nothing anew.
        for datagram in &request {
            assert!(both.gateway.receive(both.now, datagram).is_empty());
        }
        assert_eq!(both.gateway.inquiries, 1);
        let answers = both.gateway.release(both.now);
        let answers = if opens { answers } else { both.denial() };
        both.answer(&answers);
        if opens {
            assert_eq!(both.gateway.endpoint.established(), 1, "{status:?}");
            assert_eq!(both.client.endpoint.established(), 1, "{status:?}");
        } else if status == unknown {
            both.refused(&CredentialError::StatusUnknown {
                subject: String::from("CN=rcgen self signed cert"),
                why: Unknown::NoAnswer,
            });
        } else {
            both.refused(&revoked());
        }
    }
}

/// A client asks in the same way about its gateway.
#[test]
fn an_initiator_asks_as_well() {
    for (status, opens) in [(Status::Good, true), (Status::Revoked(REVOKED), false)] {
        let mut both = Both::new(listed(RevocationPolicy::Strict, &[]), status);
        let mut parties = Parties::new(Proof::Certificates(0));
        parties.change_client(|it| it.requirement = trust(asked(RevocationPolicy::Strict)));
        both.client = End::new(
            &parties.client,
            "192.0.2.10:500",
            "198.51.100.1:500",
            status,
        );
        both.connect();
        assert_eq!(both.client.inquiries, 1);
        assert_eq!(both.client.endpoint.established(), usize::from(opens));
        if !opens {
            let reason = FailureReason::Credentials(revoked());
            assert_eq!(both.client.failure(), Some(&reason));
        }
    }
}

/// An answer that comes when nobody waits for it any more does nothing, whichever
/// of the two jobs it is of.
#[test]
fn who_does_not_wait_for_the_answer_leaves_nothing() {
    let holds: [fn(&Job) -> bool; 2] = [
        |job| matches!(job, Job::Verify(_)),
        |job| matches!(job, Job::Inquire(_)),
    ];
    for holds in holds {
        let mut both = Both::new(asked(RevocationPolicy::Strict), Status::Good);
        both.gateway.holds = holds;
        both.connect();
        both.gateway.rest();
        assert!(matches!(
            both.gateway.failure(),
            Some(FailureReason::Timeout { .. })
        ));
        let before = both.gateway.inquiries;
        assert!(both.gateway.release(both.now).is_empty());
        assert_eq!(both.gateway.inquiries, before);
        assert_eq!(both.gateway.endpoint.established(), 0);
        assert_eq!(both.gateway.endpoint.summaries(None).count(), 0);
    }
}

/// It is no fault of the peer's, which may come again.
#[test]
fn an_inquiry_that_is_given_up_is_told_to_the_peer() {
    let mut both = Both::new(asked(RevocationPolicy::Strict), Status::Good);
    both.gateway.holds = |job| matches!(job, Job::Inquire(_));
    both.connect();
    let (id, _) = both.gateway.held.remove(0);
    let abandoned = Input::JobDone(id, JobResult::Abandoned);
    let answers = both.gateway.handle(both.now, abandoned);
    both.answer(&answers);
    assert_eq!(both.gateway.failure(), Some(&FailureReason::JobAbandoned));
    let told = FailureReason::PeerRefused(NotifyType::TEMPORARY_FAILURE);
    assert_eq!(both.client.failure(), Some(&told));
}
