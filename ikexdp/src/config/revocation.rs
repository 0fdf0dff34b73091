//! Which certificates of an authority are not trusted.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::sync::Arc;

use ikexdp_proto::crypto::cert::{
    Revocation, RevocationList, RevocationListError, RevocationPolicy, Signer, TrustAnchors,
};
use ikexdp_proto::limits::REVOCATION_LIST_LEN_MAX;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use toml::Spanned;

use super::algorithms::choice;
use super::caution::Caution;
use super::context::Context;
use super::file::Remote;
use super::problem::Key;
use crate::listed::Listed;

/// What is said about revoked certificates cannot be.
#[derive(Debug, thiserror::Error)]
pub enum RevocationFault {
    /// A revocation list cannot be used.
    #[error("{source}: {}", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RevocationListError,
    },
    /// A revocation list is signed by somebody else than its issuer.
    #[error("not signed by the authority of that name: {list}: {}", path.display())]
    ForgedList {
        /// Whose list it says it is.
        list: String,
        /// The file.
        path: PathBuf,
    },
    /// Nobody could come, for nothing says who is not revoked.
    #[error("nothing says which certificates are revoked, so that none would be taken")]
    NoRevocationSource,
    /// Only certificates can be revoked.
    #[error("means nothing without `remote.ca` or `remote.eap-ca`")]
    NoCertificates,
}

/// `anchors` with what is said about what they have revoked.
pub(super) fn revocation(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    table: &Remote,
    anchors: TrustAnchors,
) -> Option<TrustAnchors> {
    let files = table.crl.iter().flat_map(Spanned::get_ref);
    // Every file is looked at, even if the first is no good.
    let lists: Vec<_> = files.map(|file| lists(cx, key, file, &anchors)).collect();
    let given = table.revocation.as_ref();
    let fetch = table.fetch_revocation.as_ref();
    let fetches = fetch.is_some_and(|fetch| *fetch.get_ref());
    let policy = match given {
        Some(text) => choice(
            cx,
            &key.at("remote.revocation"),
            text,
            &RevocationPolicy::ALL,
        )?,
        None if fetches || !lists.is_empty() => RevocationPolicy::Relaxed,
        None => RevocationPolicy::Off,
    };
    match (policy, given) {
        (RevocationPolicy::Strict, Some(text)) if lists.is_empty() && !fetches => {
            let key = key.at("remote.revocation");
            return cx.problems.fault(
                &key,
                text.span(),
                RevocationFault::NoRevocationSource.into(),
            );
        }
        (RevocationPolicy::Off, Some(_)) => {
            let crl = table.crl.as_ref().map(|it| ("remote.crl", it.span()));
            let fetch = fetch.filter(|_| fetches);
            let fetch = fetch.map(|it| ("remote.fetch-revocation", it.span()));
            for (name, span) in crl.into_iter().chain(fetch) {
                cx.problems
                    .caution(&key.at(name), span, Caution::RevocationOff);
            }
        }
        _ => {}
    }
    let lists: Option<Vec<_>> = lists.into_iter().collect();
    Some(anchors.with_revocation(Revocation {
        policy,
        lists: lists?.into_iter().flatten().collect(),
        fetch: fetches,
    }))
}

/// Notes what is said about certificates where there are none.
pub(super) fn no_revocation(cx: &mut Context<'_>, key: &Key<'_>, table: &Remote) {
    let given = [
        ("remote.crl", table.crl.as_ref().map(Spanned::span)),
        (
            "remote.revocation",
            table.revocation.as_ref().map(Spanned::span),
        ),
        (
            "remote.fetch-revocation",
            table.fetch_revocation.as_ref().map(Spanned::span),
        ),
    ];
    for (name, span) in given {
        if let Some(span) = span {
            let _: Option<()> =
                cx.problems
                    .fault(&key.at(name), span, RevocationFault::NoCertificates.into());
        }
    }
}

/// The lists in a file.
fn lists(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    file: &Spanned<PathBuf>,
    anchors: &TrustAnchors,
) -> Option<Vec<Arc<RevocationList>>> {
    /// Base64 takes a third more, line ends some more.
    const LEN_MAX: u64 = (REVOCATION_LIST_LEN_MAX as u64)
        .saturating_mul(3)
        .div_ceil(2);

    let key = &key.at("remote.crl");
    let (path, content) = cx.read_up_to(LEN_MAX, key, file)?;
    let mut lists = match read(&content) {
        Ok(lists) => lists,
        Err(source) => {
            let fault = RevocationFault::List { path, source };
            return cx.problems.fault(key, file.span(), fault.into());
        }
    };
    for list in &mut lists {
        if list.find_signer(anchors) == Signer::Namesake {
            let list = list.to_string();
            let fault = RevocationFault::ForgedList { list, path };
            return cx.problems.fault(key, file.span(), fault.into());
        }
        if list.next_update() <= cx.now {
            let (list, path) = (list.to_string(), path.clone());
            let caution = Caution::OldList { list, path };
            cx.problems.caution(key, file.span(), caution);
        }
    }
    Some(lists.into_iter().map(Arc::new).collect())
}

/// Reads lists in PEM, or one in DER.
fn read(content: &[u8]) -> Result<Vec<RevocationList>, RevocationListError> {
    let blocks = CertificateRevocationListDer::pem_slice_iter(content);
    let blocks: Vec<_> = blocks
        .collect::<Result<_, _>>()
        .map_err(|_| RevocationListError::Unreadable)?;
    if blocks.is_empty() {
        return Ok(vec![RevocationList::from_der(content)?]);
    }
    let lists = blocks.iter().map(|list| RevocationList::from_der(list));
    lists.collect()
}

impl RevocationFault {
    /// What to do about it.
    pub(super) const fn hint(&self) -> &'static str {
        match self {
            Self::List { .. } => {
                "give a complete list of one authority, in PEM or DER; look at it with `openssl crl -text`"
            }
            Self::ForgedList { .. } => {
                "have the authority make a new one, or renew its certificate in `remote.ca`"
            }
            Self::NoRevocationSource => {
                "add `crl = [\"clients.crl\"]` or `fetch-revocation = true`, or write \"relaxed\""
            }
            Self::NoCertificates => "remove it, or let the peers have certificates",
        }
    }
}

/// For people.
pub(super) struct Shown<'a>(pub(super) &'a Revocation);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Revocation {
            policy,
            lists,
            fetch,
        } = self.0;
        write!(f, "{policy}")?;
        if !lists.is_empty() {
            write!(f, ", lists of {}", Listed(lists))?;
        }
        if *fetch {
            f.write_str(", fetched")?;
        }
        Ok(())
    }
}
