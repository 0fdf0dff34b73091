//! How peers prove who they are, and what files say of that: shared keys, certificates,
//! authorities.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use ikexdp_proto::config::Requirement;
use ikexdp_proto::crypto::cert::TrustAnchors;
use ikexdp_proto::crypto::shared_key::SharedKey;
use ikexdp_proto::types::Secret;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use toml::Spanned;

use super::caution::Caution;
use super::certificate::{CertificateSummary, Parsed};
use super::context::Context;
use super::eap::{EapMethod, Ourselves, eap};
use super::fault::Fault;
use super::file::{Remote, SecretText};
use super::problem::Key;
use super::revocation::{no_revocation, revocation};

/// Octets of a shared key below which it can be guessed: 22 characters of
/// base64 are the first to carry 128 bits.
const SECRET_LEN_MIN: usize = 22;

/// How a peer proves who it is, for people.
#[derive(Clone, Debug)]
pub enum Proof {
    /// By a shared key.
    SharedKey,
    /// By a certificate of one of these authorities.
    Certificates(Vec<CertificateSummary>),
    /// By EAP, in one of these ways.
    Eap(Vec<EapMethod>),
}

/// How a peer must prove who it is.
pub(super) fn requirement(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    remote: &Spanned<Remote>,
    ourselves: &Ourselves<'_>,
) -> Option<(Requirement, Proof)> {
    let table = remote.get_ref();
    if table.wants_eap() {
        return eap(cx, key, remote, ourselves);
    }
    let without_eap = [
        ("remote.groups", table.groups.as_ref().map(Spanned::span)),
        ("remote.eap-alone", table.eap_alone.map(|_| remote.span())),
    ];
    for (name, span) in without_eap {
        if let Some(span) = span {
            cx.problems
                .fault::<()>(&key.at(name), span, Fault::WithoutEap);
        }
    }
    let given = [
        ("remote.ca", table.ca.as_ref().map(Source::Certificates)),
        ("remote.secret", table.secret.as_ref().map(Source::Secret)),
        (
            "remote.secret-file",
            table.secret_file.as_ref().map(Source::SecretFile),
        ),
    ];
    match sole(cx, key, ("remote", remote.span()), given, "ca = \"ca.pem\"")? {
        (name, Source::Certificates(file)) => {
            let (anchors, summaries) = authorities(cx, &key.at(name), file)?;
            let anchors = revocation(cx, key, table, anchors)?;
            let requirement = Requirement::Certificate(Arc::new(anchors));
            Some((requirement, Proof::Certificates(summaries)))
        }
        (name, secret) => {
            no_revocation(cx, key, table);
            let secret = shared_key(cx, &key.at(name), &secret)?;
            Some((Requirement::SharedKey(secret), Proof::SharedKey))
        }
    }
}

/// Where a proof, or a secret, comes from.
pub(super) enum Source<'a> {
    Certificates(&'a Spanned<PathBuf>),
    Secret(&'a SecretText),
    SecretFile(&'a Spanned<PathBuf>),
}

impl Source<'_> {
    pub(super) fn span(&self) -> Range<usize> {
        match self {
            Self::Certificates(path) | Self::SecretFile(path) => path.span(),
            Self::Secret(text) => text.span(),
        }
    }
}

/// The one source that is given, and the key that gives it.
pub(super) fn sole<'a, const N: usize>(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    (table, span): (&str, Range<usize>),
    given: [(&'static str, Option<Source<'a>>); N],
    example: &'static str,
) -> Option<(&'static str, Source<'a>)> {
    let mut given = given
        .into_iter()
        .filter_map(|(name, source)| Some((name, source?)));
    let Some((name, source)) = given.next() else {
        let fault = Fault::Missing { example };
        return cx.problems.fault(&key.at(table), span, fault);
    };
    if let Some((other, _)) = given.next() {
        let fault = Fault::Both { other };
        return cx.problems.fault(&key.at(name), source.span(), fault);
    }
    Some((name, source))
}

pub(super) fn shared_key(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    source: &Source<'_>,
) -> Option<SharedKey> {
    let secret = secret(cx, key, source)?;
    let length = secret.expose().len();
    if length < SECRET_LEN_MIN {
        let caution = Caution::ShortSecret { length };
        cx.problems.caution(key, source.span(), caution);
    }
    Some(SharedKey::new(secret.expose()))
}

/// A secret that is not empty.
pub(super) fn secret(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    source: &Source<'_>,
) -> Option<Secret<Vec<u8>>> {
    let octets = match source {
        Source::Secret(text) => {
            cx.check_permissions(key, text.span(), cx.path);
            text.get_ref().as_bytes().to_vec()
        }
        Source::SecretFile(path) | Source::Certificates(path) => {
            let (_, mut content) = cx.read_secret(key, path)?;
            // An editor ends the last line; nobody means that as a secret.
            let length = content.trim_ascii_end().len();
            content.truncate(length);
            std::mem::take(&mut *content)
        }
    };
    let secret = Secret::new(octets);
    if secret.expose().is_empty() {
        let example = "secret-file = \"staff.secret\"";
        let fault = Fault::Empty { example };
        return cx.problems.fault(key, source.span(), fault);
    }
    Some(secret)
}

pub(super) fn authorities(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    file: &Spanned<PathBuf>,
) -> Option<(TrustAnchors, Vec<CertificateSummary>)> {
    let (path, certificates) = certificates(cx, key, file)?;
    let parsed = Parsed::all(&certificates);
    for certificate in &parsed {
        if !certificate.is_authority() {
            let subject = certificate.subject();
            let fault = Fault::NotAuthority { subject, path };
            return cx.problems.fault(key, file.span(), fault);
        }
        if let Some(caution) = certificate.untimely(&path, cx.now) {
            cx.problems.caution(key, file.span(), caution);
        }
    }
    match TrustAnchors::new(&certificates) {
        Ok(anchors) => Some((anchors, parsed.iter().map(Parsed::summary).collect())),
        Err(source) => {
            let fault = Fault::Certificate { path, source };
            cx.problems.fault(key, file.span(), fault)
        }
    }
}

pub(super) fn certificates(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    file: &Spanned<PathBuf>,
) -> Option<(PathBuf, Vec<CertificateDer<'static>>)> {
    let (path, content) = cx.read(key, file)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Some((path, certificates)),
        _ => {
            let kind = "certificate";
            cx.problems
                .fault(key, file.span(), Fault::NotPem { path, kind })
        }
    }
}

pub(super) fn private_key(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    file: &Spanned<PathBuf>,
) -> Option<(PathBuf, PrivateKeyDer<'static>)> {
    const ENCRYPTED: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];

    let (path, content) = cx.read_secret(key, file)?;
    let contains = |text: &&[u8]| content.windows(text.len()).any(|window| window == *text);
    if ENCRYPTED.iter().any(contains) {
        let fault = Fault::EncryptedKey { path };
        return cx.problems.fault(key, file.span(), fault);
    }
    match PrivateKeyDer::from_pem_slice(&content) {
        Ok(der) => Some((path, der)),
        Err(_) => {
            let kind = "private key";
            cx.problems
                .fault(key, file.span(), Fault::NotPem { path, kind })
        }
    }
}
