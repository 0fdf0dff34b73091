//! The command line.

mod amount;
mod bench;
mod capture;
mod client;
mod decrypt;
mod diagnose;
mod events;
mod init;
mod interval;
mod lists;
mod mtu;
mod pages;
mod probe;
mod sas;
mod stats;
mod status;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod top;

use std::io::{self, Write};
use std::num::ParseIntError;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

pub use bench::LoadError;
pub use client::AddError;
pub use diagnose::DiagnoseError;

use crate::capture::CaptureError;
use crate::clock::unix_time;
use crate::config::{self, CONTROL_SOCKET, ConfigError};
use crate::control::{ClientError, PREFIXES_MAX, Request, call};
use crate::daemon::{self, DaemonError};
use crate::host_checks::obstacles;
use crate::init::InitError;
use crate::pki::PkiError;
use crate::probe::ProbeError;
use crate::profiles::ProfileError;
use crate::view::{Listing, Postponed, Reloaded, Status};
use crate::xdp::AttachedError;

/// Where the configuration is, and all that it names.
const DIRECTORY: &str = "/etc/ikexdp";

/// IKEv2 gateway with XDP, AF_XDP and IKE fragmentation
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set a gateway up: an authority, certificates, a configuration, and addresses for clients
    ///
    /// What is not said is found out. Nothing that is there is overwritten.
    Init(init::Options),
    /// Make clients, show them, and let them in no more
    #[command(subcommand)]
    Client(client::Command),
    /// Run the gateway in the foreground
    Run(Configuration),
    /// Check a configuration and show what it would serve
    Check(Configuration),
    /// Show the daemon at a glance
    Status(Query),
    /// Show the counters that are not zero
    Stats(stats::Options),
    /// Show the traffic and the handshakes of this moment, for as long as one looks
    Top(top::Options),
    /// Show the IKE SAs, all or some of them, and their CHILD SAs
    Sas(sas::Options),
    /// Show what happens, as it happens: handshakes, rekeying, peers that move, ends
    ///
    /// Goes on until it is stopped. Who reads too slowly is told how much was missed.
    Events(events::Options),
    /// Have the daemon read its configuration again
    ///
    /// SAs go on as they are; new handshakes follow the new configuration. One with an error in it
    /// changes nothing.
    Reload(Daemon),
    /// Replace an IKE SA, or one of its CHILD SAs, by one with new keys
    ///
    /// Traffic goes on meanwhile. What comes of it is in the log, and in `ikexdp sas`.
    Rekey {
        /// The number of the IKE SA, as `ikexdp sas` shows it
        id: u64,
        /// The CHILD SA, by the SPI that the gateway receives on, as `ikexdp sas --wide` shows it
        #[arg(long, value_name = "SPI", value_parser = spi)]
        child: Option<u32>,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Write the keys of one client for a time, so that Wireshark can read what is captured
    ///
    /// Only if `allow-key-export` is set. The log says who wanted it, and `ikexdp status` that it is so.
    Decrypt(decrypt::Options),
    /// Say why attempts in a capture failed, whose side it is, and what helps
    ///
    /// Follows each attempt through one capture, or through the client's and the gateway's of the same time, whatever
    /// their clocks say. Any IKEv2 gateway and client will do, and no keys are needed: what is encrypted is judged by
    /// its size, and how sure a verdict is stands beside it. Ends with 0 if no attempt failed, 3 if one did, 4 if there
    /// is no IKE, 1 if a capture cannot be read.
    Diagnose(diagnose::Options),
    /// Take no IKE from prefixes, whatever the configuration says
    ///
    /// ESP of SAs that are up goes on. All prefixes are blocked, or none; a command takes 1024 at most.
    /// It holds at once, over `allow` and `block` in the configuration and over an earlier command for the
    /// same prefix, and `ikexdp reload` leaves it; it ends with --for, `ikexdp unlist`, or the daemon. Of two
    /// prefixes that an address is in, the longer decides. SAs that are up are not deleted: use `ikexdp
    /// terminate` first, while their clients can still answer. The log says who wanted it. XDP takes
    /// part as soon as it can: it is said if that is later.
    Block(lists::Entries),
    /// Limit nobody in prefixes, whatever the configuration says
    ///
    /// No rate and no share of one source holds for them. While everybody is asked for cookies, they are as
    /// well: whoever sends from an address that is not its own must not fill the table of half-open SAs. `half-open-max`, and the rate of INVALID_IKE_SPI, are for all. It holds as long as
    /// what `ikexdp block` says, and as firmly.
    Allow(lists::Entries),
    /// Withdraw what `ikexdp block` and `ikexdp allow` have said of prefixes
    ///
    /// What the configuration says of them holds again. Of all of them, at most 1024, or of none if one was
    /// not listed by command.
    Unlist(lists::Which),
    /// Show which prefixes are blocked and allowed, by the configuration or by whose command
    Lists(Query),
    /// Delete IKE SAs and wait until they are gone
    Terminate {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Capture IKE on an interface, for `ikexdp diagnose` or Wireshark
    ///
    /// Takes IKE, IP fragments of it, and what routers say of either (ICMP); of ESP only the headers of the
    /// first packets of each SA. Takes no traffic, and needs CAP_NET_RAW. What XDP takes from an interface
    /// is never captured there: a daemon of this host is asked to leave IKE to the kernel meanwhile, and
    /// takes it again when the capture ends, however that happens.
    Capture(capture::Options),
    /// Play many clients of a gateway, and measure what it does for them
    ///
    /// Works with any IKEv2 gateway. Each client is an honest one: it connects, with a CHILD SA that is
    /// agreed on and not installed, for nothing is put into this host's kernel; it then holds its SAs,
    /// replaces and deletes them, as far as is asked for. Fails if a client did.
    Bench(Box<bench::Options>),
    /// Find out what a client would meet at a gateway, without a key
    ///
    /// Works with any IKEv2 gateway, and needs no root. It sends IKE_SA_INIT as the client does, on ports 500 and
    /// 4500, and says whether it is answered and how soon, what is chosen, whether there is a NAT, whether long
    /// messages are cut by IKE or travel in IP fragments, whether both ports lead to one gateway, and what to
    /// do. It leaves a half-open SA at the gateway, or two.
    ///
    /// It returns 0 if the client gets through IKE_SA_INIT and nothing speaks against it, 3 if there is no answer on
    /// port 500 or 4500, 4 if the client is refused, 5 if it gets through with a reservation (no IKE
    /// fragmentation, IP fragments that do not arrive, another gateway on 4500, a redirection), and 1 if nothing could be asked.
    Probe(Box<probe::Options>),
    /// Find out how long datagrams may be on the way to a gateway, and back
    ///
    /// Works with any IKEv2 gateway, and needs no root. It sends IKE_SA_INIT of several lengths with Don't Fragment set,
    /// so that the gateway answers and keeps nothing, hears what routers say by ICMP, and then one in IP fragments. A
    /// gateway of ours answers in any length as well, unless `size-test = false`; of others only the way there
    /// is known.
    ///
    /// It returns 0 if datagrams of 1280 octets arrive, and IP fragments; 3 if there is no answer, or none any more; 5 if datagrams of
    /// 1280 octets do not arrive, or IP fragments do not; and 1 if nothing could be asked.
    Mtu(mtu::Options),
}

#[derive(Args, Debug)]
struct Configuration {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/ikexdp/ikexdp.toml")]
    config: PathBuf,
}

#[derive(Args, Debug)]
struct Daemon {
    /// The control socket of the daemon
    #[arg(long, value_name = "PATH", default_value = CONTROL_SOCKET)]
    socket: PathBuf,
}

#[derive(Args, Debug)]
struct Query {
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Which {
    /// The IKE SA, as `ikexdp sas` numbers it
    id: Option<u64>,
    /// Every IKE SA
    #[arg(long)]
    all: bool,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The gateway cannot be set up.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The authority cannot do it.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A client cannot be added.
    #[error(transparent)]
    Add(#[from] AddError),
    /// A profile cannot be written.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The daemon does not start, or does not go on.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// The running daemon does not answer, or refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Nothing is captured, or not all that should be.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A gateway was not measured, or not all went well.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A capture cannot be read, or has what failed in it.
    #[error(transparent)]
    Diagnose(#[from] DiagnoseError),
    /// A command cannot be for all of them.
    #[error(
        "{count} prefixes, and a command takes {PREFIXES_MAX}; hint: give several commands, or \
         `allow` and `block` in `[defence]`, then `ikexdp reload`"
    )]
    Prefixes {
        /// How many there are.
        count: usize,
    },
    /// There is nothing to draw on.
    #[error("standard output is no terminal; hint: `ikexdp top --once` writes one picture as text")]
    NoTerminal,
    /// The daemon that was followed is no more.
    #[error("the daemon has ended")]
    Ended,
    /// The kernel does not tell what the XDP program counts.
    #[error(transparent)]
    Attached(#[from] AttachedError),
    /// A gateway cannot be asked.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// What was found out has been written, and the status says what it was.
    #[error("not all is well, as the verdict says")]
    Found {
        /// What the process ends with.
        status: u8,
    },
    /// What was asked for cannot be written.
    #[error("cannot write")]
    Write(#[from] io::Error),
}

impl CliError {
    /// What the process ends with; 1 where there is no more to tell.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::Load(error) => error.exit_status(),
            Self::Diagnose(error) => error.exit_status(),
            Self::Found { status } => *status,
            _ => 1,
        }
    }
}

impl CliError {
    /// Whether people have been told already, so that there is only a status left to return.
    #[must_use]
    pub const fn is_told(&self) -> bool {
        match self {
            Self::Found { .. } => true,
            Self::Diagnose(error) => error.is_told(),
            _ => false,
        }
    }
}

impl Cli {
    /// Does what the command line says; data goes to `out`, all else to standard
    /// error.
    ///
    /// # Errors
    /// [`CliError`] if it cannot be done.
    pub fn execute(self, out: &mut impl Write) -> Result<(), CliError> {
        match self.command {
            Command::Init(options) => init::execute(options, out)?,
            Command::Client(command) => client::execute(command, out)?,
            Command::Run(Configuration { config }) => {
                let loaded = config::load(&config, unix_time())?;
                daemon::run(&loaded)?;
            }
            Command::Check(Configuration { config }) => check(&config, out)?,
            Command::Status(query) => {
                let status: Status = call(&query.daemon.socket, &Request::Status)?;
                query.show(out, &status, || status::table(&status))?;
            }
            Command::Stats(options) => stats::execute(&options, out)?,
            Command::Top(options) => top::execute(options, out)?,
            Command::Sas(options) => sas::execute(&options, out)?,
            Command::Events(options) => events::execute(options, out)?,
            Command::Reload(daemon) => reload(&daemon.socket, out)?,
            Command::Rekey { id, child, daemon } => {
                call::<()>(&daemon.socket, &Request::Rekey { id, child })?;
                writeln!(out, "rekeying: {id}")?;
            }
            Command::Decrypt(options) => decrypt::execute(&options, out)?,
            Command::Diagnose(options) => diagnose::execute(&options, out)?,
            Command::Block(entries) => lists::list(Listing::Blocked, &entries, out)?,
            Command::Allow(entries) => lists::list(Listing::Allowed, &entries, out)?,
            Command::Unlist(which) => lists::unlist(&which, out)?,
            Command::Lists(query) => lists::show(&query, out)?,
            Command::Terminate { which, daemon } => terminate(&which, &daemon.socket, out)?,
            Command::Capture(options) => capture::execute(options, out)?,
            Command::Bench(options) => bench::execute(*options, out)?,
            Command::Mtu(options) => mtu::execute(options, out)?,
            Command::Probe(options) => probe::execute(*options, out)?,
        }
        Ok(out.flush()?)
    }
}

impl Query {
    /// Writes what was asked for, as JSON or as a table.
    fn show<T: Serialize>(
        &self,
        out: &mut impl Write,
        value: &T,
        table: impl FnOnce() -> String,
    ) -> io::Result<()> {
        if self.json {
            serde_json::to_writer_pretty(&mut *out, value)?;
            writeln!(out)
        } else {
            out.write_all(table().as_bytes())
        }
    }
}

fn check(path: &Path, out: &mut impl Write) -> Result<(), CliError> {
    let loaded = config::load(path, unix_time())?;
    write!(out, "{loaded}")?;
    for caution in &loaded.cautions {
        let (path, line) = (path.display(), caution.line);
        writeln!(io::stderr(), "warning: {path}:{line}: {caution}")?;
    }
    for obstacle in obstacles(&loaded.settings) {
        let hint = obstacle.hint();
        writeln!(io::stderr(), "warning: this host: {obstacle}; hint: {hint}")?;
    }
    Ok(())
}

fn reload(socket: &Path, out: &mut impl Write) -> Result<(), CliError> {
    let reloaded: Reloaded = call(socket, &Request::Reload)?;
    let Reloaded {
        path,
        connections,
        pools,
        ..
    } = &reloaded;
    writeln!(
        out,
        "taken: {path}, connections: {connections}, pools: {pools}"
    )?;
    let mut stderr = io::stderr();
    for caution in &reloaded.cautions {
        writeln!(stderr, "warning: {caution}")?;
    }
    for Postponed {
        key,
        running,
        configured,
    } in &reloaded.postponed
    {
        writeln!(
            stderr,
            "warning: {key} stays {running}, not {configured}; hint: restart to apply"
        )?;
    }
    Ok(())
}

/// An SPI as `ikexdp sas` shows it.
fn spi(text: &str) -> Result<u32, ParseIntError> {
    u32::from_str_radix(text, 16)
}

fn terminate(which: &Which, socket: &Path, out: &mut impl Write) -> Result<(), CliError> {
    if let Some(id) = which.id {
        call::<()>(socket, &Request::Terminate { id })?;
        writeln!(out, "terminated: {id}")?;
    } else {
        let count: usize = call(socket, &Request::TerminateAll)?;
        writeln!(out, "terminated: {count} IKE SAs")?;
    }
    Ok(())
}
