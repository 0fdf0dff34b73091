//! OpenIKED, as a client of the gateway or in its place. It needs ESP in the kernel.
//!
//! On Linux it speaks to the kernel by PF_KEY alone, which has neither AES-GCM nor HMAC-SHA2-256 with 128
//! bits: its ESP is AES-CBC with a longer HMAC.

use std::{fs, net::IpAddr, process::Stdio, time::Duration};

use nix::sys::signal::Signal;

use crate::{
    credentials::{Credentials, SECRET},
    journal::Journal,
    lab::Ends,
    namespace::{Namespace, command},
    patience,
    pki::{CLIENT, GATEWAY},
    process::Process,
    xfrm,
};

/// Where Debian's package has the daemon, and what gives it orders.
const IKED: &str = "/usr/sbin/iked";
const IKECTL: &str = "/usr/sbin/ikectl";
/// Where it looks for keys and certificates.
const DIRECTORY: &str = "/etc/iked";
/// What must be there, even if it is empty.
const PARTS: [&str; 4] = ["ca", "certs", "crls", "private"];
/// Its configuration.
const CONFIGURATION: &str = "/run/iked.conf";
/// The port that it opens last, as the kernel lists it: 4500 of IPv6.
const LAST_PORT: &str = ":1194 ";
/// How long it may take to connect.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon with one policy.
#[derive(Debug)]
pub struct Openiked {
    namespace: Namespace,
    iked: Process,
}

impl Openiked {
    /// Starts the daemon, which by itself connects to the gateway of `ends` and asks it for an address.
    ///
    /// That is of the family of `ends`: what is given to the kernel by PF_KEY without a selector carries
    /// no other.
    #[must_use]
    pub fn start(namespace: &Namespace, ends: Ends) -> Self {
        let Ends { client, gateway } = ends;
        prepare(namespace);
        make_key(namespace);
        let any = if client.is_ipv4() { "0.0.0.0" } else { "::" };
        let policy = format!(
            "active esp from dynamic to {any}/0 local {client} peer {gateway} \
             srcid {CLIENT} dstid {GATEWAY} psk \"{SECRET}\" request address {any}"
        );
        Self::launch(namespace, &policy)
    }

    /// Starts the daemon with a policy for whoever comes, and addresses for them: 10.9.0.0/24. It listens
    /// when this returns.
    ///
    /// Of the certificates that a client sends it reads the first one alone: `authority` is the
    /// certificate, in PEM, of who has issued that.
    #[must_use]
    pub fn serve(
        namespace: &Namespace,
        local: IpAddr,
        credentials: &Credentials,
        authority: Option<&str>,
    ) -> Self {
        prepare(namespace);
        let proof = match credentials {
            Credentials::Psk { secret, .. } => {
                make_key(namespace);
                format!("psk \"{secret}\"")
            }
            Credentials::Certificate { chain, root, .. } => {
                let write = |file: &str, pem: &str| {
                    namespace.write(format!("{DIRECTORY}/{file}"), pem);
                };
                write("private/local.key", &chain.key);
                write("certs/own.pem", &chain.leaf);
                write("ca/root.pem", root);
                write("ca/own.pem", &chain.intermediate);
                write("ca/clients.pem", authority.unwrap_or(root));
                "rfc7427".to_owned()
            }
            other => panic!("not for OpenIKED: {other:?}"),
        };
        let policy = format!(
            "passive esp from 0.0.0.0/0 to dynamic local {local} peer any \
             ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519 \
             childsa enc aes-256 auth hmac-sha2-512 \
             srcid {GATEWAY} {proof} config address 10.9.0.0/24"
        );
        let openiked = Self::launch(namespace, &policy);
        let is_ready = || openiked.is_ready().then_some(());
        patience::until("OpenIKED's processes", is_ready);
        openiked
    }

    fn launch(namespace: &Namespace, policy: &str) -> Self {
        let configuration =
            format!("set dpd_check_interval 0\nset fragmentation\nikev2 lab {policy}\n");
        namespace.write(CONFIGURATION, configuration);
        // It takes none that everybody can read.
        namespace.exec(&format!("chmod 600 {CONFIGURATION}"));
        let mut iked = command(IKED);
        iked.stdout(Stdio::null());
        iked.args(["-d", "-f", CONFIGURATION]);
        Self {
            namespace: namespace.clone(),
            iked: Process::start(namespace, "OpenIKED", iked),
        }
    }

    /// Whether it serves as it has been told to.
    ///
    /// It says so nowhere. The first of its processes opens the ports, tells the others what is configured,
    /// and sleeps; each of them sleeps when it has read that, and the last is the one that has IKE. Before,
    /// it answers without IKE fragmentation.
    fn is_ready(&self) -> bool {
        let has_ports = self.namespace.run(|| {
            // Of this thread, which is in the namespace, and not of the process.
            let sockets = fs::read_to_string("/proc/thread-self/net/udp6").unwrap();
            sockets.contains(LAST_PORT)
        });
        has_ports && self.pids().into_iter().all(sleeps)
    }

    /// Waits until there is an IKE SA with a CHILD SA.
    pub fn wait_until_established(&self) {
        let found = |lines: &[String]| {
            let mut lines = lines.iter();
            lines
                .find(|line| line.contains("established peer"))
                .map(drop)
        };
        self.log()
            .wait_for(PATIENCE, found)
            .expect("OpenIKED connects");
    }

    /// The numbers of its processes: the first one's, and those of what it has started, of which one has
    /// IKE and another the keys of certificates.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let first = self.iked.pid();
        let others = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
        let others = others.split_whitespace().map(|pid| pid.parse().unwrap());
        [first].into_iter().chain(others).collect()
    }

    /// Deletes its SAs at the peer, and ends the daemon, which by itself would not tell the peer.
    pub fn stop(mut self) {
        self.namespace.exec(&format!("{IKECTL} reset sa"));
        let has_none = || xfrm::states(&self.namespace).is_empty().then_some(());
        patience::until("the end of OpenIKED's SAs", has_none);
        self.iked.signal(Signal::SIGTERM);
        self.iked.wait();
    }

    /// The daemon's log.
    #[must_use]
    pub fn log(&self) -> &Journal<String> {
        self.iked.lines()
    }
}

/// Whether a process waits for something.
fn sleeps(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, state) = stat.rsplit_once(") ").expect("a name");
    state.starts_with('S')
}

/// Makes its directories; new ones each time.
fn prepare(namespace: &Namespace) {
    namespace.mount("tmpfs", DIRECTORY);
    namespace.run(|| {
        for part in PARTS {
            fs::create_dir_all(format!("{DIRECTORY}/{part}")).unwrap();
        }
    });
}

/// Makes a private key, without which it does not start, whether it needs one or not.
fn make_key(namespace: &Namespace) {
    namespace.exec(&format!(
        "openssl ecparam -genkey -name prime256v1 -noout -out {DIRECTORY}/private/local.key"
    ));
}
