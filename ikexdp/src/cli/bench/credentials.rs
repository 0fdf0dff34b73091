//! How clients and gateway prove who they are, from files.

use std::path::Path;
use std::sync::Arc;

use ikexdp_proto::config::{Credential, Requirement};
use ikexdp_proto::crypto::cert::{CertifiedKey, TrustAnchors};
use ikexdp_proto::crypto::sign::SigningKey;
use ikexdp_proto::identity::Identity;
use ikexdp_proto::types::Secret;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::error::LoadError;
use crate::bench::IdentityTemplate;
use crate::config::read_file;

const CERTIFICATE: &str = "--certificate";
const KEY: &str = "--key";
const AUTHORITY: &str = "--authority";

/// One secret for all.
pub(super) fn shared_key(file: &Path) -> Result<(Credential, Requirement), LoadError> {
    let content = read("--psk-file", file)?;
    // An editor ends the last line; nobody means that as a secret.
    let secret = content.trim_ascii_end();
    if secret.is_empty() {
        let path = file.to_path_buf();
        return Err(LoadError::NoSecret { path });
    }
    let secret = Secret::new(secret.to_vec());
    Ok((
        Credential::SharedKey(secret.clone()),
        Requirement::SharedKey(secret),
    ))
}

/// One certificate for all, in the order of certificate, key, authority.
pub(super) fn certificates(
    files: [Option<&Path>; 3],
) -> Result<(Credential, Requirement), LoadError> {
    // The command line has all of them or none.
    let [certificate, key, authority] = files.map(|file| file.unwrap_or_else(|| Path::new("")));
    let private_key = read(KEY, key)?;
    let der = PrivateKeyDer::from_pem_slice(&private_key).map_err(|_| LoadError::NotPem {
        option: KEY,
        path: key.to_path_buf(),
        kind: "private key",
    })?;
    let signing = SigningKey::from_der(&der);
    let signing = signing.map_err(|_| LoadError::PrivateKey {
        path: key.to_path_buf(),
    })?;
    let unusable = |option, path: &Path| {
        let path = path.to_path_buf();
        move |source| LoadError::Certificate {
            option,
            path,
            source,
        }
    };
    let chain = chain(CERTIFICATE, certificate)?;
    let certified =
        CertifiedKey::new(chain, signing).map_err(unusable(CERTIFICATE, certificate))?;
    let anchors = self::chain(AUTHORITY, authority)?;
    let anchors = TrustAnchors::new(&anchors).map_err(unusable(AUTHORITY, authority))?;
    Ok((
        Credential::Certificates(vec![Arc::new(certified)]),
        Requirement::Certificate(Arc::new(anchors)),
    ))
}

/// Who clients are: what is said, or what the certificate says first.
pub(super) fn identity(
    said: Option<IdentityTemplate>,
    credential: &Credential,
) -> Result<IdentityTemplate, LoadError> {
    let names = match credential {
        Credential::Certificates(keys) => keys.first().map_or(&[][..], |key| key.names()),
        Credential::SharedKey(_) => &[],
    };
    let said = said.or_else(|| names.first().cloned().map(IdentityTemplate::one));
    let refused = |identity: String| LoadError::NotAsserted {
        identity,
        names: names
            .iter()
            .map(Identity::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    };
    let said = said.ok_or_else(|| refused("anybody".to_owned()))?;
    let first = said.of(1);
    if matches!(credential, Credential::SharedKey(_)) || credential.asserts(&first) {
        Ok(said)
    } else {
        Err(refused(first.to_string()))
    }
}

fn chain(option: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    let content = read(option, file)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(LoadError::NotPem {
            option,
            path: file.to_path_buf(),
            kind: "certificate",
        }),
    }
}

fn read(option: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, LoadError> {
    read_file(path).map_err(|source| LoadError::Read {
        option,
        path: path.to_path_buf(),
        source,
    })
}
