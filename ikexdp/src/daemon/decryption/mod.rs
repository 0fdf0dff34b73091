//! The switch that has the keys of one peer written, for who reads along.
//!
//! The packet loop hands over lines as keys are made, and a task of the control plane
//! writes them until the time is over.

mod tables;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ikexdp_proto::ExposedKeys;
use ikexdp_proto::data_plane::Operation;
use ikexdp_proto::job::Job;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::{Mutex as Turns, oneshot};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use self::tables::Tables;
use super::order::{Mailbox, Order, Unavailable};
use crate::control::{Caller, Refusal};
use crate::view;
use crate::wireshark::{self, Line};

/// The directory of the tables in the state directory.
const DIRECTORY: &str = "keys";

/// Lines that wait to be written, at most; a handshake makes three.
const LINES: usize = 1024;

/// The longest time that keys are written.
const SECONDS_MAX: u64 = 24 * 60 * 60;

/// How long to wait when the packet loop has too much to do to be told that it is over.
const PAUSE: Duration = Duration::from_millis(100);

/// The switch.
#[derive(Debug)]
pub(super) struct Decryption {
    directory: PathBuf,
    /// Held while it is switched: one after the other.
    switch: Turns<Switch>,
    shown: Mutex<Option<Shown>>,
}

#[derive(Debug)]
struct Switch {
    is_allowed: bool,
    writing: Option<Writing>,
}

