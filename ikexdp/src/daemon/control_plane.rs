//! Signals, and requests on the control socket, as orders to the packet loop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use ikexdp_proto::data_plane::DataPlane;
use ikexdp_proto::event::IkeSaSummary;
use ikexdp_proto::types::{EspSpi, IkeSaId};
use ipnet::IpNet;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, spawn_local};
use tracing::info;

use super::DaemonError;
use super::decryption::Decryption;
use super::dhcp::Dhcp;
use super::exporter::Exporter;
use super::order::{Mailbox, Order, Unavailable};
use super::reload::Reloader;
use super::shield::{Observer, Observers};
use super::systemd;
use super::users::Users;
use crate::control::{Answer, Caller, Feed, PREFIXES_MAX, Refusal, Request, Response, answer};
use crate::dhcp::Counts;
use crate::log::LostLines;
use crate::metrics::Metric;
use crate::prefix::canonical;
use crate::prometheus::page;
use crate::udp::Drops;
use crate::view::{Listing, Relisted, Reloaded, Sa, Stats, Status, Usage};

#[cfg(test)]
use {
    crate::config,
    crate::log::threaded,
    crate::udp::{Ports, Sockets},
    ikexdp_proto::data_plane::NoDataPlane,
    std::path::Path,
    tokio::runtime::Runtime,
    tracing_appender::non_blocking::NonBlockingBuilder,
};

/// What answers requests.
#[derive(Clone, Debug)]
pub(super) struct ControlPlane {
    pub(super) mailbox: Mailbox,
    pub(super) drops: Drops,
    pub(super) lost_lines: LostLines,
    pub(super) data_plane: Arc<dyn DataPlane>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) users: Arc<Users>,
    pub(super) dhcp: Arc<Dhcp>,
    pub(super) exporter: Arc<Exporter>,
    pub(super) decryption: Arc<Decryption>,
    /// When the daemon began, in seconds since 1970.
    pub(super) started: u64,
    pub(super) feed: Arc<Feed>,
    pub(super) observers: Observers,
}

impl ControlPlane {
    /// The answer to `request`, as it is sent.
    pub(super) async fn handle(self, request: Request, caller: Caller) -> Answer {
        let mailbox = &self.mailbox;
        Answer::Line(match request {
            Request::Status => {
                let status = mailbox.ask(Order::Status).await;
                let decryption = self.decryption.view();
                line(status.map(|status| {
                    Ok(Status {
                        decryption,
                        ..status
                    })
                }))
            }
            Request::Stats => {
                let stats = mailbox.ask(Order::Stats).await;
                line(stats.map(|stats| Ok(self.complete(stats))))
            }
            Request::Sources => line(mailbox.ask(Order::Sources).await.map(Ok)),
            Request::Sas { after } => {
                let after = after.map(IkeSaId);
                let sas = mailbox.ask(|reply| Order::Sas { after, reply }).await;
                line(sas.map(|sas| Ok(self.measure(sas))))
            }
            Request::Rekey { id, child } => {
                let (id, child) = (IkeSaId(id), child.map(EspSpi));
                line(mailbox.ask(|reply| Order::Rekey { id, child, reply }).await)
            }
            Request::Terminate { id } => {
                let id = IkeSaId(id);
                line(mailbox.ask(|reply| Order::Terminate { id, reply }).await)
            }
            Request::TerminateAll => line(mailbox.ask(Order::TerminateAll).await.map(Ok)),
            Request::Decrypt { peer, seconds } => {
                let whose = (peer, seconds);
                line(self.decryption.start(mailbox, whose, caller).await)
            }
            Request::StopDecryption => line(Ok(Ok(self.decryption.stop().await))),
            Request::List {
                prefixes,
                listing,
                seconds,
            } => {
                let said = Some((listing, seconds));
                line(self.list(prefixes, said, caller).await)
            }
            Request::Unlist { prefixes } => line(self.list(prefixes, None, caller).await),
            Request::Lists { after } => {
                let lists = mailbox.ask(|reply| Order::Lists { after, reply }).await;
                line(lists.map(Ok))
            }
            Request::Reload => {
                let reloaded = self.reload().await;
                // A panic has been reported already.
                line(reloaded.unwrap_or(Err(Unavailable)))
            }
            Request::Observe => return self.observe(caller).await,
            Request::Events => match self.feed.follow() {
                Some(follower) => return Answer::Events(follower),
                None => line::<()>(Ok(Err(Refusal {
                    message: "too many follow events already".to_owned(),
                    hint: Some("end an `ikexdp events`, or read the log".to_owned()),
                }))),
            },
        })
    }

    /// Has XDP leave IKE to the kernel as long as the answer is held.
    async fn observe(&self, Caller { uid, pid }: Caller) -> Answer {
        let Some(observer) = self.observers.admit() else {
            return Answer::Line(line::<()>(Ok(Err(Refusal {
                message: "too many captures already".to_owned(),
                hint: Some("end an `ikexdp capture`".to_owned()),
            }))));
        };
        let observed = self.mailbox.ask(Order::Observe).await;
        if observed.is_ok() {
            info!(uid, pid, "IKE is left to the kernel for a capture");
        }
        let observation = Told { observer, uid, pid };
        Answer::Held(line(observed.map(Ok)), Box::new(observation))
    }

