//! Clients that cannot run here, as their emulators: what they get of the daemon over XDP, on a path
//! that drops IP fragments.
//!
//! Each test is a gateway with connections for secrets, passwords and certificates, and one profile or
//! a few.

mod android;
mod apple;
mod crowd;
mod everybody;
mod windows;

use std::net::Ipv4Addr;

use harness::{
    credentials::{Credentials, SECRET},
    emulator::{
        Cipher, Emulator, Ports, Proof, User, android, ios, macos, macos_14, profile::Profile,
        strongswan_app, windows, windows_custom, windows_dh2048,
    },
    gateway::{Gateway, Setup, count},
    lab::{Lab, Path, V4},
    pki::{Chain, GATEWAY, Key, Pki},
};
use ikexdp::view::Sa;
use ikexdp_proto::crypto::kex::Group;

use crate::{IKEXDP, counters::redirected};

/// For clients with CBC.
pub(crate) const COMPATIBLE: &str = "algorithms = \"compatible\"";

/// For Windows, iPhones and Android: a certificate for ECDSA, and one for RSA.
const MIXED: &str = "algorithms = \"compatible\"\n[ike]\nrsa-sha1 = true";

/// "password", as `ikexdp client add --eap` writes it.
const USERS: &str = "[users]\n\"kim\" = \"nt:8846f7eaee8fb117ad06bdd830b7586c\"\n";

/// Connections for passwords and for certificates, and for a crowd with a secret. Windows offers ESP
/// with SHA-1 only, unless a policy says otherwise.
macro_rules! connections {
    ($certificates:literal) => {
        concat!(
            r#"
[[pool]]
name = "crowd"
addresses = ["10.10.0.0/16"]

[[connection]]
name = "crowd"
local = { id = "gateway.lab.test", secret = "a secret that both know" }
remote = { secret = "a secret that both know", ids = ["*@crowd.test"] }
pool = "crowd"

[[connection]]
name = "passwords"
local = { id = "gateway.lab.test", certificates = ["#,
            $certificates,
            r#"] }
remote = { eap-ca = "clients.pem", eap-users = "users.toml" }
pool = "lab"
esp.integrity = ["sha2-256", "sha2-384", "sha1-96"]

[[connection]]
name = "machines"
local = { id = "gateway.lab.test", certificates = ["#,
            $certificates,
            r#"] }
remote = { ca = "clients.pem" }
pool = "lab"
esp.integrity = ["sha2-256", "sha2-384", "sha1-96"]
"#
        )
    };
}

const ONE: &str = connections!(r#"{ certificate = "own-0.pem", key = "own-0.key" }"#);
const TWO: &str = connections!(
    r#"{ certificate = "own-0.pem", key = "own-0.key" }, { certificate = "own-1.pem", key = "own-1.key" }"#
);

/// A gateway for all of them.
pub(crate) struct Fleet {
    pub(crate) lab: Lab,
    pub(crate) gateway: Gateway,
    pki: Pki,
    /// The authorities of all certificates.
    roots: String,
}

impl Fleet {
    /// With a certificate for each of these kinds of keys, of which clients have the first, and further
    /// lines of `[gateway]`.
    pub(crate) fn new(keys: &[Key], gateway: &'static str, path: &Path) -> Self {
        let lab = Lab::new();
        lab.set_path(path);
        // As Windows does it: what is sent may be cut on its way, and does cross many routers.
        lab.client.write("/proc/sys/net/ipv4/ip_no_pmtu_disc", "1");
        lab.client.write("/proc/sys/net/ipv4/ip_default_ttl", "128");
        let pkis: Vec<Pki> = keys.iter().map(|key| Pki::new(*key)).collect();
        let roots: String = pkis.iter().map(|pki| pki.root.as_str()).collect();
        let write = |file: &str, text: &str| {
            lab.gateway.write(format!("/run/ikexdp/{file}"), text);
        };
        for (number, pki) in pkis.iter().enumerate() {
            let Chain {
                leaf,
                intermediate,
                key,
                ..
            } = &pki.gateway;
            let chain = [leaf, intermediate, &pki.root].map(String::as_str);
            write(&format!("own-{number}.pem"), &chain.concat());
            write(&format!("own-{number}.key"), key);
        }
        write("users.toml", USERS);
        write("clients.pem", &roots);
        let setup = Setup {
            gateway,
            tables: if pkis.len() == 1 { ONE } else { TWO },
            ..Setup::new(Credentials::Psk {
                secret: SECRET.to_owned(),
                local_id: GATEWAY.to_owned(),
                remote_id: "*@lab.test".to_owned(),
            })
        };
        let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
        Self {
            lab,
            gateway,
            pki: pkis.into_iter().next().expect("a kind of key"),
            roots,
        }
    }

    pub(crate) fn client(&self, profile: Profile, user: User) -> Emulator {
        Emulator::new(&self.lab.client, V4, Ports::Own, profile, user)
    }

    fn user(&self, identity: &str, proof: Proof) -> User {
        User {
            identity: identity.parse().unwrap(),
            proof,
            gateway: GATEWAY.parse().unwrap(),
            root: self.roots.clone(),
        }
    }

    /// Kim, who knows a password, on a machine that says what its own address is.
    pub(crate) fn kim(&self) -> User {
        User {
            identity: V4.client.to_string().parse().unwrap(),
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
    pub(crate) fn machine(&self) -> User {
        self.holder("CN=client.lab.test")
    }

    /// Who has a certificate, by one of the names in it.
    fn holder(&self, name: &str) -> User {
        self.user(name, Proof::Certificate(self.pki.client.clone()))
    }

    /// Whoever knows the secret.
    pub(crate) fn guest(&self, name: &str) -> User {
        self.user(name, Proof::SharedKey(SECRET.to_owned()))
    }

    /// The only IKE SA there is.
    fn sa(&self) -> Sa {
        let mut sas = self.gateway.sas();
        assert_eq!(sas.len(), 1, "{sas:?}");
        sas.remove(0)
    }

    /// Every client that there is, with a password.
    fn everybody() -> Vec<Profile> {
        vec![
            windows(),
            windows_dh2048(),
            windows_custom(Cipher::Aes128, Group::Ecp256),
            windows_custom(Cipher::Aes256, Group::Ecp384),
            ios(),
            macos(),
            macos().without_certreq(),
            macos_14(),
            android(),
            strongswan_app(),
        ]
    }

    /// Connects with a first request of fragments of so many octets, or of one message, does what clients
    /// do for hours, and leaves. Nothing of it is left.
    fn live(&self, profile: Profile, user: User, fragment: Option<usize>) {
        let name = profile.client.name;
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
