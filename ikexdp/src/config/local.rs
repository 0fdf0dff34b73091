//! How we prove who we are: by a shared key, or by certificates.

use std::path::PathBuf;
use std::sync::Arc;

use ikexdp_proto::config::{Connection, Credential, IkeAlgorithms};
use ikexdp_proto::crypto::cert::CertifiedKey;
use ikexdp_proto::crypto::sign::{SigningKey, Verifier};
use ikexdp_proto::identity::Identity;
use ikexdp_proto::profile::Profile;
use toml::Spanned;

use super::caution::Caution;
use super::certificate::{CertificateSummary, Parsed};
use super::context::Context;
use super::credential::{Source, certificates, private_key, shared_key, sole};
use super::fault::Fault;
use super::file::{self, Local};
use super::problem::Key;

/// How we prove who we are, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnProof {
    /// By a shared key.
    SharedKey,
    /// By one of these certificates: each chain as it is sent.
    Certificates(Vec<Vec<CertificateSummary>>),
}

/// A certificate of ours with its key, and its chain for people.
type Certified = (Arc<CertifiedKey>, Vec<CertificateSummary>);

/// How we prove that we are `identity`.
pub(super) fn credential(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    local: &Spanned<Local>,
    identity: Option<&Identity>,
) -> Option<(Credential, OwnProof)> {
    let table = local.get_ref();
    if let Some(several) = &table.certificates {
        return certified_keys(cx, key, table, several, identity);
    }
    let given = [
        (
            "local.certificate",
            table.certificate.as_ref().map(Source::Certificates),
        ),
        ("local.secret", table.secret.as_ref().map(Source::Secret)),
        (
            "local.secret-file",
            table.secret_file.as_ref().map(Source::SecretFile),
        ),
    ];
    let example = "certificate = \"gateway.pem\", key = \"gateway.key\"";
    match sole(cx, key, ("local", local.span()), given, example)? {
        (_, Source::Certificates(certificate)) => {
            let Some(private_key) = &table.key else {
                let example = "key = \"gateway.key\"";
                let fault = Fault::Missing { example };
                return cx.problems.fault(&key.at("local.key"), local.span(), fault);
            };
            let keys = [key.at("local.certificate"), key.at("local.key")];
            let certified = certified_key(cx, &keys, certificate, private_key, identity);
            Some(shown(vec![certified?]))
        }
        (name, secret) => {
            if let Some(private_key) = &table.key {
                let fault = Fault::Both { other: name };
                return cx
                    .problems
                    .fault(&key.at("local.key"), private_key.span(), fault);
            }
            let secret = shared_key(cx, &key.at(name), &secret)?;
            Some((Credential::SharedKey(secret), OwnProof::SharedKey))
        }
    }
}

/// Notes what Windows and Apple's clients, for whom one takes another profile than
/// `modern`, cannot verify.
pub(super) fn consider_verifiers(
    cx: &mut Context<'_>,
    tables: &[Spanned<file::Connection>],
    connections: &[Arc<Connection>],
    profile: Profile,
    ike: &IkeAlgorithms,
) {
    if profile == Profile::Modern {
        return;
    }
    let legacy = Verifier {
        rsa_sha1: ike.rsa_sha1,
        ..Verifier::default()
    };
    for connection in connections {
        let Credential::Certificates(keys) = &connection.credential else {
            continue;
        };
        let mut keys = keys.iter().map(|it| it.key());
        let table = file::table(tables, &connection.name);
        if let (Some(table), true) = (table, keys.all(|key| key.scheme(&legacy).is_none())) {
            let key = Key::named("connection", &connection.name);
            let span = table.local.span();
            cx.problems
                .caution(&key.at("local"), span, Caution::Unverifiable);
        }
    }
}

