//! strongSwan, as a client of the gateway or as the peer that another client is tried against.
//!
//! It runs as its package runs it, with its files in the usual places: `/etc/swanctl`,
//! `/etc/strongswan.d` and `/run` are the namespace's own. That keeps two daemons apart and stays
//! within the AppArmor profiles that the packages bring.

mod sas;
mod settings;

use std::{fs, path::Path, process::Stdio, time::Duration};

use nix::sys::signal::Signal;

pub use self::{
    sas::{ChildSa, IkeSa},
    settings::{Esp, NAME_SERVERS, Role, Settings},
};
use crate::{
    journal::Journal,
    namespace::{Namespace, command},
    process::Process,
};

/// How long the daemon may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running strongSwan daemon with one connection.
#[derive(Debug)]
pub struct Strongswan {
    namespace: Namespace,
    settings: Settings,
    /// What its connection and its CHILD SA are called.
    connection: String,
    charon: Process,
}

impl Strongswan {
    /// Starts the daemon and loads the connection; it listens when this returns.
    #[must_use]
    pub fn start(namespace: &Namespace, settings: Settings) -> Self {
        namespace.mount("tmpfs", "/etc/swanctl");
        for (file, contents) in settings.swanctl_files() {
            namespace.write(format!("/etc/swanctl/{file}"), contents);
        }
        Self::launch(namespace, settings, "lab")
    }

    /// Starts the daemon with what somebody else has written: the package's own `/etc/swanctl`, and
    /// `directory` copied over it as it is. Its connection and CHILD SA have the name `connection`.
    #[must_use]
    pub fn import(
        namespace: &Namespace,
        settings: Settings,
        directory: &Path,
        connection: &str,
    ) -> Self {
        let packaged = fs::read_to_string("/etc/swanctl/swanctl.conf").expect("strongSwan's own");
        namespace.mount("tmpfs", "/etc/swanctl");
        namespace.write("/etc/swanctl/swanctl.conf", packaged);
        namespace.exec(&format!("cp -r {}/. /etc/swanctl/", directory.display()));
        Self::launch(namespace, settings, connection)
    }

    fn launch(namespace: &Namespace, settings: Settings, connection: &str) -> Self {
        namespace.mount("tmpfs", "/etc/strongswan.d");
        namespace.write("/etc/strongswan.d/lab.conf", settings.strongswan_conf());
        // Debian's strongswan.conf complains when there is no such file.
        namespace.write("/etc/strongswan.d/charon/none.conf", "");
        let mut charon = command("charon-systemd");
        charon.stdout(Stdio::null());
        let charon = Process::start(namespace, "strongSwan", charon);
        let runs = |lines: &[String]| {
            lines
                .iter()
                .find(|line| line.contains("worker threads"))
                .map(drop)
        };
        charon
            .lines()
            .wait_for(PATIENCE, runs)
            .expect("strongSwan starts");
        namespace.exec("swanctl --load-all --noprompt");
        Self {
            namespace: namespace.clone(),
            settings,
            connection: connection.to_owned(),
            charon,
        }
    }

    /// Connects, and waits for the outcome; the error is what swanctl printed.
    ///
    /// # Errors
    /// The peer refused or did not answer.
    pub fn initiate(&self) -> Result<(), String> {
        let what = match self.settings.esp {
            Esp::Kernel | Esp::Userspace => "--child",
            Esp::None => "--ike",
        };
        self.swanctl(&["--initiate", what, &self.connection])
            .map(drop)
    }

    /// Deletes the IKE SA, and waits for the outcome.
    ///
    /// # Errors
    /// There is none, or the peer did not answer.
    pub fn terminate(&self) -> Result<(), String> {
        self.swanctl(&["--terminate", "--ike", &self.connection])
            .map(drop)
    }

    /// Has the IKE SA replaced, which goes on when this returns.
    ///
    /// # Errors
    /// There is none.
    pub fn rekey_ike(&self) -> Result<(), String> {
        self.swanctl(&["--rekey", "--ike", &self.connection])
            .map(drop)
    }

    /// Has the CHILD SA replaced, which goes on when this returns.
    ///
    /// # Errors
    /// There is none.
    pub fn rekey_child(&self) -> Result<(), String> {
        self.swanctl(&["--rekey", "--child", &self.connection])
            .map(drop)
    }

    /// The IKE SAs, half-open ones included.
    #[must_use]
    pub fn sas(&self) -> Vec<IkeSa> {
        sas::parse(
            &self
                .swanctl(&["--list-sas", "--raw"])
                .expect("strongSwan lists its SAs"),
        )
    }

    /// The daemon's process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.charon.pid()
    }

    /// The daemon's log.
    #[must_use]
    pub fn log(&self) -> &Journal<String> {
        self.charon.lines()
    }

    /// Ends the daemon as its service would, which deletes its SAs at the peer.
    pub fn stop(mut self) {
        self.charon.signal(Signal::SIGTERM);
        self.charon.wait();
    }

    fn swanctl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut swanctl = command("swanctl");
        swanctl.args(arguments);
        let output = self.namespace.output(swanctl);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            Err(text + &String::from_utf8_lossy(&output.stderr))
        }
    }
}
