//! How clients and gateway prove who they are, from files.

use std::io::{self, Write};
use std::path::Path;
use std::str;
use std::sync::Arc;

use ikexdp_eap::NtHash;
use ikexdp_proto::config::{Credential, Requirement};
use ikexdp_proto::crypto::cert::{CertificateError, CertifiedKey, TrustAnchors};
use ikexdp_proto::crypto::shared_key::SharedKey;
use ikexdp_proto::crypto::sign::SigningKey;
use ikexdp_proto::identity::Identity;
use ikexdp_proto::types::Secret;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::error::LoadError;
use crate::bench::{IdentityTemplate, Proof, UserTemplate};
use crate::config::{Caution, is_world_readable, read_file};

const CERTIFICATE: &str = "--certificate";
const KEY: &str = "--key";
const AUTHORITY: &str = "--authority";
const PSK_FILE: &str = "--psk-file";
const PASSWORD_FILE: &str = "--eap-password-file";

/// One secret for all.
pub(super) fn shared_key(file: &Path) -> Result<(Proof, Requirement), LoadError> {
    let secret = SharedKey::new(secret(PSK_FILE, file)?.expose());
    Ok((
        Proof::Same(Credential::SharedKey(secret.clone())),
        Requirement::SharedKey(secret),
    ))
}

/// One password for all, each with a name of its own, in the order of password and
/// authority.
pub(super) fn passwords(
    users: &UserTemplate,
    files: [Option<&Path>; 2],
) -> Result<(Proof, Requirement), LoadError> {
    // The command line has all of them or none.
    let [password, authority] = files.map(|file| file.unwrap_or_else(|| Path::new("")));
    let secret = secret(PASSWORD_FILE, password)?;
    let text = str::from_utf8(secret.expose()).map_err(|_| LoadError::NoText {
        path: password.to_path_buf(),
    })?;
    let proof = Proof::Password {
        users: users.clone(),
        hash: NtHash::of(text),
    };
    Ok((proof, authorities(authority)?))
}

/// What is in a file. An editor ends the last line; nobody means that as a secret.
fn secret(option: &'static str, file: &Path) -> Result<Secret<Vec<u8>>, LoadError> {
    let content = read_secret(option, file)?;
    let secret = content.trim_ascii_end();
    if secret.is_empty() {
        let path = file.to_path_buf();
        return Err(LoadError::NoSecret { option, path });
    }
    Ok(Secret::new(secret.to_vec()))
}

/// One certificate for all, in the order of certificate, key, authority.
pub(super) fn certificates(files: [Option<&Path>; 3]) -> Result<(Proof, Requirement), LoadError> {
    // The command line has all of them or none.
    let [certificate, key, authority] = files.map(|file| file.unwrap_or_else(|| Path::new("")));
    let private_key = read_secret(KEY, key)?;
    let der = PrivateKeyDer::from_pem_slice(&private_key).map_err(|_| LoadError::NotPem {
        option: KEY,
        path: key.to_path_buf(),
        kind: "private key",
    })?;
    let signing = SigningKey::from_der(&der);
    let signing = signing.map_err(|_| LoadError::PrivateKey {
        path: key.to_path_buf(),
    })?;
    let chain = chain(CERTIFICATE, certificate)?;
    let certified =
        CertifiedKey::new(chain, signing).map_err(unusable(CERTIFICATE, certificate))?;
    Ok((
        Proof::Same(Credential::Certificates(vec![Arc::new(certified)])),
        authorities(authority)?,
    ))
}

/// What the gateway's certificate must come from.
fn authorities(file: &Path) -> Result<Requirement, LoadError> {
    let anchors = chain(AUTHORITY, file)?;
    let anchors = TrustAnchors::new(&anchors).map_err(unusable(AUTHORITY, file))?;
    Ok(Requirement::Certificate(Arc::new(anchors)))
}

fn unusable(option: &'static str, path: &Path) -> impl FnOnce(CertificateError) -> LoadError {
    let path = path.to_path_buf();
    move |source| LoadError::Certificate {
        option,
        path,
        source,
    }
}

/// Who clients are: what is said, or what the certificate says first, or their names for
/// EAP.
pub(super) fn identity(
    said: Option<IdentityTemplate>,
    proof: &Proof,
) -> Result<IdentityTemplate, LoadError> {
    let keys = match proof {
        Proof::Same(Credential::Certificates(keys)) => keys,
        Proof::Password { users, .. } => {
            let own = || IdentityTemplate::one(Identity::of_user(users.as_str()));
            return Ok(said.unwrap_or_else(own));
        }
        // The command line has one.
        Proof::Same(_) => &Vec::new(),
    };
    let names = keys.first().map_or(&[][..], |key| key.names());
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
    if keys.is_empty() || keys.iter().any(|key| key.asserts(&first)) {
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

/// The same, of a file that nobody else should read.
fn read_secret(option: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, LoadError> {
    let content = read(option, path)?;
    if let Some(caution) = caution(option, path) {
        // Who does not see it has closed standard error.
        let _ = writeln!(io::stderr(), "warning: {caution}");
    }
    Ok(content)
}

/// What is to be said of a file with a secret in it.
pub(super) fn caution(option: &str, path: &Path) -> Option<String> {
    is_world_readable(path).then(|| {
        let path = path.to_owned();
        let caution = Caution::WorldReadable { path };
        format!("`{option}`: {caution}; hint: {}", caution.hint())
    })
}

fn read(option: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, LoadError> {
    read_file(path).map_err(|source| LoadError::Read {
        option,
        path: path.to_path_buf(),
        source,
    })
}
