//! Clients that cannot run here, as their emulators: what they get of the daemon over XDP, on a path
//! that drops IP fragments.
//!
//! Each test is a gateway with three connections, which serve passwords, certificates and secrets, and
//! all profiles of a kind.

mod android;
mod apple;
mod crowd;
mod windows;

use std::net::Ipv4Addr;

use harness::{
    credentials::{Credentials, SECRET},
    emulator::{Emulator, Ports, Proof, User, profile::Profile},
    gateway::{Gateway, Setup, count},
    lab::{Lab, Path, V4},
    pki::{GATEWAY, Key, Pki},
};
use ikexdp::view::Sa;
use ikexdp_proto::identity::Identity;

use crate::{IKEXDP, counters::redirected};

/// For clients with CBC.
const COMPATIBLE: &str = "algorithms = \"compatible\"";

/// "password", as `ikexdp client add --eap` writes it.
const USERS: &str = "[users]\n\"kim\" = \"nt:8846f7eaee8fb117ad06bdd830b7586c\"\n";

/// Windows offers ESP with SHA-1 only, unless a policy says otherwise.
const ESP: &str = "esp.integrity = [\"sha2-256\", \"sha2-384\", \"sha1-96\"]";

const CONNECTIONS: &str = r#"
[[pool]]
name = "crowd"
addresses = ["10.10.0.0/16"]
dns = ["10.9.0.1"]

[[connection]]
name = "machines"
local = { id = "gateway.lab.test", certificate = "own.pem", key = "own.key" }
remote = { ca = "clients.pem" }
pool = "lab"
esp.integrity = ["sha2-256", "sha2-384", "sha1-96"]

[[connection]]
name = "secrets"
local = { id = "gateway.lab.test", secret = "a secret that both know" }
remote = { secret = "a secret that both know" }
pool = "crowd"
"#;

/// A gateway for all of them.
struct Fleet {
    lab: Lab,
    gateway: Gateway,
    pki: Pki,
}

impl Fleet {
    /// With certificates for this kind of keys, and further lines of `[gateway]`.
    fn new(key: Key, gateway: &'static str, path: &Path) -> Self {
        let pki = Pki::new(key);
        let files = vec![
            ("users.toml", USERS.to_owned()),
            ("clients.pem", pki.root.clone()),
        ];
        let credentials = Credentials::eap_gateway(&pki, "eap-users = \"users.toml\"", files);
        let lab = Lab::new();
        lab.set_path(path);
        // As Windows does it: what is sent may be cut on its way, and does cross many routers.
        lab.client.write("/proc/sys/net/ipv4/ip_no_pmtu_disc", "1");
        lab.client.write("/proc/sys/net/ipv4/ip_default_ttl", "128");
        let setup = Setup {
            gateway,
            connection: ESP,
            tables: CONNECTIONS,
            ..Setup::new(credentials)
        };
        let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
        Self { lab, gateway, pki }
    }

    fn client(&self, profile: Profile, user: User) -> Emulator {
        Emulator::new(&self.lab.client, V4, Ports::Own, profile, user)
    }

    fn user(&self, identity: &str, proof: Proof) -> User {
        User {
            identity: identity.parse().unwrap(),
            proof,
            gateway: GATEWAY.parse().unwrap(),
            root: self.pki.root.clone(),
        }
    }

    /// Kim, who knows a password, on a machine that says what its own address is.
    fn kim(&self) -> User {
        User {
            identity: Identity::decode(
                ikexdp_proto::wire::iana::IdType::IPV4_ADDR,
                &[192, 0, 2, 2],
            )
            .unwrap(),
            ..self.known("kim@lab.test")
        }
    }

    /// Kim, under a name that is not the one of EAP.
    fn known(&self, name: &str) -> User {
        let proof = Proof::Password {
            name: "kim".to_owned(),
            password: "password".to_owned(),
        };
        self.user(name, proof)
    }

    /// A machine with a certificate, which says its whole subject.
    fn machine(&self) -> User {
        self.holder("CN=client.lab.test")
    }

    /// Who has a certificate, by one of the names in it.
    fn holder(&self, name: &str) -> User {
        self.user(name, Proof::Certificate(self.pki.client.clone()))
    }

    /// Whoever knows the secret.
    fn guest(&self, name: &str) -> User {
        self.user(name, Proof::SharedKey(SECRET.to_owned()))
    }

    /// The only IKE SA there is.
    fn sa(&self) -> Sa {
        let mut sas = self.gateway.sas();
        assert_eq!(sas.len(), 1, "{sas:?}");
        sas.remove(0)
    }

    /// Connects with a first request of fragments of so many octets, or of one message, does what clients
    /// do for hours, and leaves. Nothing of it is left.
    fn live(&self, profile: Profile, user: User, fragment: Option<usize>) {
        let name = profile.name;
        let mut client = self.client(profile, user);
        client
            .connect()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let sent = client.auth_sent();
        match fragment {
            Some(fragment) => assert_cut(sent, fragment),
            None => assert_eq!(sent.len(), 1, "{sent:?}"),
        }
        let sa = self.sa();
        let received = usize::try_from(sa.fragmentation.received).unwrap();
        assert_eq!(received, if fragment.is_some() { sent.len() } else { 0 });
        assert_eq!(sa.children.len(), 1);
        assert_eq!(client.granted.addresses, sa.addresses);
        assert_eq!(client.granted.dns, [Ipv4Addr::new(10, 9, 0, 1)]);
        client.liveness();
        client.rekey_child().unwrap();
        let again = self.sa();
        assert_eq!(again.children.len(), 1);
        assert_ne!(again.children[0].spi_in, sa.children[0].spi_in);
        assert_eq!(again.children[0].remote, sa.children[0].remote);
        client.rekey_ike().unwrap();
        let again = self.sa();
        assert_ne!(again.initiator_spi, sa.initiator_spi);
        assert_eq!(again.addresses, sa.addresses);
        client.liveness();
        client.rekey_child().unwrap();
        client.disconnect();
        assert_eq!(self.gateway.sas(), []);
    }

    /// Ends it. All that came, came by XDP.
    fn stop(self) {
        let stats = self.gateway.stats();
        assert!(redirected(&stats) > 0);
        assert_eq!(count(&stats.daemon, "udp_received"), 0);
        self.gateway.stop();
    }
}

/// All fragments but the last have the size that the client gives them.
fn assert_cut(sent: &[usize], fragment: usize) {
    let (last, others) = sent.split_last().unwrap();
    assert!(!others.is_empty() && *last <= fragment, "{sent:?}");
    assert!(others.iter().all(|length| *length == fragment), "{sent:?}");
}
