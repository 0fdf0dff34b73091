//! `ikexdp client add`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use ikexdp_eap::NtHash;
use ikexdp_proto::config::{AddressPool, Connection, RemoteSelectors, Requirement};
use ikexdp_proto::wire::payload::ts::TrafficSelector;
use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};
use zeroize::Zeroizing;

use super::{Daemon, Place, own, reload, trust};
use crate::cli::CliError;
use crate::clock::unix_time;
use crate::config::{self, EapMethod, Loaded, Settings};
use crate::control::ClientError;
use crate::pki::{
    self, Authority, Client, ClientName, Directory, GatewayName, Index, Kind, Moment, PkiError,
    Readers, Users, create, create_directory, password, uuid,
};
use crate::profiles::{ClientIdentity, Families, File, Platform, Profile, Proof};

/// How long a certificate is good for, in days.
const DAYS: u32 = 365;

#[derive(Args, Debug)]
pub(in crate::cli) struct Options {
    /// What to call the client
    name: ClientName,
    /// What the client is: `windows` 10 1809 or later; `apple`, for iOS, iPadOS and macOS; `android`
    /// with the strongSwan app; or `linux` with strongSwan
    #[arg(long = "for", value_name = "PLATFORM", hide_possible_values = true)]
    platform: Platform,
    /// Make a user with a password (EAP-MSCHAPv2) instead of a certificate
    #[arg(long)]
    eap: bool,
    /// The file with the password of the user; by default a random one is made
    #[arg(long, value_name = "FILE", requires = "eap")]
    password_file: Option<PathBuf>,
    /// Who the client says it is, a mail address or a host name; by default its name at the host name
    /// of the gateway
    #[arg(long, value_name = "IDENTITY", conflicts_with = "eap")]
    identity: Option<ClientIdentity>,
    /// For how many days the certificate is good
    #[arg(long, value_name = "DAYS", default_value_t = DAYS, conflicts_with = "eap",
        value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// A network that the client reaches through the tunnel, all else past it; by default what
    /// `local-networks` says
    #[arg(long = "split-tunnel", value_name = "NETWORK")]
    networks: Vec<IpNet>,
    /// The directory to write to, which must not be there; by default one for the client beside the
    /// configuration
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    daemon: Daemon,
}

/// Why there is no such client.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The configuration serves nobody with a certificate of this authority.
    #[error("no connection takes certificates of this authority; hint: give one `remote.ca`, with {}", authority.display())]
    NoConnection {
        /// The authority.
        authority: PathBuf,
    },
    /// The configuration serves nobody with a password of its own.
    #[error("no connection takes users by EAP-MSCHAPv2; hint: give one `remote.eap-users`, with {}", users.display())]
    NoUsers {
        /// The file of users.
        users: PathBuf,
    },
    /// The gateway has a name that profiles cannot have.
    #[error(
        "`local.id` is neither a host name nor an address: {identity}; hint: clients connect to it by that name"
    )]
    Gateway {
        /// What it is.
        identity: String,
    },
    /// The gateway does not take what the platform would offer.
    #[error(
        "the profile for {platform} would ask for {missing}, which this gateway does not take; \
         hint: `algorithms = \"compatible\"` in `[gateway]`"
    )]
    Algorithms {
        /// The platform.
        platform: Platform,
        /// What the gateway does not have.
        missing: String,
    },
    /// A file with a password cannot be read, or is empty.
    #[error("no password in {}; hint: it is the first line of the file", path.display())]
    Password {
        /// The file.
        path: PathBuf,
    },
}

