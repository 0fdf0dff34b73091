//! Where it is measured: two machines on one wire, the clients' and the responder's, each with a CPU of
//! its own.
//!
//! ```text
//!   clients 10.16.0.0/12 eth0 198.51.100.1 ---- 198.51.100.2 eth0 responder
//! ```

use std::path::{Path, PathBuf};

use harness::{
    credentials::SECRET,
    gateway::{Gateway, Setup, Transport},
    generator,
    lab::{V4, address, connect},
    libreswan::Libreswan,
    namespace::Namespace,
    openiked::Openiked,
    pki::Pki,
    strongswan::{Settings, Strongswan},
};
use serde_json::Value;

use super::{
    case::Case,
    place::{CLIENTS, Place, RESPONDER},
    responder::Responder,
};
use crate::running::Running;

/// Clients under way at a time.
const CONCURRENCY: &str = "64";

/// The algorithms, as strongSwan names them.
const SUITE: &str = "aes256gcm16-prfsha256-x25519";

/// Ours without a log, and without cookies, whatever comes. Nobody asks for life meanwhile.
const IKEXDP: &str = "
[log]
level = \"error\"

[defence]
cookies = \"off\"

[timing]
liveness = \"1h\"
first-liveness = \"1h\"";

/// The two machines.
pub(super) struct Stand {
    clients: Namespace,
    responder: Namespace,
    pub(super) place: Place,
    ikexdp: PathBuf,
    /// What says to the clients who they are.
    arguments: Vec<&'static str>,
}

impl Stand {
    /// Sets them up for a kind of handshake.
    pub(super) fn new(place: Place, ikexdp: &Path, pki: Option<&Pki>) -> Self {
        let clients = Namespace::new("clients");
        let responder = Namespace::new("responder");
        connect((&clients, "eth0"), (&responder, "eth0"));
        address(&clients, "eth0", &["198.51.100.1/24"]);
        address(&responder, "eth0", &["198.51.100.2/24"]);
        clients.exec("ip route add local 10.16.0.0/12 dev lo");
        responder.exec("ip route add default via 198.51.100.1");
        let arguments = match pki {
            Some(pki) => generator::certificates(&clients, pki).to_vec(),
            None => {
                let secret = generator::secret(&clients, SECRET);
                [&secret[..], &["--id", "c{n}@bench.test"]].concat()
            }
        };
        Self {
            clients,
            responder,
            place,
            ikexdp: ikexdp.to_owned(),
            arguments,
        }
    }

    /// Starts a responder.
    pub(super) fn start(&self, responder: Responder, case: Case, pki: Option<&Pki>) -> Running {
        let credentials = case.gateway(pki);
        let transport = match responder {
            Responder::Strongswan => {
                let settings = Settings {
                    is_fast: true,
                    // Nobody waits.
                    daemon: "dos_protection = no",
                    ike_proposal: SUITE.to_owned(),
                    esp: self.place.esp(),
                    ..Settings::responder(V4.gateway, credentials)
                };
                let strongswan = Strongswan::start(&self.responder, settings);
                if self.place == Place::Host {
                    // It has all of its threads, whatever CPUs there are.
                    let line = format!("--all-tasks --cpu-list --pid {RESPONDER}");
                    self.responder
                        .exec(&format!("taskset {line} {}", strongswan.pid()));
                }
                return Running::Strongswan(Box::new(strongswan));
            }
            Responder::Libreswan => {
                let libreswan =
                    Libreswan::serve(&self.responder, V4.gateway, &credentials, case.authby());
                return Running::Libreswan(libreswan);
            }
            Responder::Openiked => {
                let authority = pki.map(|pki| pki.client.intermediate.as_str());
                let openiked =
                    Openiked::serve(&self.responder, V4.gateway, &credentials, authority);
                return Running::Openiked(openiked);
            }
            Responder::Xdp => Transport::Native,
            Responder::Udp => Transport::Udp,
        };
        let setup = Setup {
            transport,
            data_plane: self.place.data_plane(),
            connection: "uniqueness = \"never\"",
            tables: IKEXDP,
            ..Setup::new(credentials)
        };
        let launcher = self.place.on(RESPONDER, &self.ikexdp);
        let gateway = Gateway::launch_by(launcher, &self.ikexdp, &self.responder, &setup);
        gateway.wait_until_it_answers();
        Running::Ikexdp(gateway)
    }

    /// Has so many clients of the network 10.(16 + `network`).0.0/16 connect; the report of the phase.
    pub(super) fn connect(&self, responder: Responder, clients: u32, network: u8) -> Value {
        let mut bench = self.place.on(CLIENTS, &self.ikexdp);
        bench.args(["bench", &V4.gateway.to_string(), "--json"]);
        if self.place == Place::Host {
            bench.arg("--childless");
        }
        bench.args(["--suite", responder.suite()]);
        bench.args(["--threads", "1", "--concurrency", CONCURRENCY]);
        bench.args(["--clients", &clients.to_string(), "--timeout", "60s"]);
        bench.args(["--source", &format!("10.{}.0.0/16", 16 + network)]);
        bench.args(&self.arguments);
        let output = self.clients.output(bench);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the generator: {stderr}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        report["phases"][0].clone()
    }
}
