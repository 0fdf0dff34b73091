//! HTTP as authorities speak it (RFC 5280 §4.2.1.13).

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{Response, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, Error};

/// Gets a document, and nothing around it: no proxy, no redirection, no second use
/// of a connection.
#[derive(Debug)]
pub(super) struct Client(Agent);

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error(transparent)]
    Failed(#[from] Error),
    #[error("status {0}")]
    Status(u16),
}

impl Client {
    /// Speaks to addresses only for which `reach` holds.
    pub(super) fn new(reach: fn(IpAddr) -> bool) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_idle_connections(0)
            .user_agent("ikexdp")
            .build();
        let resolver = Reachable {
            reach,
            inner: DefaultResolver::default(),
        };
        Self(Agent::with_parts(config, DefaultConnector::new(), resolver))
    }

    /// What is at `address`, if it comes within `time` and has at most `max` octets.
    pub(super) fn get(
        &self,
        address: &str,
        max: usize,
        time: Duration,
    ) -> Result<Vec<u8>, HttpError> {
        let request = self.0.get(address).config();
        body(request.timeout_global(Some(time)).build().call()?, max)
    }

    /// What a responder at `address` has to say to `request` (RFC 6960 §A.1).
    pub(super) fn post(
        &self,
        address: &str,
        request: &[u8],
        max: usize,
        time: Duration,
    ) -> Result<Vec<u8>, HttpError> {
        let kind = ("Content-Type", "application/ocsp-request");
        let post = self.0.post(address).header(kind.0, kind.1).config();
        body(post.timeout_global(Some(time)).build().send(request)?, max)
    }
}

fn body(mut response: Response<Body>, max: usize) -> Result<Vec<u8>, HttpError> {
    if response.status() != 200 {
        return Err(HttpError::Status(response.status().as_u16()));
    }
    let max = u64::try_from(max).unwrap_or(u64::MAX);
    let body = response.body_mut().with_config().limit(max);
    Ok(body.read_to_vec()?)
}

/// Finds the addresses of a name, but for those that are not to be spoken to: they
/// are looked at after the name was resolved, and the connection is to them.
struct Reachable {
    reach: fn(IpAddr) -> bool,
    inner: DefaultResolver,
}

impl Resolver for Reachable {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let all = self.inner.resolve(uri, config, timeout)?;
        let mut reachable = self.empty();
        for address in all.iter().filter(|address| (self.reach)(address.ip())) {
            reachable.push(*address);
        }
        if reachable.is_empty() {
            return Err(Error::HostNotFound);
        }
        Ok(reachable)
    }
}

impl fmt::Debug for Reachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reachable")
    }
}
