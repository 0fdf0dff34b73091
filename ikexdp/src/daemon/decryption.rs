//! The switch that has the keys of one peer written, for who reads along.
//!
//! The packet loop hands over lines as keys are made, and a task of the control plane
//! writes them until the time is over.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ikexdp_proto::ExposedKeys;
use ikexdp_proto::data_plane::Operation;
use ikexdp_proto::job::Job;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::order::{Mailbox, Order, Unavailable};
use crate::control::{Caller, Refusal};
use crate::view;
use crate::wireshark::{self, Line, Table};

/// The directory of the tables in the state directory.
const DIRECTORY: &str = "keys";

/// Lines that wait to be written, at most; a handshake makes three.
const LINES: usize = 1024;

/// The longest time that keys are written.
const SECONDS_MAX: u64 = 24 * 60 * 60;

/// The switch.
#[derive(Debug)]
pub(super) struct Decryption {
    directory: PathBuf,
    is_allowed: AtomicBool,
    running: Mutex<Option<Running>>,
}

/// It is on.
#[derive(Debug)]
struct Running {
    view: view::Decryption,
    until: Instant,
    /// Dropped to switch it off.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// The packet loop's end: who reads along with whom.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) peer: IpAddr,
    lines: mpsc::Sender<Line>,
}

impl Reader {
    /// Hears of an IKE SA of the peer.
    pub(super) fn hear_keys(&self, keys: &ExposedKeys) {
        self.pass_on(wireshark::ike(keys), &keys.suite.cipher.to_string());
    }

    /// Hears of a job, which may give the kernel the keys of a CHILD SA of the peer.
    pub(super) fn hear_job(&self, job: &Job) {
        let Job::DataPlane { batch, .. } = job else {
            return;
        };
        for operation in batch {
            if let Operation::InstallSa(sa) = operation
                && sa.tunnel.remote.ip() == self.peer
            {
                self.pass_on(wireshark::esp(sa), &sa.suite.cipher.to_string());
            }
        }
    }

    fn pass_on(&self, line: Option<Line>, cipher: &str) {
        let peer = self.peer;
        match line {
            // If nobody writes, it is being switched off.
            Some(line) => drop(self.lines.try_send(line)),
            None => warn!(%peer, cipher, "keys not written: Wireshark does not know the cipher"),
        }
    }
}

impl Decryption {
    pub(super) fn new(state_dir: &Path, is_allowed: bool) -> Self {
        Self {
            directory: state_dir.join(DIRECTORY),
            is_allowed: AtomicBool::new(is_allowed),
            running: Mutex::default(),
        }
    }

    /// Acts on what the configuration says now.
    pub(super) async fn adopt(&self, is_allowed: bool) {
        self.is_allowed.store(is_allowed, Ordering::Relaxed);
        if !is_allowed {
            self.stop().await;
        }
    }

    /// Has the keys of `peer` written for a time, and nobody else's any more. To be
    /// called in a [`LocalSet`](tokio::task::LocalSet).
    pub(super) async fn start(
        &self,
        mailbox: &Mailbox,
        (peer, seconds): (IpAddr, u64),
        caller: Caller,
    ) -> Result<Result<view::Decryption, Refusal>, Unavailable> {
        if !self.is_allowed.load(Ordering::Relaxed) {
            return Ok(Err(Refusal {
                message: "the configuration does not allow that keys are written".to_owned(),
                hint: Some(
                    "set `gateway.allow-key-export = true`, then `ikexdp reload`".to_owned(),
                ),
            }));
        }
        self.stop().await;
        let tables = match Tables::open(&self.directory) {
            Ok(tables) => tables,
            Err(error) => {
                let directory = self.directory.display();
                return Ok(Err(Refusal {
                    message: format!("keys cannot be written: {directory}: {error}"),
                    hint: None,
                }));
            }
        };
        let (lines, arriving) = mpsc::channel(LINES);
        expose(mailbox, Some(Reader { peer, lines })).await?;
        let seconds = seconds.clamp(1, SECONDS_MAX);
        let view = view::Decryption {
            peer,
            seconds_left: seconds,
            directory: self.directory.display().to_string(),
            uid: caller.uid,
            pid: caller.pid,
        };
        let (uid, pid, directory) = (view.uid, view.pid, &view.directory);
        warn!(%peer, uid, pid, seconds, directory, "keys of a peer are being written");
        let now = Instant::now();
        let until = now.checked_add(Duration::from_secs(seconds)).unwrap_or(now);
        let (stop, stopped) = oneshot::channel();
        let mailbox = mailbox.clone();
        let task = spawn_local(async move {
            let written = tokio::select! {
                written = tables.write(arriving) => written,
                () = sleep_until(until) => Ok(()),
                _ = stopped => Ok(()),
            };
            let error = written.err().map(|error| error.to_string());
            // It may be ending, and then hands out nothing more.
            let _ = expose(&mailbox, None).await;
            warn!(%peer, error, "keys of a peer are written no more");
        });
        *self.running() = Some(Running {
            view: view.clone(),
            until,
            stop,
            task,
        });
        Ok(Ok(view))
    }

    /// Switches it off; whether it was on.
    pub(super) async fn stop(&self) -> bool {
        let running = self.running().take();
        let Some(Running { stop, task, .. }) = running else {
            return false;
        };
        let was_on = !task.is_finished();
        drop(stop);
        // A panic has been reported already.
        let _ = task.await;
        was_on
    }

    /// Whose keys are written, if anybody's are.
    pub(super) fn view(&self) -> Option<view::Decryption> {
        let running = self.running();
        let running = running.as_ref().filter(|it| !it.task.is_finished())?;
        let left = running.until.saturating_duration_since(Instant::now());
        Some(view::Decryption {
            seconds_left: left.as_secs(),
            ..running.view.clone()
        })
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        // Nothing is done under it that could panic half way.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn expose(mailbox: &Mailbox, reader: Option<Reader>) -> Result<(), Unavailable> {
    mailbox.ask(|reply| Order::Expose { reader, reply }).await
}

/// The open tables, for their owner alone.
struct Tables([File; 2]);

impl Tables {
    fn open(directory: &Path) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let open = |table: Table| {
            let mut options = OpenOptions::new();
            options.append(true).create(true).mode(0o600);
            options.open(directory.join(table.file()))
        };
        let [ike, esp] = Table::ALL.map(open);
        Ok(Self([ike?, esp?]))
    }

    /// Writes what arrives, until nothing can any more.
    async fn write(self, mut arriving: mpsc::Receiver<Line>) -> io::Result<()> {
        let Self([mut ike, mut esp]) = self;
        while let Some(line) = arriving.recv().await {
            let table = match line.table {
                Table::Ike => &mut ike,
                Table::Esp => &mut esp,
            };
            table.write_all(line.text.expose().as_bytes())?;
        }
        Ok(())
    }
}
