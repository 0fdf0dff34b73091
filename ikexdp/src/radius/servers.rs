//! Several servers that know the same, and which of them is asked.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::timeout;

use super::counters::{Role, ServerStatus};
use super::limits::SEARCH_TIME_MAX;
use super::packet::{Draft, TooLong};
use super::server::{Failure, Server};
use super::settings::Settings;
use super::socket::Answer;

/// Servers in the order in which they are preferred.
#[derive(Debug)]
pub(super) struct Servers(Vec<Arc<Server>>);

/// Why none has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// None of those that were asked.
    Silent(Vec<SocketAddr>),
    /// The request does not fit a packet.
    TooLong,
}

impl Servers {
    pub(super) fn new(addresses: &[SocketAddr], role: Role, settings: &Arc<Settings>) -> Self {
        let server = |address: &SocketAddr| Server::new(*address, role, settings);
        Self(addresses.iter().map(server).collect())
    }

    /// How they are doing.
    pub(super) fn status(&self) -> impl Iterator<Item = ServerStatus> {
        self.0.iter().map(|server| server.status())
    }

    /// Asks one after the other, first those that are not known to be down, until
    /// one answers. Each is asked what there is to ask at that moment.
    pub(super) async fn exchange(
        &self,
        draft: &(dyn Fn() -> Result<Draft, TooLong> + Sync),
    ) -> Result<(Arc<Server>, Answer), Unanswered> {
        let (up, down): (Vec<_>, Vec<_>) = self.0.iter().partition(|server| server.is_up());
        let mut asked = Vec::new();
        let search = async {
            for server in up.into_iter().chain(down) {
                asked.push(server.address);
                let preferred = self.0.first();
                if preferred.is_some_and(|first| !Arc::ptr_eq(first, server)) {
                    server.steps_in();
                }
                let asked = match draft() {
                    Ok(draft) => server.exchange(&draft).await,
                    Err(TooLong) => Err(Failure::TooLong),
                };
                match asked {
                    Ok(answer) => return Some(Ok((Arc::clone(server), answer))),
                    Err(Failure::TooLong) => return Some(Err(Unanswered::TooLong)),
                    Err(Failure::Silent) => {}
                }
            }
            None
        };
        let found = timeout(SEARCH_TIME_MAX, search).await.ok().flatten();
        found.unwrap_or(Err(Unanswered::Silent(asked)))
    }
}
