//! `ikexdp bench`.

mod credentials;
mod error;
mod show;
mod suite;

use std::io::{self, IsTerminal, Write};
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};
use humantime::parse_duration;
use ikexdp_common::maps::LOCAL_ADDRESSES;
use ikexdp_proto::config::{Fragmentation, Requirement};
use ikexdp_proto::pattern::IdentityPattern;
use ikexdp_proto::types::IKE_PORT;
use signal_hook::consts::SIGINT;
use signal_hook::flag;

pub use self::error::LoadError;
use self::suite::{Suite, suite};
use super::CliError;
use crate::bench::{
    self, IdentityTemplate, Load, Plan, Progress, Proof, Source, Transport, UserTemplate,
};
use crate::xdp::Interface;

/// The least time for an answer that means something.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// What a program returns that was ended by SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

/// The shortest interval of questions that a client may ask in earnest.
const LIVENESS_MIN: Duration = Duration::from_millis(10);

/// Clients under way at a time if nothing is said.
const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(64).unwrap();

// clap takes the number's place for the end of a line, but not with an escape sequence in
// it, which it takes out again.
const ID: &str = "Who clients are, with {\u{1b}[0mn} for the number of each, such as \
                  user-{\u{1b}[0mn}@example.org";
const ID_MORE: &str = "\n\nWith certificates, what the certificate says first, and with EAP, the name \
                       for that, unless this says otherwise.";
const EAP_USER: &str = "The name of clients that prove by EAP-MSCHAPv2 who they are, with \
                        {\u{1b}[0mn} for the number of each";
const EAP_USER_MORE: &str = "\n\nThe gateway must have a certificate, and prove that it knows the \
                             password.";

