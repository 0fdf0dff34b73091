//! The list of certificates that are no longer good.

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};

use super::authority::Authority;
use super::directory::Directory;
use super::error::PkiError;
use super::files::{Readers, replace};
use super::index::Index;
use super::moment::Moment;

/// The CRL of `index` in PEM (RFC 5280 §5).
///
/// The next one is made when there is something to add, not when a time has come:
/// nobody is there to make it then, and one that had ended would shut out everybody.
/// So it is good for as long as the authority is.
///
/// # Errors
/// [`PkiError::Issue`].
pub fn crl(authority: &Authority, index: &Index, now: Moment) -> Result<String, PkiError> {
    let mut revoked = Vec::new();
    for client in &index.clients {
        // Users with a password have no certificate.
        let (Some(serial), Some(since)) = (&client.serial, client.revoked) else {
            continue;
        };
        let serial = octets(serial).ok_or_else(|| PkiError::Serial {
            serial: serial.clone(),
        })?;
        revoked.push(RevokedCertParams {
            serial_number: SerialNumber::from_slice(&serial),
            revocation_time: since.date_time(),
            // RFC 5280 §5.3.1: absent where there is nothing to say.
            reason_code: None,
            invalidity_date: None,
        });
    }
    let params = CertificateRevocationListParams {
        this_update: now.date_time(),
        next_update: authority.expires.max(now.after_days(1)).date_time(),
        crl_number: SerialNumber::from(index.crl_number),
        issuing_distribution_point: None,
        revoked_certs: revoked,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(params.signed_by(&authority.issuer)?.pem()?)
}

/// Puts the CRL of `index` in the place of the last one.
///
/// # Errors
/// [`PkiError::Issue`] or [`PkiError::Write`].
pub fn replace_crl(
    directory: &Directory,
    authority: &Authority,
    index: &Index,
    now: Moment,
) -> Result<(), PkiError> {
    let crl = crl(authority, index, now)?;
    replace(
        &directory.file(Directory::CRL),
        crl.as_bytes(),
        Readers::All,
    )
}

fn octets(hexadecimal: &str) -> Option<Vec<u8>> {
    let number = u128::from_str_radix(hexadecimal, 16).ok()?;
    Some(number.to_be_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Certified, Client, Kind, client};
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
    use std::time::Duration;
    use webpki::{
        CertRevocationList, EndEntityCert, Error, OwnedCertRevocationList,
        RevocationOptionsBuilder, anchor_from_trusted_cert,
    };

    const NOW: Moment = Moment::from_seconds(1_795_305_600);

    fn verify(authority: &Authority, crl: &str, certified: &Certified) -> Result<(), Error> {
        let crl = CertificateRevocationListDer::from_pem_slice(crl.as_bytes()).unwrap();
        let crl = OwnedCertRevocationList::from_der(&crl).unwrap();
        let crl = CertRevocationList::from(crl);
        let crls = [&crl];
        let revocation = RevocationOptionsBuilder::new(&crls).unwrap().build();
        let anchors = [anchor_from_trusted_cert(&authority.der).unwrap()];
        let certificate = CertificateDer::from(certified.der.to_vec());
        let certificate = EndEntityCert::try_from(&certificate).unwrap();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(NOW.after_days(300).seconds()));
        let verified = certificate.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &[],
            time,
            webpki::KeyUsage::client_auth(),
            Some(revocation),
            None,
        );
        verified.map(drop)
    }

    #[test]
    fn it_names_who_is_revoked_and_nobody_else() {
        let gateway = "vpn.example.com".parse().unwrap();
        let authority = Authority::new(&gateway, NOW).unwrap();
        let issued = ["laptop", "tablet"].map(|name| {
            let identity = "kim@example.com".parse().unwrap();
            let name = name.parse().unwrap();
            let certified = client(&authority, &name, &identity, (NOW, 365)).unwrap();
            let entry = Client {
                name,
                kind: Kind::Certificate,
                platform: "linux".to_owned(),
                identity: identity.to_string(),
                serial: Some(certified.serial.clone()),
                issued: NOW,
                expires: Some(certified.expires),
                revoked: None,
            };
            (entry, certified)
        });
        let mut index = Index {
            crl_number: 1,
            clients: issued.iter().map(|(entry, _)| entry.clone()).collect(),
        };
        let empty = crl(&authority, &index, NOW).unwrap();
        for (_, certified) in &issued {
            verify(&authority, &empty, certified).unwrap();
        }
        index.clients[0].revoked = Some(NOW);
        let next = crl(&authority, &index, NOW).unwrap();
        let [laptop, tablet] = issued.map(|(_, certified)| verify(&authority, &next, &certified));
        assert_eq!((laptop, tablet), (Err(Error::CertRevoked), Ok(())));
    }
}
