//! The gateway under test: the daemon itself, as it is built, run and asked by its own command line.
//!
//! Its files are in the namespace's own `/run`, where its control socket is by default.

use std::{
    path::PathBuf,
    process::{Command, ExitStatus, Output},
    time::Duration,
};

use ikexdp::view::{Counters, Sa, Stats, Status};
use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;

use crate::{
    credentials::Credentials,
    journal::Journal,
    namespace::{Namespace, command},
    patience,
    process::Process,
};

/// Where the daemon's files are.
const DIRECTORY: &str = "/run/ikexdp";
/// How long the daemon may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the tests vary in the configuration, and one connection for the lab's client.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How IKE comes in.
    pub transport: Transport,
    /// Longest IP datagram with IKE, in bytes.
    pub fragment_size: u16,
    /// What becomes of CHILD SAs: `none`, as most kernels that run tests have no ESP, or `xfrm`.
    pub data_plane: &'static str,
    /// How both ends prove who they are.
    pub credentials: Credentials,
    /// What is revoked, as lists in PEM.
    pub revoked: Option<String>,
    /// Further lines of `[gateway]`.
    pub gateway: &'static str,
    /// Further lines of the pool.
    pub pool: &'static str,
    /// Further lines of the connection.
    pub connection: &'static str,
    /// Further tables.
    pub tables: &'static str,
}

/// How IKE comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// XDP in the driver.
    Native,
    /// XDP in the kernel's stack.
    Generic,
    /// The kernel's UDP sockets alone.
    Udp,
}

impl Setup {
    /// A gateway with XDP in the driver and datagrams of at most 1280 bytes.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self {
            transport: Transport::Native,
            fragment_size: 1280,
            data_plane: "none",
            credentials,
            revoked: None,
            gateway: "",
            pool: "",
            connection: "",
            tables: "",
        }
    }

    /// Writes the files to where the daemon looks for them.
    fn write(&self, namespace: &Namespace) {
        for (file, contents) in self.files() {
            namespace.write(format!("{DIRECTORY}/{file}"), contents);
        }
        // The daemon complains of a secret that everybody can read.
        namespace.exec(&format!("chmod --recursive go= {DIRECTORY}"));
    }

    /// The files: names and contents, the configuration first.
    fn files(&self) -> Vec<(&'static str, String)> {
        let transport = match self.transport {
            Transport::Native => "interface = \"eth0\"\nxdp-mode = \"native\"",
            Transport::Generic => "interface = \"eth0\"\nxdp-mode = \"generic\"",
            Transport::Udp => "transport = \"udp\"",
        };
        let Ends {
            local,
            mut remote,
            remote_id,
            mut files,
        } = self.credentials.ends();
        if let Some(lists) = &self.revoked {
            remote += ", crl = [\"revoked.pem\"]";
            files.push(("revoked.pem", lists.clone()));
        }
        let configuration = format!(
            r#"
[gateway]
{transport}
fragment-size = {size}
state-dir = "state"
data-plane = "{data_plane}"
{gateway}

[[pool]]
name = "lab"
addresses = ["10.9.0.0/24", "2001:db8:9::/120"]
dns = ["10.9.0.1"]
{pool}

[[connection]]
name = "lab"
local = {{ {local} }}
remote = {{ {remote}, ids = ["{remote_id}"] }}
pool = "lab"
{connection}

{tables}
"#,
            size = self.fragment_size,
            data_plane = self.data_plane,
            gateway = self.gateway,
            pool = self.pool,
            connection = self.connection,
            tables = self.tables,
        );
        files.insert(0, ("gateway.toml", configuration));
        files
    }
}

/// What a connection says of both ends, in TOML, and the files that it names.
struct Ends {
    local: String,
    remote: String,
    remote_id: String,
    files: Vec<(&'static str, String)>,
}

impl Credentials {
    /// The gateway's and the peer's end.
    fn ends(&self) -> Ends {
        let (local, remote, remote_id, files) = match self {
            Credentials::Psk {
                secret,
                local_id,
                remote_id,
            } => (
                format!("id = \"{local_id}\", secret = \"{secret}\""),
                format!("secret = \"{secret}\""),
                remote_id.as_str(),
                vec![],
            ),
            Credentials::Certificate {
                chain,
                local_id,
                remote_id,
                root,
            } => (
                format!("id = \"{local_id}\", certificate = \"own.pem\", key = \"own.key\""),
                "ca = \"ca.pem\"".to_owned(),
                remote_id.as_str(),
                vec![
                    ("own.pem", chain.leaf.clone() + &chain.intermediate),
                    ("own.key", chain.key.clone()),
                    ("ca.pem", root.clone()),
                ],
            ),
            Credentials::EapGateway {
                chain,
                local_id,
                remote,
                files,
            } => {
                let own = [
                    ("own.pem", chain.leaf.clone() + &chain.intermediate),
                    ("own.key", chain.key.clone()),
                ];
                (
                    format!("id = \"{local_id}\", certificate = \"own.pem\", key = \"own.key\""),
                    remote.clone(),
                    "*",
                    own.into_iter().chain(files.iter().cloned()).collect(),
                )
            }
            Credentials::Eap { .. } => panic!("a gateway is no client"),
            Credentials::EapServer { .. } => panic!("ikexdp is no strongSwan"),
        };
        Ends {
            local,
            remote,
            remote_id: remote_id.to_owned(),
            files,
        }
    }
}

/// A running daemon; dropping it kills it.
#[derive(Debug)]
pub struct Gateway {
    namespace: Namespace,
    program: PathBuf,
    daemon: Process,
}

impl Gateway {
    /// Starts `program` in `namespace`; it serves when this returns.
    #[must_use]
    pub fn start(program: impl Into<PathBuf>, namespace: &Namespace, setup: &Setup) -> Self {
        let gateway = Self::launch(program, namespace, setup);
        gateway.wait_for_line("ready");
        gateway
    }

