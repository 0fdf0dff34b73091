//! Peers that prove by EAP who they are.

use std::fmt;
use std::path::PathBuf;
use std::str;
use std::sync::Arc;

use ikexdp_eap::{LocalAuthenticator, Methods, TlsSettings, Users, client_verifier};
use ikexdp_proto::config::{Connection, Credential, EapRequirement, Requirement};
use ikexdp_proto::crypto::cert::{CertifiedKey, TrustAnchors};
use ikexdp_proto::crypto::sign::SigningKey;
use ikexdp_proto::eap::Authenticator;
use ikexdp_proto::identity::Identity;
use toml::Spanned;

use super::caution::Caution;
use super::certificate::CertificateSummary;
use super::context::Context;
use super::credential::{Proof, authorities, certificates, private_key};
use super::fault::Fault;
use super::file::{self, Local, Remote};
use super::problem::Key;
use super::revocation::{no_revocation, revocation};
use crate::listed::Listed;
use crate::radius::Radius;

/// A way to prove by EAP who one is, for people.
#[derive(Clone, Debug)]
pub enum EapMethod {
    /// By a certificate of one of these authorities.
    Tls(TlsAuthorities),
    /// By the password of one of so many users.
    Mschapv2(usize),
    /// By what the servers of this table want.
    Radius(String),
}

/// Whose certificates are taken in EAP-TLS.
#[derive(Clone, Debug)]
pub struct TlsAuthorities {
    /// They, and what they have revoked.
    pub anchors: Arc<TrustAnchors>,
    /// The same for people.
    pub summaries: Vec<CertificateSummary>,
}

/// Who we are, as far as it is known.
pub(super) struct Ourselves<'a> {
    pub(super) local: &'a Spanned<Local>,
    pub(super) identity: Option<&'a Identity>,
    pub(super) credential: Option<&'a Credential>,
    pub(super) radius: &'a [Arc<Radius>],
}

impl Remote {
    /// The keys of EAP that are given.
    fn eap_keys(&self) -> impl Iterator<Item = &'static str> {
        [
            self.eap_users.as_ref().map(|_| "remote.eap-users"),
            self.eap_ca.as_ref().map(|_| "remote.eap-ca"),
            self.eap_radius.as_ref().map(|_| "remote.eap-radius"),
        ]
        .into_iter()
        .flatten()
    }

    /// Whether peers are to use EAP.
    pub(super) fn wants_eap(&self) -> bool {
        self.eap_keys().next().is_some()
    }
}

/// How a peer must prove by EAP who it is.
pub(super) fn eap(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    remote: &Spanned<Remote>,
    ourselves: &Ourselves<'_>,
) -> Option<(Requirement, Proof)> {
    let table = remote.get_ref();
    let other = [
        ("remote.ca", table.ca.as_ref().map(Spanned::span)),
        ("remote.secret", table.secret.as_ref().map(Spanned::span)),
        (
            "remote.secret-file",
            table.secret_file.as_ref().map(Spanned::span),
        ),
    ];
    for (name, span) in other {
        if let Some(span) = span {
            let other = table.eap_keys().next().unwrap_or("remote.eap-users");
            let fault = Fault::Both { other };
            cx.problems.fault::<()>(&key.at(name), span, fault);
        }
    }
    if table.eap_ca.is_none() {
        no_revocation(cx, key, table);
    }
    if let (Some(alone), Some(_)) = (table.eap_alone, &table.eap_users)
        && alone
    {
        let at = &key.at("remote.eap-alone");
        return cx.problems.fault(at, remote.span(), Fault::GuessableAlone);
    }
    if let (Some(groups), None) = (&table.groups, &table.eap_radius) {
        let at = &key.at("remote.groups");
        return cx.problems.fault(at, groups.span(), Fault::NoGroups);
    }
    let groups = match &table.groups {
        Some(groups) if groups.get_ref().is_empty() => {
            let example = "groups = [\"staff\"]";
            let fault = Fault::Empty { example };
            let key = key.at("remote.groups");
            return cx.problems.fault(&key, groups.span(), fault);
        }
        Some(groups) => groups.get_ref().iter(),
        None => [].iter(),
    };
    if let Some(Credential::SharedKey(_)) = ourselves.credential {
        let span = ourselves.local.span();
        return cx
            .problems
            .fault(&key.at("local"), span, Fault::EapNeedsCertificate);
    }
    let (authenticator, shown) = authenticator(cx, key, table, ourselves)?;
    let requirement = EapRequirement {
        authenticator,
        alone: table.eap_alone.unwrap_or_default(),
        groups: groups.map(|group| group.get_ref().clone()).collect(),
    };
    Some((Requirement::Eap(requirement), Proof::Eap(shown)))
}

/// Notes connections with users of their own that nobody gets to: a peer does not say
/// who it is before it has been asked, and the first connection asks.
pub(super) fn consider_order(
    cx: &mut Context<'_>,
    tables: &[Spanned<file::Connection>],
    connections: &[Arc<Connection>],
) {
    for (place, connection) in connections.iter().enumerate() {
        let Requirement::Eap(requirement) = &connection.requirement else {
            continue;
        };
        let mut before = connections.iter().take(place);
        let asks_first = before.find(|other| {
            let is_called_so = other.local_identity.is_same_as(&connection.local_identity);
            matches!(&other.requirement, Requirement::Eap(it)
                if is_called_so && !Arc::ptr_eq(&it.authenticator, &requirement.authenticator))
        });
        let table = file::table(tables, &connection.name);
        if let (Some(other), Some(table)) = (asks_first, table) {
            let key = Key::named("connection", &connection.name);
            let span = table.remote.span();
            let other = other.name.clone();
            let caution = Caution::NeverAsked { other };
            cx.problems.caution(&key.at("remote"), span, caution);
        }
    }
}

