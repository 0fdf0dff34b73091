//! Answers the orders of the control plane.

use crossbeam_channel::Receiver;
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::{EspSpi, IkeSaId};
use ikexdp_proto::{Command, Endpoint};
use ipnet::IpNet;

use super::driver::Driver;
use super::fast_path::FastPath;
use super::order::{Order, Reply};
use crate::control::{Caller, Refusal};
use crate::view::{Listing, Observation, PoolStatus, Relisted, Stats, Status};

/// IKE SAs told at a time: the packet loop stands still meanwhile.
const PAGE: usize = 256;

/// Takes orders and answers them.
#[derive(Debug)]
pub(super) struct Desk {
    orders: Receiver<Order>,
    /// What never changes of it.
    status: Status,
    waiting: Vec<Waiting>,
    leaving: bool,
}

/// Somebody who waits for SAs to be gone.
#[derive(Debug)]
enum Waiting {
    One {
        id: IkeSaId,
        reply: Reply<Result<(), Refusal>>,
    },
    All {
        last: IkeSaId,
        count: usize,
        reply: Reply<usize>,
    },
}

impl Desk {
    pub(super) const fn new(orders: Receiver<Order>, status: Status) -> Self {
        Self {
            orders,
            status,
            waiting: Vec::new(),
            leaving: false,
        }
    }

    /// Whether the order to leave has come.
    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Does every order that waits. Those that come meanwhile wake the loop again: who
    /// asks without end does not keep it from datagrams.
    pub(super) fn serve(&mut self, driver: &mut Driver) {
        for _ in 0..self.orders.len() {
            let Ok(order) = self.orders.try_recv() else {
                break;
            };
            self.execute(order, driver);
        }
        for waiting in self
            .waiting
            .extract_if(.., |one| one.is_over(&driver.engine))
        {
            waiting.answer();
        }
    }

    /// Whoever asked may have gone meanwhile; an answer to nobody is lost.
    fn execute(&mut self, order: Order, driver: &mut Driver) {
        match order {
            Order::Status(reply) => drop(reply.send(self.status(driver))),
            Order::Stats(reply) => drop(reply.send(stats(driver))),
            Order::Sources(reply) => {
                let now = driver.clock.now();
                drop(reply.send(driver.senders.view(now)));
            }
            Order::Sas { after, reply } => {
                let sas = driver.engine.summaries(after);
                drop(reply.send(sas.take(PAGE).collect()));
            }
            Order::Sa { id, reply } => drop(reply.send(driver.engine.summary(id))),
            Order::Rekey { id, child, reply } => {
                let _ = reply.send(rekey(driver, id, child));
            }
            Order::Terminate { id, reply } => {
                if driver.engine.summary(id).is_none() {
                    drop(reply.send(Err(unknown(id))));
                    return;
                }
                driver.command(Command::Terminate(id));
                self.waiting.push(Waiting::One { id, reply });
            }
            Order::End { ids, reply } => drop(reply.send(end(driver, ids))),
            Order::TerminateAll(reply) => {
                let ids: Vec<_> = driver.engine.summaries(None).map(|sa| sa.id).collect();
                let last = ids.last().copied().unwrap_or(IkeSaId(0));
                let count = ids.len();
                for id in ids {
                    driver.command(Command::Terminate(id));
                }
                self.waiting.push(Waiting::All { last, count, reply });
            }
            Order::Reconfigure { settings, reply } => {
                driver.reconfigure(&settings);
                let _ = reply.send(());
            }
            Order::Expose { reader, reply } => {
                driver.expose(reader);
                let _ = reply.send(());
            }
            Order::List {
                prefixes,
                said,
                by,
                reply,
            } => {
                let _ = reply.send(list(driver, &prefixes, said, by));
            }
            Order::Lists { after, reply } => {
                let now = driver.clock.now();
                let _ = reply.send(driver.shield.listed(now, after));
            }
            Order::Observe(reply) => {
                let _ = reply.send(observe(driver));
            }
            Order::Leave => {
                self.leaving = true;
                driver.accounts.leave();
                driver.command(Command::Shutdown);
                // Peers that are in the middle of something else may not answer in time.
                driver.measure(driver.accounts.sas());
            }
        }
    }

