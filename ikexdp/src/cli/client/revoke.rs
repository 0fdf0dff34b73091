//! `ikexdp client revoke`.

use std::fs;
use std::io::Write;
use std::path::Path;

use clap::Args;
use ikexdp_proto::config::Requirement;
use ikexdp_proto::crypto::cert::{RevocationList, RevocationPolicy, Signer, TrustAnchors};
use ikexdp_proto::identity::Identity;

use super::{Daemon, Place, own, reload, trust};
use crate::cli::CliError;
use crate::cli::sas::pages;
use crate::clock::unix_time;
use crate::config::{self, EapMethod, Loaded, Proof};
use crate::control::{ClientError, Request, call};
use crate::pki::{Authority, Client, ClientName, Directory, Index, Kind, Users, replace_crl};
use crate::view::Sa;

#[derive(Args, Debug)]
pub(in crate::cli) struct Options {
    /// The client, as `ikexdp client list` shows it
    name: ClientName,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) fn execute(options: Options, out: &mut impl Write) -> Result<(), CliError> {
    let directory = Directory::new(options.place.directory);
    let client = revoke(&directory, &options.name)?;
    match client.kind {
        Kind::Certificate => writeln!(out, "revoked: {}, in the CRL now", client.name)?,
        Kind::Eap => writeln!(out, "revoked: {}, no user any more", client.name)?,
    }
    let loaded = config::load(&directory.configuration(), unix_time())?;
    if client.kind == Kind::Certificate {
        let own = own(&Authority::open(&directory)?);
        for name in own.iter().flat_map(|own| without_list(&loaded, own)) {
            writeln!(
                out,
                "warning: connection {name} does not look at the CRL, and still lets it in; hint: \
                 `remote.crl`, with {}",
                directory.file(Directory::CRL).display()
            )?;
        }
    }
    let socket = options
        .daemon
        .socket
        .unwrap_or(loaded.settings.control_socket);
    match close(&socket, &client) {
        Ok(closed) => writeln!(out, "closed: {closed} IKE SAs")?,
        Err(ClientError::NotRunning { .. }) => {
            writeln!(out, "the daemon does not run: there is nothing to close")?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Writes down that the client is none any more, and what follows from it. Whatever
/// is not done when this is cut short is done by the next one.
fn revoke(directory: &Directory, name: &ClientName) -> Result<Client, CliError> {
    let _locked = directory.lock()?;
    let now = unix_time().into();
    let mut index = Index::load(directory)?;
    let client = index.revoke(name, now)?;
    index.save(directory)?;
    match client.kind {
        Kind::Certificate => {
            let authority = Authority::open(directory)?;
            replace_crl(directory, &authority, &index, now)?;
        }
        Kind::Eap => {
            let mut users = Users::load(directory)?;
            users.remove(&client.name);
            users.save(directory)?;
        }
    }
    // A key that opens nothing any more; it may never have been there.
    let _ = fs::remove_dir_all(directory.client(&client.name));
    Ok(client)
}

/// The connections that trust `own`, our authority, whatever it has revoked, by IKE or
/// in EAP-TLS.
fn without_list<'a>(loaded: &'a Loaded, own: &TrustAnchors) -> impl Iterator<Item = &'a str> {
    let connections = loaded.settings.engine.connections.iter();
    let shown = connections.zip(&loaded.proofs);
    shown.filter_map(|(connection, proofs)| {
        let anchors = match (&connection.requirement, &proofs.remote) {
            (Requirement::Certificate(anchors), _) => anchors,
            (_, Proof::Eap(methods)) => methods.iter().find_map(|method| match method {
                EapMethod::Tls(authorities) => Some(&authorities.anchors),
                EapMethod::Mschapv2(_) | EapMethod::Radius(_) => None,
            })?,
            _ => return None,
        };
        let is_let_in = trust(anchors, own) && !looks(anchors, own);
        is_let_in.then_some(connection.name.as_str())
    })
}

/// Whether what `own` has revoked is no longer trusted. Its certificates name nobody
/// who could be asked, so that takes a list of its own, or leave for nobody without.
fn looks(anchors: &TrustAnchors, own: &TrustAnchors) -> bool {
    let revocation = anchors.revocation();
    let mut lists = revocation.lists.iter();
    let listed = lists.any(|list| {
        let mut list = RevocationList::clone(list);
        list.find_signer(own) == Signer::Anchor
    });
    match revocation.policy {
        RevocationPolicy::Off => false,
        RevocationPolicy::Relaxed => listed,
        RevocationPolicy::Strict => true,
    }
}

/// Has the daemon take note, and ends what the client has; how many IKE SAs that
/// were.
fn close(socket: &Path, client: &Client) -> Result<usize, ClientError> {
    reload(socket)?;
    let mut closed = 0_usize;
    for page in pages(socket) {
        for sa in page?.iter().filter(|sa| is_of(sa, client)) {
            match call::<()>(socket, &Request::Terminate { id: sa.id }) {
                // It may have ended by itself.
                Ok(()) | Err(ClientError::Refused(_)) => closed = closed.saturating_add(1),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(closed)
}

/// Whether the other end of `sa` is `client`: by its identity, or, like Windows, by
/// the name in its certificate.
fn is_of(sa: &Sa, client: &Client) -> bool {
    let Some(peer) = sa
        .identity
        .as_ref()
        .and_then(|it| it.parse::<Identity>().ok())
    else {
        return false;
    };
    let subject = format!("CN={}", client.name);
    [
        client.identity.as_str(),
        subject.as_str(),
        client.name.as_str(),
    ]
    .iter()
    .filter_map(|own| own.parse::<Identity>().ok())
    .any(|own| own.is_same_as(&peer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Moment;
    use crate::view::Fragmentation;

    fn sa(identity: Option<&str>) -> Sa {
        let address = "192.0.2.1:500".parse().unwrap();
        Sa {
            id: 1,
            state: "established".to_owned(),
            connection: None,
            role: "responder".to_owned(),
            local: address,
            remote: address,
            initiator_spi: String::new(),
            responder_spi: String::new(),
            identity: identity.map(str::to_owned),
            suite: None,
            age_s: 0,
            addresses: Vec::new(),
            fragmentation: Fragmentation {
                negotiated: true,
                datagram_len: 1280,
                received: 0,
                sent: 0,
            },
            children: Vec::new(),
        }
    }

    #[test]
    fn a_client_is_known_by_what_it_may_say_it_is() {
        let client = Client {
            name: "laptop".parse().unwrap(),
            kind: Kind::Certificate,
            platform: "windows".to_owned(),
            identity: "kim@example.com".to_owned(),
            serial: None,
            issued: Moment::from_seconds(0),
            expires: None,
            revoked: None,
        };
        for own in ["kim@example.com", "kim@EXAMPLE.com", "CN=laptop", "laptop"] {
            assert!(is_of(&sa(Some(own)), &client), "{own}");
        }
        for other in [
            "lee@example.com",
            "CN=tablet",
            "CN=laptop, O=x",
            "192.0.2.1",
        ] {
            assert!(!is_of(&sa(Some(other)), &client), "{other}");
        }
        assert!(!is_of(&sa(None), &client));
    }
}