/// Reads each of several certificates with its key.
fn certified_keys(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    local: &Local,
    several: &Spanned<Vec<file::CertifiedKey>>,
    identity: Option<&Identity>,
) -> Option<(Credential, OwnProof)> {
    let other = "local.certificates";
    let instead = [
        (
            "local.certificate",
            local.certificate.as_ref().map(Spanned::span),
        ),
        ("local.key", local.key.as_ref().map(Spanned::span)),
        ("local.secret", local.secret.as_ref().map(Spanned::span)),
        (
            "local.secret-file",
            local.secret_file.as_ref().map(Spanned::span),
        ),
    ];
    for (name, span) in instead {
        if let Some(span) = span {
            let fault = Fault::Both { other };
            return cx.problems.fault(&key.at(name), span, fault);
        }
    }
    let at = key.at(other);
    if several.get_ref().is_empty() {
        let example = "certificates = [{ certificate = \"gateway.pem\", key = \"gateway.key\" }]";
        return cx
            .problems
            .fault(&at, several.span(), Fault::Empty { example });
    }
    // Each is looked at, even if one before it is no good.
    let certified: Vec<_> = several
        .get_ref()
        .iter()
        .map(|it| {
            certified_key(
                cx,
                &[key.at(other), key.at(other)],
                &it.certificate,
                &it.key,
                identity,
            )
        })
        .collect();
    Some(shown(certified.into_iter().collect::<Option<_>>()?))
}

fn shown(certified: Vec<Certified>) -> (Credential, OwnProof) {
    let (keys, chains) = certified.into_iter().unzip();
    (
        Credential::Certificates(keys),
        OwnProof::Certificates(chains),
    )
}

/// Reads one certificate with its key.
fn certified_key(
    cx: &mut Context<'_>,
    [key, private_key_key]: &[Key<'_>; 2],
    certificate: &Spanned<PathBuf>,
    private_key: &Spanned<PathBuf>,
    identity: Option<&Identity>,
) -> Option<Certified> {
    // Both files are looked at, even if the first is no good.
    let chain = certificates(cx, key, certificate);
    let signing_key = signing_key(cx, private_key_key, private_key);
    let ((path, chain), signing_key) = (chain?, signing_key?);
    let certified = match CertifiedKey::new(chain, signing_key) {
        Ok(certified) => certified,
        Err(source) => {
            let fault = Fault::Certificate { path, source };
            return cx.problems.fault(key, certificate.span(), fault);
        }
    };
    let parsed = Parsed::all(certified.chain());
    check_chain(cx, key, certificate, &parsed);
    if let Some(identity) = identity.filter(|identity| !certified.asserts(identity)) {
        let names: Vec<_> = certified.names().iter().map(Identity::to_string).collect();
        let fault = Fault::NotAsserted {
            identity: identity.to_string(),
            path,
            names: names.join(", "),
        };
        return cx.problems.fault(key, certificate.span(), fault);
    }
    let summaries = parsed.iter().map(Parsed::summary).collect();
    Some((Arc::new(certified), summaries))
}

/// Notes what clients will not like about the chain.
fn check_chain(cx: &mut Context<'_>, key: &Key<'_>, file: &Spanned<PathBuf>, chain: &[Parsed]) {
    let path = cx.resolve(file.get_ref());
    if chain.first().is_some_and(|leaf| !leaf.is_for_servers()) {
        let path = path.clone();
        cx.problems
            .caution(key, file.span(), Caution::NoServerAuth { path });
    }
    for certificate in chain {
        if let Some(caution) = certificate.untimely(&path, cx.now) {
            cx.problems.caution(key, file.span(), caution);
        }
    }
    let pairs = chain.iter().zip(chain.iter().skip(1));
    for (place, (certificate, issuer)) in (1..).zip(pairs) {
        if !certificate.is_issued_by(issuer) {
            let path = path.clone();
            cx.problems
                .caution(key, file.span(), Caution::BrokenChain { path, place });
        }
    }
}

fn signing_key(cx: &mut Context<'_>, key: &Key<'_>, file: &Spanned<PathBuf>) -> Option<SigningKey> {
    let (path, der) = private_key(cx, key, file)?;
    match SigningKey::from_der(&der) {
        Ok(signing_key) => Some(signing_key),
        Err(_) => cx
            .problems
            .fault(key, file.span(), Fault::PrivateKey { path }),
    }
}