/// The task that writes, which may be at its end.
#[derive(Debug)]
struct Writing {
    /// Dropped to switch it off.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What can be seen of it as long as it is on.
#[derive(Debug)]
struct Shown {
    view: view::Decryption,
    until: Instant,
    lost: Arc<AtomicU64>,
}

/// The packet loop's end: who reads along with whom.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) peer: IpAddr,
    lines: mpsc::Sender<Line>,
    /// Lines for which there was no room.
    lost: Arc<AtomicU64>,
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
        let Some(line) = line else {
            warn!(%peer, cipher, "keys not written: Wireshark does not know the cipher");
            return;
        };
        // If nobody takes them any more, it is being switched off.
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Decryption {
    pub(super) fn new(state_dir: &Path, is_allowed: bool) -> Self {
        Self {
            directory: state_dir.join(DIRECTORY),
            switch: Turns::new(Switch {
                is_allowed,
                writing: None,
            }),
            shown: Mutex::default(),
        }
    }

    /// Acts on what the configuration says now.
    pub(super) async fn adopt(&self, is_allowed: bool) {
        let mut switch = self.switch.lock().await;
        switch.is_allowed = is_allowed;
        if !is_allowed {
            switch.turn_off().await;
        }
    }

    /// Has the keys of `peer` written for a time, and nobody else's any more; all of it
    /// even if nobody waits for the answer. To be called in a
    /// [`LocalSet`](tokio::task::LocalSet).
    pub(super) async fn start(
        self: &Arc<Self>,
        mailbox: &Mailbox,
        whose: (IpAddr, u64),
        caller: Caller,
    ) -> Result<Result<view::Decryption, Refusal>, Unavailable> {
        let (this, mailbox) = (Arc::clone(self), mailbox.clone());
        let started = spawn_local(async move { this.turn_on(mailbox, whose, caller).await });
        // A panic has been reported already.
        started.await.unwrap_or(Err(Unavailable))
    }

    /// Switches it off, even if nobody waits for that; whether it was on. To be called in
    /// a [`LocalSet`](tokio::task::LocalSet).
    pub(super) async fn stop(self: &Arc<Self>) -> bool {
        let this = Arc::clone(self);
        let stopped = spawn_local(async move { this.switch.lock().await.turn_off().await });
        // A panic has been reported already.
        stopped.await.unwrap_or_default()
    }

    /// Whose keys are written, if anybody's are.
    pub(super) fn view(&self) -> Option<view::Decryption> {
        let shown = self.shown();
        let Shown { view, until, lost } = shown.as_ref()?;
        let left = until.saturating_duration_since(Instant::now());
        Some(view::Decryption {
            seconds_left: left.as_secs(),
            lines_lost: lost.load(Ordering::Relaxed),
            ..view.clone()
        })
    }

    async fn turn_on(
        self: Arc<Self>,
        mailbox: Mailbox,
        (peer, seconds): (IpAddr, u64),
        caller: Caller,
    ) -> Result<Result<view::Decryption, Refusal>, Unavailable> {
        let this = Arc::clone(&self);
        let mut switch = this.switch.lock().await;
        if !switch.is_allowed {
            return Ok(Err(Refusal {
                message: "the configuration does not allow that keys are written".to_owned(),
                hint: Some(
                    "set `gateway.allow-key-export = true`, then `ikexdp reload`".to_owned(),
                ),
            }));
        }
        switch.turn_off().await;
        let tables = match Tables::open(&self.directory) {
            Ok(tables) => tables,
            Err(error) => {
                return Ok(Err(Refusal {
                    message: format!("keys cannot be written: {error}"),
                    hint: None,
                }));
            }
        };
        let (lines, arriving) = mpsc::channel(LINES);
        let lost = Arc::<AtomicU64>::default();
        let reader = Reader {
            peer,
            lines,
            lost: Arc::clone(&lost),
        };
        expose(&mailbox, Some(reader)).await?;
        let seconds = seconds.clamp(1, SECONDS_MAX);
        let view = view::Decryption {
            peer,
            seconds_left: seconds,
            directory: self.directory.display().to_string(),
            lines_lost: 0,
            uid: caller.uid,
            pid: caller.pid,
        };
        let (uid, pid, directory) = (view.uid, view.pid, &view.directory);
        warn!(%peer, uid, pid, seconds, directory, "keys of a peer are being written");
        let now = Instant::now();
        let until = now.checked_add(Duration::from_secs(seconds)).unwrap_or(now);
        *self.shown() = Some(Shown {
            view: view.clone(),
            until,
            lost,
        });
        let (stop, stopped) = oneshot::channel();
        let task = spawn_local(self.write(tables, arriving, stopped, mailbox));
        switch.writing = Some(Writing { stop, task });
        Ok(Ok(view))
    }

    /// Writes what arrives until it is over, and sees to it that nothing more comes.
    async fn write(
        self: Arc<Self>,
        mut tables: Tables,
        mut arriving: mpsc::Receiver<Line>,
        stopped: oneshot::Receiver<()>,
        mailbox: Mailbox,
    ) {
        let until = self.shown().as_ref().map(|shown| shown.until);
        let mut written = tokio::select! {
            written = tables.write(&mut arriving) => written,
            () = sleep_until(until.unwrap_or_else(Instant::now)) => Ok(()),
            _ = stopped => Ok(()),
        };
        // It may just have too many orders; if it takes none any more, we end with it.
        while expose(&mailbox, None).await.is_err() {
            sleep(PAUSE).await;
        }
        if written.is_ok() {
            // What was handed over before.
            written = tables.write(&mut arriving).await;
        }
        let Some(Shown { view, lost, .. }) = self.shown().take() else {
            return;
        };
        let (peer, lost) = (view.peer, lost.load(Ordering::Relaxed));
        let error = written.err().map(|error| error.to_string());
        let lost = (lost > 0).then_some(lost);
        warn!(%peer, error, lost, "keys of a peer are written no more");
    }

    fn shown(&self) -> MutexGuard<'_, Option<Shown>> {
        // Nothing is done under it that could panic half way.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Switch {
    /// Waits until nothing is written any more; whether it was before.
    async fn turn_off(&mut self) -> bool {
        let Some(Writing { stop, task }) = self.writing.take() else {
            return false;
        };
        let was_on = !task.is_finished();
        drop(stop);
        // A panic has been reported already.
        let _ = task.await;
        was_on
    }
}

async fn expose(mailbox: &Mailbox, reader: Option<Reader>) -> Result<(), Unavailable> {
    mailbox.ask(|reply| Order::Expose { reader, reply }).await
}

#[cfg(test)]
mod tests;