/// What clients send and hear by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Way {
    Udp,
    Xdp,
}

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The gateway, by address or name
    gateway: String,
    /// The port to which clients send their first message
    #[arg(long, default_value_t = IKE_PORT)]
    port: u16,
    /// How many clients there are
    #[arg(long, value_name = "N", default_value = "100")]
    clients: NonZeroU32,
    /// So many clients begin in a second, whatever becomes of those before them
    #[arg(long, value_name = "N", conflicts_with = "concurrency")]
    rate: Option<NonZeroU32>,
    /// So many clients are under way at a time; 64, unless a rate is given
    #[arg(long, value_name = "N")]
    concurrency: Option<NonZeroUsize>,
    /// Threads that play the clients; one for each CPU, if nothing is said
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// What clients send and hear by: the kernel's UDP, or AF_XDP, past this host's network stack
    ///
    /// With xdp one thread plays them, each at an address of its own in `--source`, on ports 500 and
    /// 4500. No other IKE daemon can run beside it.
    #[arg(
        long,
        value_name = "udp|xdp",
        default_value = "udp",
        hide_possible_values = true
    )]
    transport: Way,
    /// The interface for `--transport xdp`, through which the gateway is reached
    #[arg(long, value_name = "NAME", required_if_eq("transport", "xdp"))]
    interface: Option<String>,
    /// Where clients are: an address, each at a port of its own; or a network such as 10.1.0.0/16,
    /// each at an address of its own
    ///
    /// The addresses must be this host's: `ip route add local 10.1.0.0/16 dev lo` makes a whole
    /// network so. If nothing is said, it is the address from which this host reaches the gateway.
    #[arg(long, value_name = "ADDRESS[/PREFIX]")]
    source: Option<Source>,
    #[arg(
        long,
        help = ID,
        long_help = ID.to_owned() + ID_MORE,
        value_name = "IDENTITY",
        required_unless_present_any = ["certificate", "eap_user"]
    )]
    id: Option<IdentityTemplate>,
    /// Who the gateway must be; anybody who can prove it, if nothing is said
    #[arg(long, value_name = "IDENTITY")]
    gateway_id: Option<IdentityPattern>,
    /// The file with the pre-shared key of clients and gateway
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present_any = ["certificate", "eap_user"],
        conflicts_with_all = ["certificate", "key", "authority", "eap_user"]
    )]
    psk_file: Option<PathBuf>,
    /// The certificate that clients show, one for all of them, and intermediates, in PEM
    #[arg(
        long,
        value_name = "FILE",
        requires_all = ["key", "authority"],
        conflicts_with = "eap_user"
    )]
    certificate: Option<PathBuf>,
    /// The private key of the certificate
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// The authorities of the gateway's certificate, in PEM
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
    #[arg(long, help = EAP_USER, long_help = EAP_USER.to_owned() + EAP_USER_MORE, value_name = "NAME", requires_all = ["eap_password_file", "authority"])]
    eap_user: Option<UserTemplate>,
    /// The file with their password, one for all of them
    #[arg(long, value_name = "FILE", requires = "eap_user")]
    eap_password_file: Option<PathBuf>,
    /// The algorithms to offer, as `ikexdp sas --wide` names them, such as
    /// aes256-gcm16/prf-sha2-256/x25519; of a kind that is not named, the modern ones
    #[arg(long, value_name = "NAME[/NAME]...", value_parser = suite)]
    suite: Option<Suite>,
    /// Begin without a CHILD SA and without an address (RFC 6023); the gateway must allow it
    #[arg(long)]
    childless: bool,
    /// Longest IP datagram that clients send, in octets
    #[arg(long, value_name = "OCTETS", default_value = "1280", value_parser = value_parser!(u16).range(576..))]
    fragment_size: u16,
    /// Do without IKE fragmentation (RFC 7383); long messages are then IP fragments
    #[arg(long, conflicts_with = "fragment_size")]
    no_fragmentation: bool,
    /// Hold the SAs for a time, such as 30s, and answer what the gateway asks meanwhile
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    hold: Option<Duration>,
    /// Meanwhile each client asks the gateway so often whether it lives, such as 10s
    #[arg(long, value_name = "DURATION", requires = "hold", value_parser = parse_duration)]
    liveness: Option<Duration>,
    /// Have every IKE SA replaced so many times
    #[arg(long, value_name = "N", default_value = "0", value_parser = value_parser!(u32).range(..=1000))]
    rekey: u32,
    /// Delete the SAs at the end; otherwise the gateway is left with them
    #[arg(long)]
    delete: bool,
    /// Do all of it so many times
    #[arg(long, value_name = "N", default_value = "1")]
    rounds: NonZeroU32,
    /// How long a request is repeated, four times and ever more slowly, until it has failed
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    timeout: Duration,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(options: Options, out: &mut impl Write) -> Result<(), CliError> {
    let json = options.json;
    let plan = options.plan()?;
    let clients = plan.clients;
    let mut stderr = io::stderr();
    let is_watched = stderr.is_terminal();
    let watch = |progress: Progress| {
        if is_watched {
            // Whoever does not see it has closed the terminal.
            let _ = write!(stderr, "\r{}\x1b[K", show::progress(&progress, clients));
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    // Who asks twice does not want to wait for a report.
    flag::register_conditional_shutdown(SIGINT, INTERRUPTED.into(), Arc::clone(&stop))?;
    flag::register(SIGINT, Arc::clone(&stop))?;
    let report = bench::run(plan, &stop, watch);
    if is_watched {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    let report = report.map_err(|error| LoadError::Run(error.into()))?;
    if json {
        serde_json::to_writer_pretty(&mut *out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        out.write_all(show::table(&report).as_bytes())?;
    }
    out.flush()?;
    Ok(error::judge(&report)?)
}

impl Options {
    fn plan(self) -> Result<Plan, LoadError> {
        let gateway = self.gateway()?;
        let source = self.source(gateway)?;
        let transport = self.transport(source)?;
        if self.timeout < TIMEOUT_MIN {
            return Err(LoadError::Timeout);
        }
        if self
            .liveness
            .is_some_and(|interval| interval < LIVENESS_MIN)
        {
            return Err(LoadError::Liveness);
        }
        let (proof, requirement) = self.proof()?;
        let identity = credentials::identity(self.id, &proof)?;
        if self.rounds > NonZeroU32::MIN && !self.delete {
            return Err(LoadError::Rounds);
        }
        let threads = self.threads.or_else(|| available_parallelism().ok());
        let Suite { ike, esp } = self.suite.unwrap_or_default();
        Ok(Plan {
            gateway,
            clients: self.clients,
            load: match self.rate {
                Some(rate) => Load::Rate(rate),
                None => Load::Concurrency(self.concurrency.unwrap_or(CONCURRENCY)),
            },
            threads: threads.unwrap_or(NonZeroUsize::MIN),
            transport,
            source,
            identity,
            proof,
            gateway_identity: self.gateway_id.unwrap_or(IdentityPattern::Any),
            requirement,
            ike,
            esp,
            childless: self.childless,
            fragmentation: Fragmentation {
                enabled: !self.no_fragmentation,
                datagram_len: self.fragment_size,
                is_remembered: false,
            },
            timeout: self.timeout,
            rounds: self.rounds,
            hold: self.hold,
            liveness: self.liveness,
            rekeys: self.rekey,
            delete: self.delete,
        })
    }

    /// How clients prove who they are, and how the gateway must.
    fn proof(&self) -> Result<(Proof, Requirement), LoadError> {
        let authority = &self.authority;
        match (&self.psk_file, &self.eap_user) {
            (Some(file), _) => credentials::shared_key(file),
            (None, Some(users)) => {
                let files = [&self.eap_password_file, authority];
                credentials::passwords(users, files.map(Option::as_deref))
            }
            (None, None) => {
                let files = [&self.certificate, &self.key, authority];
                credentials::certificates(files.map(Option::as_deref))
            }
        }
    }

    /// The gateway's address, of the family of clients if that is said.
    fn gateway(&self) -> Result<SocketAddr, LoadError> {
        let name = &self.gateway;
        let found = (name.as_str(), self.port).to_socket_addrs();
        let mut found = found.map_err(|source| LoadError::Resolve {
            gateway: name.clone(),
            source,
        })?;
        let fits = |it: &SocketAddr| self.source.is_none_or(|at| at.is_ipv4() == it.is_ipv4());
        found.find(fits).ok_or_else(|| LoadError::Family {
            gateway: name.clone(),
        })
    }

    /// What clients send and hear by.
    fn transport(&self, source: Source) -> Result<Transport, LoadError> {
        if self.transport == Way::Udp {
            return match self.interface {
                Some(_) => Err(LoadError::NoXdp),
                None => Ok(Transport::Udp),
            };
        }
        if matches!(source, Source::Address(_)) && self.clients > NonZeroU32::MIN {
            return Err(LoadError::OneAddress);
        }
        let clients = self.clients;
        if usize::try_from(clients.get()).is_ok_and(|it| it > LOCAL_ADDRESSES) {
            return Err(LoadError::Many { clients });
        }
        // The command line has it.
        let name = self.interface.as_deref().unwrap_or_default();
        let interface = Interface::find(name).map_err(LoadError::Interface)?;
        Ok(Transport::Xdp(interface))
    }

    /// Where clients are.
    fn source(&self, gateway: SocketAddr) -> Result<Source, LoadError> {
        let Some(source) = self.source else {
            // Sends nothing, but has the kernel choose.
            let any = if gateway.is_ipv4() { "0.0.0.0" } else { "::" };
            let chosen = UdpSocket::bind((any, 0)).and_then(|socket| {
                socket.connect(gateway)?;
                socket.local_addr()
            });
            return match chosen {
                Ok(local) => Ok(Source::Address(local.ip())),
                Err(source) => Err(LoadError::NoRoute { gateway, source }),
            };
        };
        let (clients, room) = (self.clients, source.room());
        if room < clients.get().into() {
            return Err(LoadError::Room { clients, room });
        }
        Ok(source)
    }
}

#[cfg(test)]
mod tests;