    /// Starts `program` in `namespace` with a configuration that is there; it serves when this
    /// returns. Its control socket is where it is by default.
    #[must_use]
    pub fn serve(program: impl Into<PathBuf>, namespace: &Namespace, configuration: &str) -> Self {
        let program = program.into();
        let mut daemon = command(&program.to_string_lossy());
        daemon.args(["run", "--config", configuration]);
        let gateway = Self {
            namespace: namespace.clone(),
            daemon: Process::start(namespace, "ikexdp", daemon),
            program,
        };
        gateway.wait_for_line("ready");
        gateway
    }

    /// Starts `program` in `namespace`, which may end at once.
    #[must_use]
    pub fn launch(program: impl Into<PathBuf>, namespace: &Namespace, setup: &Setup) -> Self {
        let program = program.into();
        let daemon = command(&program.to_string_lossy());
        Self::launch_by(daemon, program, namespace, setup)
    }

    /// Starts `program` by `launcher`, which runs it with the arguments it is given.
    #[must_use]
    pub fn launch_by(
        mut launcher: Command,
        program: impl Into<PathBuf>,
        namespace: &Namespace,
        setup: &Setup,
    ) -> Self {
        setup.write(namespace);
        launcher.args(["run", "--config"]);
        launcher.arg(format!("{DIRECTORY}/gateway.toml"));
        let daemon = Process::start(namespace, "ikexdp", launcher);
        Self {
            namespace: namespace.clone(),
            program: program.into(),
            daemon,
        }
    }

    /// Changes the files, has the daemon read them again, and says what `ikexdp reload` made of it:
    /// whether it was taken, and what it wrote to standard output and standard error.
    #[must_use]
    pub fn reload(&self, setup: &Setup) -> (bool, String) {
        setup.write(&self.namespace);
        let output = self.output(&["reload"]);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    /// Changes the files, and tells the daemon by a signal to read them again.
    pub fn hang_up(&self, setup: &Setup) {
        setup.write(&self.namespace);
        self.daemon.signal(Signal::SIGHUP);
    }

    /// The first line of the log that contains `text`, waiting for it if need be: in an
    /// emulated machine the kernel takes seconds to verify the XDP program.
    #[must_use = "the line says more than that it is there"]
    pub fn line(&self, text: &str) -> String {
        let found = |lines: &[String]| lines.iter().find(|line| line.contains(text)).cloned();
        self.log()
            .wait_for(6 * PATIENCE, found)
            .unwrap_or_else(|| panic!("no `{text}` in the daemon's log"))
    }

    /// Waits until it answers on its control socket, which it does when it serves.
    pub fn wait_until_it_answers(&self) {
        let answers = || self.output(&["status"]).status.success().then_some(());
        patience::until("the daemon's answer", answers);
    }

    /// Waits until the log says `text`.
    pub fn wait_for_line(&self, text: &str) {
        let _ = self.line(text);
    }

    /// The daemon's log.
    #[must_use]
    pub fn log(&self) -> &Journal<String> {
        self.daemon.lines()
    }

    /// The daemon's process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.status().pid
    }

    /// `ikexdp status`.
    #[must_use]
    pub fn status(&self) -> Status {
        self.json("status")
    }

    /// `ikexdp stats`.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.json("stats")
    }

    /// `ikexdp sas`.
    #[must_use]
    pub fn sas(&self) -> Vec<Sa> {
        self.json("sas")
    }

    /// `ikexdp terminate`.
    pub fn terminate(&self, id: u64) {
        self.ask(&["terminate", &id.to_string()]);
    }

    /// What `ikexdp` prints with these arguments; it must succeed.
    #[expect(clippy::must_use_candidate, reason = "some are given for what they do")]
    pub fn ask(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ikexdp {arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Tells the daemon to end, as its service would.
    pub fn tell_to_end(&self) {
        self.daemon.signal(Signal::SIGTERM);
    }

    /// Ends the daemon, which deletes its SAs at the peers.
    pub fn stop(mut self) {
        self.tell_to_end();
        let status = self.daemon.wait();
        assert!(status.success(), "the daemon ends with {status}");
    }

    /// Waits for the daemon's own end.
    #[must_use]
    pub fn wait(mut self) -> ExitStatus {
        self.daemon.wait()
    }

    /// Ends the daemon without a chance to do anything about it.
    pub fn kill(mut self) {
        self.daemon.signal(Signal::SIGKILL);
        self.daemon.wait();
    }

    /// A counter of `ikexdp stats`.
    #[must_use]
    pub fn count(&self, of: impl Fn(&Stats) -> &Counters, name: &str) -> u64 {
        count(of(&self.stats()), name)
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut ikexdp: Command = command(&self.program.to_string_lossy());
        ikexdp.args(arguments);
        self.namespace.output(ikexdp)
    }

    fn json<T: DeserializeOwned>(&self, what: &str) -> T {
        let text = self.ask(&[what, "--json"]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }
}

/// The counter of this name; there must be one.
#[must_use]
pub fn count(counters: &Counters, name: &str) -> u64 {
    let mut named = counters.0.iter().filter(|(known, _)| known == name);
    let (_, value) = named
        .next()
        .unwrap_or_else(|| panic!("no counter `{name}` in {counters:?}"));
    *value
}
