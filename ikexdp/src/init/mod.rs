//! Everything that a gateway needs before its first client: an authority,
//! certificates, a configuration.

mod host;
mod names;
mod pools;
mod template;

use std::fs;
use std::io;
use std::path::PathBuf;

use ipnet::IpNet;
use rustls_pki_types::UnixTime;

use crate::config::{self, ConfigError};
use crate::netlink::NetlinkError;
use crate::pki::{
    self, Authority, Directory, GatewayName, Index, Moment, PkiError, Readers, Users, create,
    create_directory,
};

use host::{Host, is_public};
pub use template::Facts;

/// What the package brings: nobody has said anything with it yet.
const EXAMPLE: &str = include_str!("../../../dist/ikexdp.toml");

/// Where everything is made before it is moved to its place.
const UNFINISHED: &str = "init.new";

/// What somebody has said, and need not be found out.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// By what name clients reach the gateway.
    pub name: Option<GatewayName>,
    /// The interface that faces them.
    pub interface: Option<String>,
    /// Addresses for them.
    pub pools: Vec<IpNet>,
}

/// Why a gateway cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The kernel does not say what this host is connected to.
    #[error("cannot find out about this host")]
    Host(#[from] NetlinkError),
    /// There is no interface that faces everybody.
    #[error(
        "this host has no default route; hint: name the interface that faces the clients with `--interface`"
    )]
    NoDefaultRoute,
    /// There is no such interface.
    #[error("no such interface: {name}; hint: `ip link` lists them")]
    NoInterface {
        /// Its name.
        name: String,
    },
    /// The interface has no address, and the host no name.
    #[error(
        "interface has no address: {interface}; hint: say how clients reach this host with `--name`"
    )]
    NoAddress {
        /// The interface.
        interface: String,
    },
    /// All private networks are in use.
    #[error("every private network is in use here; hint: choose one for clients with `--pool`")]
    NoPool,
    /// A network for clients is in use.
    #[error(
        "a network for clients is in use here: {pool}, by {taken}; hint: choose another with `--pool`"
    )]
    Taken {
        /// The network.
        pool: IpNet,
        /// What uses it.
        taken: IpNet,
    },
    /// There is something already.
    #[error(
        "already there, and nothing is overwritten: {}; hint: if it can go, move it away; \
         else choose another directory with `--directory`",
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    Occupied {
        /// What.
        paths: Vec<PathBuf>,
    },
    /// Something cannot be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A file cannot be moved to its place.
    #[error("cannot put in place: {}", path.display())]
    Place {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration that was made cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// What has been made.
#[derive(Debug)]
pub struct Made {
    /// What is in the configuration.
    pub facts: Facts,
    /// What the authority is called.
    pub authority: String,
    /// When its certificate ends.
    pub authority_expires: Moment,
    /// When the gateway's certificates end.
    pub gateway_expires: Moment,
    /// The configuration, as the daemon will read it.
    pub loaded: config::Loaded,
}

impl Made {
    /// Whether clients elsewhere cannot reach the gateway by its name as it is.
    #[must_use]
    pub fn is_private(&self) -> bool {
        matches!(&self.facts.name, GatewayName::Address(address) if !is_public(*address))
    }
}

/// Finds out what is not given.
///
/// # Errors
/// [`InitError`] if something cannot be found out, or is no good.
pub fn find_out(given: Given) -> Result<Facts, InitError> {
    let host = Host::read()?;
    // What cannot be read says nothing.
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let hostname = text("/proc/sys/kernel/hostname");
    let name = names::public_name(hostname.trim(), &text("/etc/hosts"));
    let mut dns = names::name_servers(&text("/etc/resolv.conf"));
    if dns.is_empty() {
        // Those that systemd-resolved hides behind itself.
        dns = names::name_servers(&text("/run/systemd/resolve/resolv.conf"));
    }
    let mut facts = facts(given, &host, name)?;
    facts.dns = dns;
    Ok(facts)
}

/// The same, on this `host` of this `name`; without name servers.
fn facts(given: Given, host: &Host, name: Option<GatewayName>) -> Result<Facts, InitError> {
    let interface = match given.interface {
        Some(name) if !host.has_interface(&name) => return Err(InitError::NoInterface { name }),
        Some(name) => name,
        None => {
            let default = host.default_interface();
            default.ok_or(InitError::NoDefaultRoute)?.to_owned()
        }
    };
    let address = || host.address(&interface).map(GatewayName::Address);
    let name = given.name.or(name).or_else(address);
    let Some(name) = name else {
        return Err(InitError::NoAddress { interface });
    };
    for pool in &given.pools {
        if let Some(taken) = host.collision(pool) {
            return Err(InitError::Taken { pool: *pool, taken });
        }
    }
    let pools = match given.pools.is_empty() {
        true => pools::draw(host)?,
        false => given.pools,
    };
    if pools.is_empty() {
        return Err(InitError::NoPool);
    }
    Ok(Facts {
        name,
        interface,
        pools,
        dns: Vec::new(),
    })
}

/// Makes everything in `directory`, where nothing of it may be yet.
///
/// It is made beside its place and moved there when it is whole, the configuration
/// last: where there is one, there is everything that it names.
///
/// # Errors
/// [`InitError`].
pub fn make(directory: &Directory, facts: Facts, now: UnixTime) -> Result<Made, InitError> {
    let unfinished = Directory::new(directory.file(UNFINISHED));
    let is_example = fs::read_to_string(directory.configuration()).is_ok_and(|it| it == EXAMPLE);
    let places = [
        directory.pki(),
        directory.clients(),
        directory.file(Directory::USERS),
        directory.configuration(),
    ];
    let mut paths = vec![unfinished.path().to_owned()];
    paths.extend(places.clone());
    paths.retain(|path| path.exists() && !(is_example && *path == directory.configuration()));
    if !paths.is_empty() {
        return Err(InitError::Occupied { paths });
    }
    if !directory.path().exists() {
        create_directory(directory.path(), Readers::Daemon)?;
    }
    create_directory(unfinished.path(), Readers::Daemon)?;
    let made = fill(&unfinished, facts, now).and_then(|made| {
        let sources = [
            unfinished.pki(),
            unfinished.clients(),
            unfinished.file(Directory::USERS),
            unfinished.configuration(),
        ];
        for (source, path) in sources.into_iter().zip(places) {
            fs::rename(source, &path).map_err(|source| InitError::Place { path, source })?;
        }
        Ok(made)
    });
    // What is left of it: nothing that anybody has, if something went wrong.
    let _ = fs::remove_dir_all(unfinished.path());
    let mut made = made?;
    made.loaded.path = directory.configuration();
    Ok(made)
}

fn fill(directory: &Directory, facts: Facts, now: UnixTime) -> Result<Made, InitError> {
    create_directory(&directory.pki(), Readers::Daemon)?;
    create_directory(&directory.clients(), Readers::Owner)?;
    let moment = Moment::from(now);
    let authority = Authority::new(&facts.name, moment)?;
    authority.save(directory)?;
    let mut gateway_expires = authority.expires;
    let keys = [
        (Directory::ECDSA, pki::ecdsa_p256()?),
        (Directory::RSA, pki::rsa_3072()?),
    ];
    for (name, key) in keys {
        let certified = pki::gateway(&authority, &facts.name, &key, moment)?;
        let path = directory.file(name);
        create(
            &path.with_extension("key"),
            certified.key_pem.as_bytes(),
            Readers::Daemon,
        )?;
        create(&path, certified.pem.as_bytes(), Readers::All)?;
        gateway_expires = certified.expires;
    }
    let index = Index {
        crl_number: 1,
        ..Index::default()
    };
    index.save(directory)?;
    let crl = pki::crl(&authority, &index, moment)?;
    create(
        &directory.file(Directory::CRL),
        crl.as_bytes(),
        Readers::All,
    )?;
    Users::default().save(directory)?;
    let configuration = template::configuration(&facts);
    create(
        &directory.configuration(),
        configuration.as_bytes(),
        Readers::Daemon,
    )?;
    let loaded = config::load(&directory.configuration(), now)?;
    Ok(Made {
        facts,
        authority: authority.common_name,
        authority_expires: authority.expires,
        gateway_expires,
        loaded,
    })
}

#[cfg(test)]
mod tests {
    use super::host::tests::host;
    use super::*;
    use crate::clock::unix_time;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    fn given(name: &str) -> Given {
        Given {
            name: Some(name.parse().unwrap()),
            ..Given::default()
        }
    }

    #[test]
    fn what_is_said_goes_before_what_is_found() {
        let found = facts(Given::default(), &host(), None).unwrap();
        assert_eq!(found.name.to_string(), "192.0.2.9");
        assert_eq!((found.interface.as_str(), found.pools.len()), ("eth0", 2));
        let name = Some("gw.acme.org".parse().unwrap());
        let named = facts(Given::default(), &host(), name.clone()).unwrap();
        assert_eq!(named.name.to_string(), "gw.acme.org");
        let said = Given {
            interface: Some("eth1".to_owned()),
            pools: vec!["10.99.0.0/24".parse().unwrap()],
            ..given("vpn.acme.org")
        };
        let said = facts(said, &host(), name).unwrap();
        assert_eq!(said.name.to_string(), "vpn.acme.org");
        assert_eq!((said.interface.as_str(), said.pools.len()), ("eth1", 1));
    }

    #[test]
    fn what_cannot_be_found_has_to_be_said() {
        let alone = Host::default();
        let error = facts(Given::default(), &alone, None).unwrap_err();
        assert!(matches!(error, InitError::NoDefaultRoute), "{error}");
        let other = Given {
            interface: Some("eth9".to_owned()),
            ..Given::default()
        };
        let error = facts(other, &host(), None).unwrap_err();
        assert!(matches!(error, InitError::NoInterface { .. }), "{error}");
        let taken = Given {
            pools: vec!["172.16.3.0/24".parse().unwrap()],
            ..Given::default()
        };
        let error = facts(taken, &host(), None).unwrap_err().to_string();
        assert!(error.contains("172.16.3.0/24, by 172.16.0.0/16"), "{error}");
    }

    #[test]
    fn everything_is_made_at_once_and_only_once() {
        let root = TempDir::new().unwrap();
        let directory = Directory::new(root.path().join("ikexdp"));
        let facts = facts(given("vpn.acme.org"), &host(), None).unwrap();
        let made = make(&directory, facts.clone(), unix_time()).unwrap();
        assert_eq!(made.loaded.path, directory.configuration());
        let cautions: Vec<_> = made
            .loaded
            .cautions
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(cautions, [""; 0]);
        let mode = |name: &str| {
            let metadata = fs::metadata(directory.file(name)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        for (name, expected) in [
            ("pki", 0o750),
            ("clients", 0o700),
            ("ikexdp.toml", 0o600),
            ("pki/ca.key", 0o600),
            ("pki/ca.pem", 0o644),
            ("pki/gateway-ecdsa.key", 0o600),
            ("pki/gateway-rsa.key", 0o600),
            ("pki/gateway-rsa.pem", 0o644),
            ("pki/clients.crl", 0o644),
            ("users.toml", 0o600),
            ("pki/clients.toml", 0o600),
        ] {
            assert_eq!(mode(name), expected, "{name}");
        }
        assert!(!directory.file(UNFINISHED).exists());
        let before = fs::read(directory.authority_key()).unwrap();
        let again = make(&directory, facts, unix_time())
            .unwrap_err()
            .to_string();
        for part in ["pki", "clients", "ikexdp.toml", "hint: "] {
            assert!(again.contains(part), "{again}");
        }
        assert_eq!(fs::read(directory.authority_key()).unwrap(), before);
    }

    #[test]
    fn the_example_of_the_package_makes_room() {
        let root = TempDir::new().unwrap();
        let directory = Directory::new(root.path().to_owned());
        let facts = facts(given("192.0.2.9"), &host(), None).unwrap();
        fs::write(directory.configuration(), EXAMPLE.replace("eth0", "wan0")).unwrap();
        let error = make(&directory, facts.clone(), unix_time()).unwrap_err();
        assert!(matches!(error, InitError::Occupied { .. }), "{error}");
        fs::write(directory.configuration(), EXAMPLE).unwrap();
        let made = make(&directory, facts, unix_time()).unwrap();
        assert!(!made.is_private());
        let text = fs::read_to_string(directory.configuration()).unwrap();
        assert!(text.contains("id = \"192.0.2.9\""), "{text}");
    }
}
