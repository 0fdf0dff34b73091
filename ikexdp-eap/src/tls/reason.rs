//! Why a handshake ends, in the words that IKE has for the same things.

use ikexdp_proto::crypto::cert::CredentialError;
use ikexdp_proto::eap::RejectionReason;
use rustls::{CertificateError, Error};

/// The reason why TLS goes no further.
pub(super) fn rejection(error: Error) -> RejectionReason {
    RejectionReason::Certificate(match error {
        Error::NoCertificatesPresented => CredentialError::NoCertificate.to_string(),
        Error::InvalidCertificate(fault) => certificate_fault(&fault),
        Error::AlertReceived(alert) => format!("peer ends the TLS handshake: alert {alert:?}"),
        error => format!("TLS handshake fails: {error}"),
    })
}

fn certificate_fault(fault: &CertificateError) -> String {
    let known = match fault {
        CertificateError::BadEncoding => CredentialError::Malformed,
        CertificateError::UnknownIssuer => CredentialError::UnknownIssuer,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            CredentialError::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CredentialError::NotYetValid
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            CredentialError::WrongUsage
        }
        CertificateError::BadSignature => {
            let reason = "certificate is of an authority not trusted here, though of the name of \
                one that is, or the peer has not its key";
            return reason.to_owned();
        }
        CertificateError::Revoked => return "certificate is revoked".to_owned(),
        fault => return format!("certificate path is not valid: {fault}"),
    };
    known.to_string()
}

/// The reason why a certificate does not stand.
pub(super) fn refused(fault: &CredentialError) -> RejectionReason {
    RejectionReason::Certificate(fault.to_string())
}