    /// Says something of prefixes, or nothing any more.
    async fn list(
        &self,
        prefixes: Vec<IpNet>,
        said: Option<(Listing, Option<u64>)>,
        by: Caller,
    ) -> Result<Result<Relisted, Refusal>, Unavailable> {
        if prefixes.len() > PREFIXES_MAX {
            return Ok(Err(Refusal {
                message: format!(
                    "nothing was changed: a request has {PREFIXES_MAX} prefixes at most"
                ),
                hint: Some("make several of them".to_owned()),
            }));
        }
        let order = |reply| Order::List {
            prefixes: prefixes.into_iter().map(canonical).collect(),
            said,
            by,
            reply,
        };
        self.mailbox.ask(order).await
    }

    /// Has the configuration read again; neither a signal nor whoever hangs up
    /// stops that.
    fn reload(&self) -> JoinHandle<Result<Result<Reloaded, Refusal>, Unavailable>> {
        let plane = self.clone();
        spawn_local(async move { plane.reloader.reload(&plane).await })
    }

    /// Turns signals into orders, for ever: SIGHUP has the configuration read
    /// again, the first SIGTERM or SIGINT lets peers know, the second does not
    /// wait for them. To be called in a [`LocalSet`](tokio::task::LocalSet).
    pub(super) async fn obey_signals(self) -> DaemonError {
        let signals = || {
            let terminate = signal(SignalKind::terminate())?;
            let interrupt = signal(SignalKind::interrupt())?;
            let hangup = signal(SignalKind::hangup())?;
            io::Result::Ok((terminate, interrupt, hangup))
        };
        let (mut terminate, mut interrupt, mut hangup) = match signals() {
            Ok(signals) => signals,
            Err(error) => return DaemonError::ControlPlane(error),
        };
        let mut leaving = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {
                    // The log tells what comes of it.
                    drop(self.reload());
                    continue;
                }
            }
            if leaving || self.mailbox.give(Order::Leave).is_err() {
                return DaemonError::Impatient;
            }
            info!("leaving; peers are being told");
            systemd::stopping("telling peers");
            leaving = true;
        }
    }

    /// Serves metrics on `address`. To be called in a
    /// [`LocalSet`](tokio::task::LocalSet).
    pub(super) async fn export(&self, address: Option<SocketAddr>) {
        let plane = self.clone();
        let page = move || plane.clone().metrics();
        self.exporter.serve(address, page).await;
    }

    /// All metrics; nothing if the packet loop takes no orders.
    async fn metrics(self) -> Option<String> {
        let stats = self.mailbox.ask(Order::Stats).await.ok()?;
        let status = self.mailbox.ask(Order::Status).await.ok()?;
        Some(page(self.started, &status, &self.complete(stats)))
    }

    /// Adds what is not counted in the packet loop.
    fn complete(&self, mut stats: Stats) -> Stats {
        let lost = self.lost_lines.count();
        stats
            .daemon
            .set(Metric::UdpDropped.name(), self.drops.count());
        stats.daemon.set(Metric::LogLinesLost.name(), lost);
        stats.radius = self.users.stats();
        let Counts { answered, ignored } = self.dhcp.counts();
        stats.daemon.set(Metric::DhcpAnswered.name(), answered);
        stats.daemon.set(Metric::DhcpIgnored.name(), ignored);
        stats
    }

    /// Adds what the kernel counts. It answers at once, so that this may wait.
    fn measure(&self, sas: Vec<IkeSaSummary>) -> Vec<Sa> {
        let names = sas.iter().flat_map(|sa| sa.names.iter().flatten());
        let names: Vec<_> = names.copied().collect();
        // If it does not tell, the SAs are shown all the same.
        let carried = self.data_plane.carried(&names).unwrap_or_default();
        let mut carried = carried.into_iter().map(Usage::from);
        let measured = sas.into_iter().map(|sa| {
            let mut sa = Sa::from(sa);
            for child in &mut sa.children {
                child.received = carried.next();
                child.sent = carried.next();
            }
            sa
        });
        measured.collect()
    }
}

/// Somebody who looks, of whom the log has told.
#[derive(Debug)]
struct Told {
    #[expect(dead_code, reason = "it is held for what becomes of its end")]
    observer: Observer,
    uid: u32,
    pid: Option<i32>,
}

impl Drop for Told {
    fn drop(&mut self) {
        let (uid, pid) = (self.uid, self.pid);
        info!(uid, pid, "a capture has ended");
    }
}

fn line<T: Serialize>(answered: Result<Result<T, Refusal>, Unavailable>) -> String {
    answer(&match answered {
        Ok(Ok(value)) => Response::Ok(value),
        Ok(Err(refusal)) => Response::Error(refusal),
        Err(Unavailable) => Response::Error(Refusal {
            message: "the daemon is ending, or has too much to do".to_owned(),
            hint: None,
        }),
    })
}

#[cfg(test)]
impl ControlPlane {
    /// One without a packet loop, for what only asks for it.
    pub(super) fn alone(mailbox: Mailbox, reloader: Reloader, runtime: &Runtime) -> Self {
        let (_, _guard, lost_lines) = threaded(NonBlockingBuilder::default(), io::sink());
        let sockets = Sockets::bind(Ports { ike: 0, nat_t: 0 }).unwrap();
        Self {
            mailbox,
            drops: sockets.drops(),
            lost_lines,
            data_plane: Arc::new(NoDataPlane),
            reloader: Arc::new(reloader),
            users: Arc::new(Users::new(runtime.handle().clone(), Arc::default())),
            dhcp: Arc::new(Dhcp::new(config::DataPlane::None)),
            exporter: Arc::default(),
            decryption: Arc::new(Decryption::new(Path::new("state"), false)),
            started: 0,
            feed: Arc::default(),
            observers: Observers::new(crate::waker::Waker::new().unwrap()),
        }
    }
}