pub(super) fn execute(options: Options, out: &mut impl Write) -> Result<(), CliError> {
    let directory = Directory::new(options.place.directory.clone());
    let now = unix_time();
    let authority = Authority::open(&directory)?;
    let loaded = config::load(&directory.configuration(), now)?;
    let connection = if options.eap {
        of_users(&loaded).ok_or_else(|| AddError::NoUsers {
            users: directory.file(Directory::USERS),
        })?
    } else {
        trusting(&loaded, &authority).ok_or_else(|| AddError::NoConnection {
            authority: directory.file(Directory::AUTHORITY),
        })?
    };
    let settings = &loaded.settings;
    let suite = options.platform.suite();
    if let Some(missing) = suite.missing(&settings.engine, connection) {
        let platform = options.platform;
        return Err(AddError::Algorithms { platform, missing }.into());
    }
    let identity = connection.local_identity.to_string();
    let Ok(gateway) = identity.parse::<GatewayName>() else {
        return Err(AddError::Gateway { identity }.into());
    };
    let context = Context {
        directory: &directory,
        authority: &authority,
        connection,
        pool: pool(settings, connection),
        gateway,
        now: now.into(),
    };
    let added = add(&options, &context)?;
    let (name, path) = (&options.name, added.path.display());
    writeln!(out, "added: {name}, as {}", added.identity)?;
    writeln!(out, "written to: {path}")?;
    for file in &added.files {
        writeln!(out, "  {file}")?;
    }
    if let Some(shown) = added.shown {
        let what = if options.eap {
            "password"
        } else {
            "password of the key"
        };
        writeln!(out, "{what}: {}", *shown)?;
        writeln!(out, "It is shown this once: tell it apart from the files.")?;
    }
    if options.eap {
        let socket = options.daemon.socket.as_ref();
        match reload(socket.unwrap_or(&settings.control_socket)) {
            // It reads its users when it starts.
            Ok(()) | Err(ClientError::NotRunning { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let next = options.platform.next().replace("NAME", &name.section());
    writeln!(out, "\nnext: {next}")?;
    writeln!(
        out,
        "Carry the files over by `scp` or on a medium, not by mail or chat: who has them is this client. Then delete them here."
    )?;
    Ok(())
}

/// What the client is added to.
struct Context<'a> {
    directory: &'a Directory,
    authority: &'a Authority,
    connection: &'a Connection,
    pool: Option<&'a AddressPool>,
    gateway: GatewayName,
    now: Moment,
}

/// What has come of it.
struct Added {
    identity: String,
    path: PathBuf,
    files: Vec<String>,
    /// A password that somebody must be told.
    shown: Option<Zeroizing<String>>,
}

/// Makes the client: all of it first, then its place in the list, then its files. If
/// it ends in between, it can be revoked, and made again.
fn add(options: &Options, context: &Context<'_>) -> Result<Added, CliError> {
    let Context { directory, .. } = context;
    let name = &options.name;
    let _locked = directory.lock()?;
    let mut index = Index::load(directory)?;
    let path = match &options.out {
        // Without what may stand behind the last name.
        Some(path) => path.components().collect(),
        None => directory.client(name),
    };
    if path.exists() {
        return Err(PkiError::Exists { path }.into());
    }
    let secret = match &options.password_file {
        Some(path) => first_line(path)?,
        None => password().map_err(PkiError::from)?,
    };
    let identity = match &options.identity {
        Some(identity) => identity.clone(),
        None => default_identity(name, &context.gateway),
    };
    let validity = (context.now, options.days);
    let certified = match options.eap {
        true => None,
        false => Some(pki::client(context.authority, name, &identity, validity)?),
    };
    let proof = match &certified {
        Some(certified) => Proof::Certificate {
            identity: &identity,
            certified,
            password: &secret,
        },
        None => Proof::Eap { password: &secret },
    };
    let files = files(options, context, proof)?;
    let identity = match options.eap {
        true => name.to_string(),
        false => identity.to_string(),
    };
    index.add(Client {
        name: name.clone(),
        kind: if options.eap {
            Kind::Eap
        } else {
            Kind::Certificate
        },
        platform: options.platform.to_string(),
        identity: identity.clone(),
        serial: certified.as_ref().map(|it| it.serial.clone()),
        issued: context.now,
        expires: certified.as_ref().map(|it| it.expires),
        revoked: None,
    })?;
    index.save(directory)?;
    if options.eap {
        let mut users = Users::load(directory)?;
        users.add(name, &NtHash::of(&secret));
        users.save(directory)?;
    }
    write(&path, &files)?;
    // For Linux it is in the files, if there is one; a password of one's own is known.
    let is_told = !matches!(options.platform, Platform::Linux);
    Ok(Added {
        identity,
        path,
        files: files.into_iter().map(|file| file.path).collect(),
        shown: Some(secret).filter(|_| is_told && options.password_file.is_none()),
    })
}

/// The connection of clients with certificates of `authority`.
fn trusting<'a>(loaded: &'a Loaded, authority: &Authority) -> Option<&'a Connection> {
    let own = own(authority)?;
    let mut connections = loaded.settings.engine.connections.iter();
    let found = connections.find(|connection| match &connection.requirement {
        Requirement::Certificate(anchors) => trust(anchors, &own),
        Requirement::SharedKey(_) | Requirement::Eap(_) => false,
    });
    found.map(|connection| &**connection)
}

/// The connection of clients with passwords that the gateway knows.
fn of_users(loaded: &Loaded) -> Option<&Connection> {
    let connections = &loaded.settings.engine.connections;
    let mut shown = connections.iter().zip(&loaded.proofs);
    let found = shown.find(|(_, proofs)| match &proofs.remote {
        config::Proof::Eap(methods) => methods
            .iter()
            .any(|method| matches!(method, EapMethod::Mschapv2(_))),
        config::Proof::SharedKey | config::Proof::Certificates(_) => false,
    });
    found.map(|(connection, _)| &**connection)
}

fn pool<'a>(settings: &'a Settings, connection: &Connection) -> Option<&'a AddressPool> {
    match &connection.child.remote {
        RemoteSelectors::Pool(name) => settings.engine.pool(name),
        RemoteSelectors::Fixed(_) => None,
    }
}