/// Who knows the peers.
fn authenticator(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    table: &Remote,
    ourselves: &Ourselves<'_>,
) -> Option<(Arc<dyn Authenticator>, Vec<EapMethod>)> {
    if let Some(name) = &table.eap_radius {
        let at = &key.at("remote.eap-radius");
        let other = table.eap_keys().find(|key| *key != "remote.eap-radius");
        if let Some(other) = other {
            return cx.problems.fault(at, name.span(), Fault::Both { other });
        }
        let mut tables = ourselves.radius.iter();
        let Some(radius) = tables.find(|it| it.settings().name == *name.get_ref()) else {
            let known: Vec<_> = ourselves
                .radius
                .iter()
                .map(|it| it.settings().name.as_str())
                .collect();
            let fault = Fault::UnknownRadius {
                name: name.get_ref().clone(),
                known: known.join(", "),
            };
            return cx.problems.fault(at, name.span(), fault);
        };
        let shown = EapMethod::Radius(name.get_ref().clone());
        return Some((Arc::clone(radius) as Arc<dyn Authenticator>, vec![shown]));
    }
    // Both files are looked at, even if the first is no good.
    let users = table.eap_users.as_ref();
    let users = users.map(|file| self::users(cx, &key.at("remote.eap-users"), file));
    let tls = table.eap_ca.as_ref();
    let tls = tls.map(|file| self::tls(cx, key, (table, file), ourselves));
    let (mut methods, mut shown) = (Methods::default(), Vec::new());
    if let Some(tls) = tls {
        let (settings, authorities) = tls?;
        shown.push(EapMethod::Tls(authorities));
        methods.tls = Some(settings);
    }
    if let Some(users) = users {
        let users = users?;
        shown.push(EapMethod::Mschapv2(users.len()));
        methods.mschapv2 = Some(Arc::new(users));
    }
    let name = ourselves.identity?.to_string();
    Some((Arc::new(LocalAuthenticator::new(methods, &name)), shown))
}

fn users(cx: &mut Context<'_>, key: &Key<'_>, file: &Spanned<PathBuf>) -> Option<Users> {
    let (path, content) = cx.read_secret(key, file)?;
    // What is no text has no users, and the first line is as wrong as any.
    let text = str::from_utf8(&content).unwrap_or("\0");
    match Users::parse(text) {
        Ok(users) => Some(users),
        Err(source) => cx
            .problems
            .fault(key, file.span(), Fault::Users { path, source }),
    }
}

fn tls(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    (table, file): (&Remote, &Spanned<PathBuf>),
    ourselves: &Ourselves<'_>,
) -> Option<(TlsSettings, TlsAuthorities)> {
    let at = &key.at("remote.eap-ca");
    let (path, roots) = certificates(cx, at, file)?;
    let (anchors, summaries) = authorities(cx, at, file)?;
    let anchors = revocation(cx, key, table, anchors)?;
    let fetch = table.fetch_revocation.as_ref();
    if let Some(fetch) = fetch.filter(|fetch| *fetch.get_ref()) {
        let at = &key.at("remote.fetch-revocation");
        return cx.problems.fault(at, fetch.span(), Fault::EapFetches);
    }
    // What is wrong with it has been said.
    let Credential::Certificates(keys) = ourselves.credential? else {
        return None;
    };
    // TLS has ways of its own to choose; clients of EAP-TLS get the first it can use.
    let files = ourselves.local.get_ref().keys();
    let usable = |(certified, _): &(&Arc<CertifiedKey>, &Spanned<PathBuf>)| {
        !matches!(certified.key(), SigningKey::EcdsaP521(_))
    };
    let Some((certified, private_key_file)) = keys.iter().zip(files).find(usable) else {
        let span = ourselves.local.span();
        return cx.problems.fault(&key.at("local"), span, Fault::TlsKey);
    };
    let (_, private_key) = private_key(cx, &key.at("local.key"), private_key_file)?;
    let settings = client_verifier(&roots)
        .and_then(|verifier| TlsSettings::new(certified.chain().to_vec(), private_key, verifier));
    match settings {
        Ok(settings) => {
            let anchors = Arc::new(anchors);
            let settings = settings.judged_by(Arc::clone(&anchors));
            let authorities = TlsAuthorities { anchors, summaries };
            Some((settings, authorities))
        }
        Err(source) => cx
            .problems
            .fault(at, file.span(), Fault::Tls { path, source }),
    }
}

impl fmt::Display for EapMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(authorities) => {
                let shown = Listed(&authorities.summaries);
                write!(f, "by EAP-TLS a certificate of {shown}")
            }
            Self::Radius(table) => write!(f, "by EAP what the servers of {table} want"),
            Self::Mschapv2(users) => write!(f, "by EAP-MSCHAPv2 a password; users: {users}"),
        }
    }
}