    fn status(&self, driver: &Driver) -> Status {
        Status {
            xdp: driver.fast_path.as_ref().map(FastPath::status),
            fragment_size: driver.fragmentation.datagram_len,
            fragmentation: driver.fragmentation.enabled,
            ip_fragments: driver.ip_fragments,
            uptime_s: driver.clock.now().since(Instant::ZERO).as_secs(),
            half_open: driver.engine.half_open(),
            challenging_s: challenging_s(driver),
            half_open_max: driver.half_open_max,
            established: driver.engine.established(),
            listed: driver.shield.listed_counts(),
            captures: driver.shield.observers(),
            jobs: driver.jobs.out(),
            reassembly_octets: driver.engine.reassembly_octets(),
            pools: driver.engine.pools().map(PoolStatus::from).collect(),
            ..self.status.clone()
        }
    }
}

impl Waiting {
    fn is_over(&self, engine: &Endpoint) -> bool {
        match self {
            Self::One { id, reply } => reply.is_closed() || engine.summary(*id).is_none(),
            Self::All { last, reply, .. } => {
                let oldest = engine.summaries(None).next();
                reply.is_closed() || oldest.is_none_or(|sa| sa.id > *last)
            }
        }
    }

    fn answer(self) {
        match self {
            Self::One { reply, .. } => drop(reply.send(Ok(()))),
            Self::All { count, reply, .. } => drop(reply.send(count)),
        }
    }
}

/// How long everybody has been asked for a cookie; always, if not by what there is to do.
fn challenging_s(driver: &Driver) -> Option<u64> {
    let engine = &driver.engine;
    engine.is_challenging().then(|| {
        let since = engine.pressed_since().unwrap_or(Instant::ZERO);
        driver.clock.now().since(since).as_secs()
    })
}

fn stats(driver: &Driver) -> Stats {
    let metrics = driver.metrics.iter();
    let stats = driver.engine.stats().iter();
    let fast_path = driver.fast_path.as_ref();
    Stats {
        xdp: fast_path.map(FastPath::verdicts).unwrap_or_default(),
        queues: fast_path.map(FastPath::queues).unwrap_or_default(),
        daemon: metrics
            .map(|(metric, value)| (metric.name(), value))
            .collect(),
        engine: stats.map(|(stat, value)| (stat.name(), value)).collect(),
        handshakes: driver.handshakes.view(),
        radius: Vec::new(),
    }
}

fn rekey(driver: &mut Driver, id: IkeSaId, child: Option<EspSpi>) -> Result<(), Refusal> {
    let sa = driver.engine.summary(id).ok_or_else(|| unknown(id))?;
    if let Some(spi) = child
        && sa.children.iter().all(|child| child.spi_in != spi)
    {
        return Err(Refusal {
            message: format!("no CHILD SA of IKE SA {id} is received on this SPI: {spi}"),
            hint: Some("`ikexdp sas --wide` shows which there are".to_owned()),
        });
    }
    driver.command(Command::Rekey { id, child });
    Ok(())
}

/// Deletes those of `ids` that there are: how many.
fn end(driver: &mut Driver, mut ids: Vec<IkeSaId>) -> usize {
    ids.retain(|id| driver.engine.summary(*id).is_some());
    for id in &ids {
        driver.command(Command::Terminate(*id));
    }
    ids.len()
}

fn list(
    driver: &mut Driver,
    prefixes: &[IpNet],
    said: Option<(Listing, Option<u64>)>,
    by: Caller,
) -> Result<Relisted, Refusal> {
    let now = driver.clock.now();
    match said {
        Some(said) => driver.shield.list(now, prefixes, said, by)?,
        None => driver.shield.unlist(prefixes, by)?,
    }
    // Who asked may count on it, or hears why not.
    let caution = (!driver.guard()).then(|| {
        "XDP has not taken it: the daemon acts on it, and XDP on what was listed before; \
         hint: XDP is told again every 10 s, and the log says what is wrong"
            .to_owned()
    });
    Ok(Relisted { caution })
}

fn observe(driver: &mut Driver) -> Observation {
    driver.guard();
    let xdp = driver.fast_path.as_ref().map(FastPath::status);
    let is_untold = xdp.is_some() && !driver.shield.is_taken();
    Observation {
        caution: is_untold.then(|| {
            "XDP has not taken it: what it redirects is not captured; \
             hint: XDP is told again every 10 s, and the log says what is wrong"
                .to_owned()
        }),
        xdp,
    }
}

fn unknown(id: IkeSaId) -> Refusal {
    Refusal {
        message: format!("no IKE SA: {id}"),
        hint: Some("`ikexdp sas` lists them".to_owned()),
    }
}