fn files(
    options: &Options,
    context: &Context<'_>,
    proof: Proof<'_>,
) -> Result<Vec<File>, CliError> {
    let networks = match options.networks.as_slice() {
        [] => networks(&context.connection.child.local),
        networks => Some(networks.to_vec()),
    };
    let make_uuid = || uuid().map_err(PkiError::from);
    let pool = context.pool;
    let profile = Profile {
        name: &options.name,
        gateway: &context.gateway,
        authority: context.authority,
        proof,
        networks: networks.as_deref(),
        families: Families {
            v4: pool.is_none_or(|pool| pool.v4.is_some()),
            v6: pool.is_some_and(|pool| pool.v6.is_some()),
        },
        domain: pool
            .and_then(|pool| pool.domains.first())
            .map(String::as_str),
        uuids: [make_uuid()?, make_uuid()?, make_uuid()?, make_uuid()?],
    };
    Ok(options.platform.files(&profile)?)
}

/// What clients reach; `None` is everything.
fn networks(selectors: &[TrafficSelector]) -> Option<Vec<IpNet>> {
    let mut networks: Vec<IpNet> = Vec::new();
    for selector in selectors {
        match (selector.start, selector.end) {
            (start, end) if start == end => networks.push(start.into()),
            (std::net::IpAddr::V4(start), std::net::IpAddr::V4(end)) => {
                networks.extend(IpSubnets::from(Ipv4Subnets::new(start, end, 0)));
            }
            (std::net::IpAddr::V6(start), std::net::IpAddr::V6(end)) => {
                networks.extend(IpSubnets::from(Ipv6Subnets::new(start, end, 0)));
            }
            // There is no such selector.
            _ => {}
        }
    }
    let is_everything = networks.iter().any(|net| net.prefix_len() == 0);
    (!is_everything).then_some(networks)
}

/// The client's name at the host of the gateway; where that is an address, the name.
fn default_identity(name: &ClientName, gateway: &GatewayName) -> ClientIdentity {
    let own = name.as_str().parse();
    match (own, gateway.host()) {
        // It is a mail address.
        (Ok(identity @ ClientIdentity::Email(_)), _) => identity,
        (_, Some(host)) => ClientIdentity::Email(format!("{name}@{host}")),
        (Ok(identity), None) => identity,
        // RFC 6761: a name that is nobody's.
        (Err(_), None) => ClientIdentity::Email(format!("{name}@vpn.invalid")),
    }
}

/// Writes the files into a directory that appears as a whole.
fn write(path: &Path, files: &[File]) -> Result<(), CliError> {
    if let Some(parent) = path.parent()
        && !parent.as_os_str().is_empty()
        && !parent.exists()
    {
        create_directory(parent, Readers::Owner)?;
    }
    // A name that nothing else has: what it would replace is somebody else's.
    let unfinished = path.with_file_name(format!(".ikexdp-{}", uuid().map_err(PkiError::from)?));
    create_directory(&unfinished, Readers::Owner)?;
    for file in files {
        let mut directory = unfinished.clone();
        let mut parts: Vec<_> = file.path.split('/').collect();
        let name = parts.pop().unwrap_or_default();
        for part in parts {
            directory.push(part);
            if !directory.exists() {
                create_directory(&directory, Readers::Owner)?;
            }
        }
        create(&directory.join(name), &file.content, Readers::Owner)?;
    }
    fs::rename(&unfinished, path).map_err(|source| {
        let path = path.to_owned();
        PkiError::Write { path, source }
    })?;
    Ok(())
}

fn first_line(path: &Path) -> Result<Zeroizing<String>, AddError> {
    let read = fs::read_to_string(path).map(Zeroizing::new);
    let text = read.unwrap_or_default();
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(AddError::Password {
            path: path.to_owned(),
        }),
    }
}
