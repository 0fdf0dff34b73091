//! Libreswan, as a client of the gateway. It needs ESP in the kernel.

use std::{process::Stdio, time::Duration};

use nix::sys::signal::Signal;

use crate::{
    credentials::SECRET,
    journal::Journal,
    lab::Ends,
    namespace::{Namespace, command},
    pki::{CLIENT, GATEWAY},
    process::Process,
};

/// Where Debian's package has the daemon, outside of every PATH.
const PLUTO: &str = "/usr/libexec/ipsec/pluto";
/// How long it may take to start and to connect.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon with one connection, which it opens by itself.
#[derive(Debug)]
pub struct Libreswan {
    pluto: Process,
}

impl Libreswan {
    /// Starts the daemon, which connects to the gateway of `ends` and asks it for an address.
    ///
    /// Of an IPv4 address and an IPv6 address it takes the first.
    #[must_use]
    pub fn start(namespace: &Namespace, ends: Ends) -> Self {
        let Ends { client, gateway } = ends;
        let configuration = format!(
            "conn lab
                left={client}
                leftid=@{CLIENT}
                leftsubnet=0.0.0.0/0
                leftmodecfgclient=yes
                leftupdown=%disabled
                right={gateway}
                rightid=@{GATEWAY}
                rightsubnet=0.0.0.0/0
                narrowing=yes
                authby=secret
                ikev2=insist
                auto=start\n"
        );
        let secret = format!(": PSK \"{SECRET}\"\n");
        namespace.write("/run/pluto/ipsec.conf", configuration);
        namespace.write("/run/pluto/ipsec.secrets", secret);
        // The database of keys and certificates, without which it does not start; a new one each time.
        namespace.mount("tmpfs", "/var/lib/ipsec");
        namespace.exec("certutil -N -d sql:/var/lib/ipsec --empty-password");
        let mut pluto = command(PLUTO);
        pluto.stdout(Stdio::null());
        pluto.args(["--nofork", "--stderrlog"]);
        pluto.args(["--config", "/run/pluto/ipsec.conf"]);
        pluto.args(["--secretsfile", "/run/pluto/ipsec.secrets"]);
        pluto.args(["--nssdir", "/var/lib/ipsec"]);
        Self {
            pluto: Process::start(namespace, "Libreswan", pluto),
        }
    }

    /// Waits until there is an IKE SA with a CHILD SA.
    pub fn wait_until_established(&self) {
        let established = |lines: &[String]| {
            lines
                .iter()
                .find(|line| line.contains("established Child SA"))
                .map(drop)
        };
        self.log()
            .wait_for(PATIENCE, established)
            .expect("Libreswan connects");
    }

    /// Ends the daemon as its service would, which deletes its SAs at the peer.
    pub fn stop(mut self) {
        self.pluto.signal(Signal::SIGTERM);
        self.pluto.wait();
    }

    /// The daemon's log.
    #[must_use]
    pub fn log(&self) -> &Journal<String> {
        self.pluto.lines()
    }
}
