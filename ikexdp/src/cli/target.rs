//! A gateway that is asked from outside.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use humantime::parse_duration;

use crate::probe::ProbeError;
use crate::probe::resolve::{Family, resolve};

/// The least time for an answer that means something.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// How long an answer may take.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(duration) if duration >= TIMEOUT_MIN => Ok(duration),
        Ok(_) => Err("less than 100ms is no time for an answer".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Which gateway.
#[derive(Args, Debug)]
pub(super) struct Target {
    /// The gateway, by name or address; of a name's addresses the first is asked
    pub(super) host: String,
    /// By IPv4
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// By IPv6
    #[arg(short = '6', long)]
    ipv6: bool,
}

impl Target {
    /// Its address.
    pub(super) fn resolve(&self) -> Result<IpAddr, ProbeError> {
        let family = match (self.ipv4, self.ipv6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        };
        resolve(&self.host, family)
    }
}
