//! Who issues the certificates.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::certificate::{GatewayName, serial};
use super::directory::Directory;
use super::error::PkiError;
use super::files::{Readers, create};
use super::key::ecdsa_p384;
use super::moment::Moment;
use super::password::random;

/// How long it lives: as long as nobody wants to visit every client again.
const DAYS: u32 = 3652;

/// Clocks of clients may be slow.
pub(super) const SLOW_CLOCK_S: u64 = 3600;

/// A certificate authority with its private key.
pub struct Authority {
    pub(super) issuer: Issuer<'static, KeyPair>,
    /// Its certificate in PEM.
    pub pem: String,
    /// The same in DER.
    pub der: CertificateDer<'static>,
    /// What its certificate calls it, and the certificates that it issues.
    pub common_name: String,
    /// When its certificate ends.
    pub expires: Moment,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("common_name", &self.common_name)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes one for a gateway.
    ///
    /// # Errors
    /// [`PkiError::Issue`] or [`PkiError::Random`].
    pub fn new(gateway: &GatewayName, now: Moment) -> Result<Self, PkiError> {
        // A second one for the same gateway has another name: clients that know both
        // do not mix them up.
        let number = u32::from_be_bytes(random()?);
        let common_name = format!("ikexdp CA {number:08x}");
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let organization = gateway.to_string();
        params
            .distinguished_name
            .push(DnType::OrganizationName, organization);
        params
            .distinguished_name
            .push(DnType::CommonName, common_name.clone());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(serial()?);
        let expires = now.after_days(DAYS);
        params.not_before = now.before(SLOW_CLOCK_S).date_time();
        params.not_after = expires.date_time();
        let key = ecdsa_p384()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            common_name,
            expires,
            issuer: Issuer::new(params, key),
        })
    }

    /// Reads the one in `directory`.
    ///
    /// # Errors
    /// [`PkiError`] if there is none, or its files are not what they were.
    pub fn open(directory: &Directory) -> Result<Self, PkiError> {
        let path = directory.file(Directory::AUTHORITY);
        let pem = Directory::read(&path)?;
        let damaged = |message: String| PkiError::Damaged { path, message };
        let der = CertificateDer::from_pem_slice(pem.as_bytes());
        let (der, certificate) = match der.map(|der| (Certificate::from_der(&der), der)) {
            Ok((Ok(certificate), der)) => (der, certificate),
            Ok((Err(error), _)) => return Err(damaged(error.to_string())),
            Err(error) => return Err(damaged(error.to_string())),
        };
        let key_path = directory.authority_key();
        let key = Directory::read(&key_path)?;
        let damaged_key = |message: String| PkiError::Damaged {
            path: key_path,
            message,
        };
        let key = match KeyPair::from_pem(&key) {
            Ok(key) => key,
            Err(error) => return Err(damaged_key(error.to_string())),
        };
        let certified = certificate.tbs_certificate();
        let public_key = certified.subject_public_key_info();
        if public_key.subject_public_key.raw_bytes() != key.der_bytes() {
            return Err(damaged_key("the key belongs to another certificate".into()));
        }
        let common_name = common_name(&certificate);
        let expires = certified.validity().not_after.to_unix_duration();
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(&der, key)?,
            expires: Moment::from_seconds(expires.as_secs()),
            pem: pem.to_string(),
            der,
            common_name,
        })
    }

    /// Writes its certificate and its key.
    ///
    /// # Errors
    /// [`PkiError::Exists`] or [`PkiError::Write`].
    pub fn save(&self, directory: &Directory) -> Result<(), PkiError> {
        let key = zeroize::Zeroizing::new(self.issuer.key().serialize_pem());
        create(&directory.authority_key(), key.as_bytes(), Readers::Owner)?;
        let path = directory.file(Directory::AUTHORITY);
        create(&path, self.pem.as_bytes(), Readers::All)
    }
}

/// The last common name of the subject; empty if there is none.
fn common_name(certificate: &Certificate) -> String {
    let subject = certificate.tbs_certificate().subject().to_string();
    let parts = subject.split(',');
    let mut names = parts.filter_map(|part| part.trim().strip_prefix("CN="));
    names.next_back().unwrap_or_default().to_owned()
}
