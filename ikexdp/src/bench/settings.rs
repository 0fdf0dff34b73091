//! What a run was told to do, so that who reads what came of it can do it again.

use serde::Serialize;

use ikexdp_proto::config::Credential;

use super::pace::Load;
use super::plan::{Plan, Source};
use super::who::Proof;

/// The options of a run. The names are for good.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Settings {
    /// The version of the generator.
    pub version: &'static str,
    /// Clients that begin in a second, if that is what was asked for.
    pub rate: Option<u32>,
    /// Clients under way at a time, if that is.
    pub concurrency: Option<usize>,
    /// Where clients are: an address of all, or a network of one for each.
    pub source: String,
    /// How they prove who they are: `psk`, `certificate` or `eap-mschapv2`.
    pub proof: &'static str,
    /// Whether IKE fragmentation is announced.
    pub fragmentation: bool,
    /// Longest IP datagram with IKE, in octets.
    pub fragment_size: u16,
    /// Whether there are no CHILD SAs (RFC 6023).
    pub childless: bool,
    /// How long a request is repeated before the exchange has failed, in seconds.
    pub timeout_s: f64,
    /// How often all of it is done.
    pub rounds: u32,
    /// How long SAs are held, in seconds, if they are.
    pub hold_s: Option<f64>,
    /// How often each client asks meanwhile whether the gateway lives, in seconds.
    pub liveness_s: Option<f64>,
    /// How often each IKE SA is replaced.
    pub rekeys: u32,
    /// Whether SAs are deleted at the end of a round.
    pub delete: bool,
}

impl Settings {
    /// Of a plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let (rate, concurrency) = match plan.load {
            Load::Rate(rate) => (Some(rate.get()), None),
            Load::Concurrency(clients) => (None, Some(clients.get())),
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            rate,
            concurrency,
            source: match plan.source {
                Source::Address(address) => address.to_string(),
                Source::Network(network) => network.to_string(),
            },
            proof: match &plan.proof {
                Proof::Same(Credential::SharedKey(_)) => "psk",
                Proof::Same(_) => "certificate",
                Proof::Password { .. } => "eap-mschapv2",
            },
            fragmentation: plan.fragmentation.enabled,
            fragment_size: plan.fragmentation.datagram_len,
            childless: plan.childless,
            timeout_s: plan.timeout.as_secs_f64(),
            rounds: plan.rounds.get(),
            hold_s: plan.hold.map(|time| time.as_secs_f64()),
            liveness_s: plan.liveness.map(|time| time.as_secs_f64()),
            rekeys: plan.rekeys,
            delete: plan.delete,
        }
    }
}
