//! Certificates of gateways and clients.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::authority::{Authority, SLOW_CLOCK_S};
use super::error::PkiError;
use super::key::ecdsa_p256;
use super::moment::Moment;
use super::name::ClientName;
use super::password::random;
use crate::profiles::ClientIdentity;

/// Apple's clients take no certificate of a server that lives longer than 825.
const GATEWAY_DAYS: u32 = 730;

/// IKE Intermediate, which old macOS asks for, and by which Windows chooses.
const IKE_INTERMEDIATE: [u64; 9] = [1, 3, 6, 1, 5, 5, 8, 2, 2];

/// By what name clients reach a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayName {
    /// A host name, in lower case.
    Host(String),
    /// An address.
    Address(IpAddr),
}

impl GatewayName {
    /// The host name, if it is one.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Host(name) => Some(name),
            Self::Address(_) => None,
        }
    }
}

impl fmt::Display for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.pad(name),
            Self::Address(address) => f.pad(&address.to_string()),
        }
    }
}

impl FromStr for GatewayName {
    type Err = InvalidGatewayName;

    fn from_str(text: &str) -> Result<Self, InvalidGatewayName> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if is_host_name(text) {
            return Ok(Self::Host(text.to_ascii_lowercase()));
        }
        Err(InvalidGatewayName)
    }
}

/// Neither a host name nor an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a host name of at most 64 characters nor an address")]
pub struct InvalidGatewayName;

/// Whether `text` is a host name (RFC 1123 §2.1), and no longer than a common name
/// may be. One that ends with a number would be read as an address.
pub(crate) fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_good = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(is_good)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_number = last.chars().all(|c| c.is_ascii_digit());
    text.len() <= 64 && text.split('.').all(is_label) && !is_number
}

/// A certificate and its key.
pub struct Certified {
    /// The certificate in PEM.
    pub pem: String,
    /// The same in DER.
    pub der: CertificateDer<'static>,
    /// The private key, PKCS #8 in PEM.
    pub key_pem: Zeroizing<String>,
    /// The same in DER.
    pub key_der: Zeroizing<Vec<u8>>,
    /// The number of the certificate, in hexadecimal.
    pub serial: String,
    /// Its last moment.
    pub expires: Moment,
}

impl fmt::Debug for Certified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certified")
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

/// Issues a gateway's certificate for `key`.
///
/// # Errors
/// [`PkiError::Issue`] or [`PkiError::Random`].
pub fn gateway(
    authority: &Authority,
    name: &GatewayName,
    key: &KeyPair,
    now: Moment,
) -> Result<Certified, PkiError> {
    let mut names = vec![SanType::DnsName(name.to_string().try_into()?)];
    // Windows looks for what the user has typed among the host names, whatever it
    // is; others look for an address where it belongs.
    if let GatewayName::Address(address) = name {
        names.push(SanType::IpAddress(*address));
    }
    let usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::Other(IKE_INTERMEDIATE.to_vec()),
    ];
    let validity = (now, now.after_days(GATEWAY_DAYS));
    issue(authority, (&name.to_string(), names, usages), key, validity)
}

/// Issues a client's certificate, for a new key.
///
/// # Errors
/// [`PkiError::Issue`] or [`PkiError::Random`].
pub fn client(
    authority: &Authority,
    name: &ClientName,
    identity: &ClientIdentity,
    (now, days): (Moment, u32),
) -> Result<Certified, PkiError> {
    let identity = match identity {
        ClientIdentity::Email(text) => SanType::Rfc822Name(text.as_str().try_into()?),
        ClientIdentity::Host(text) => SanType::DnsName(text.as_str().try_into()?),
    };
    let usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let validity = (now, now.after_days(days));
    let subject = (name.as_str(), vec![identity], usages);
    issue(authority, subject, &ecdsa_p256()?, validity)
}

fn issue(
    authority: &Authority,
    (name, names, usages): (&str, Vec<SanType>, Vec<ExtendedKeyUsagePurpose>),
    key: &KeyPair,
    (now, expires): (Moment, Moment),
) -> Result<Certified, PkiError> {
    let number = serial()?;
    // Nothing outlives who vouches for it.
    let expires = expires.min(authority.expires);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = usages;
    params.use_authority_key_identifier_extension = true;
    params.not_before = now.before(SLOW_CLOCK_S).date_time();
    params.not_after = expires.date_time();
    params.serial_number = Some(number.clone());
    let certificate = params.signed_by(key, &authority.issuer)?;
    Ok(Certified {
        pem: certificate.pem(),
        der: certificate.der().clone(),
        key_pem: Zeroizing::new(key.serialize_pem()),
        key_der: Zeroizing::new(key.serialize_der()),
        serial: hexadecimal(&number.to_bytes()),
        expires,
    })
}

/// A random number (RFC 5280 §4.1.2.2): positive, and 16 octets long.
pub(super) fn serial() -> Result<SerialNumber, PkiError> {
    let number = u128::from_be_bytes(random()?);
    let number = number >> 2 | 1 << 126;
    Ok(SerialNumber::from_slice(&number.to_be_bytes()))
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::rsa_3072;
    use ikexdp_proto::identity::Identity;
    use webpki_checks::*;

    /// What a reader that is not ours says of a certificate.
    mod webpki_checks {
        use super::*;
        use x509_cert::Certificate;
        use x509_cert::der::{Decode, oid::ObjectIdentifier};
        use x509_cert::ext::pkix::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, SubjectKeyIdentifier,
        };

        pub(super) fn parsed(der: &CertificateDer<'_>) -> Certificate {
            Certificate::from_der(der).unwrap()
        }

        pub(super) fn usages(certificate: &Certificate) -> Vec<String> {
            let tbs = certificate.tbs_certificate();
            let (_, ExtendedKeyUsage(usages)) = tbs.get_extension().unwrap().unwrap();
            usages.iter().map(ObjectIdentifier::to_string).collect()
        }

        pub(super) fn is_by(certificate: &Certificate, authority: &Certificate) {
            let authority = authority.tbs_certificate();
            let tbs = certificate.tbs_certificate();
            assert_eq!(tbs.issuer(), authority.subject());
            let (_, own): (_, SubjectKeyIdentifier) = authority.get_extension().unwrap().unwrap();
            let (_, theirs): (_, AuthorityKeyIdentifier) = tbs.get_extension().unwrap().unwrap();
            assert_eq!(theirs.key_identifier, Some(own.0));
            let (critical, constraints): (_, BasicConstraints) =
                authority.get_extension().unwrap().unwrap();
            assert!(critical && constraints.ca);
            assert_eq!(constraints.path_len_constraint, Some(0));
        }
    }

    const NOW: Moment = Moment::from_seconds(1_795_305_600);

    #[test]
    fn a_gateway_has_what_every_client_asks_for() {
        for (name, names) in [
            ("VPN.example.com", vec!["vpn.example.com"]),
            ("192.0.2.7", vec!["192.0.2.7", "192.0.2.7"]),
            ("2001:db8::7", vec!["2001:db8::7", "2001:db8::7"]),
        ] {
            let name: GatewayName = name.parse().unwrap();
            let authority = Authority::new(&name, NOW).unwrap();
            let key = ecdsa_p256().unwrap();
            let certified = gateway(&authority, &name, &key, NOW).unwrap();
            let certificate = parsed(&certified.der);
            is_by(&certificate, &parsed(&authority.der));
            assert_eq!(
                usages(&certificate),
                ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.8.2.2"]
            );
            let subject = certificate.tbs_certificate().subject().to_string();
            assert_eq!(subject, format!("CN={name}"));
            let identity: Identity = name.to_string().parse().unwrap();
            assert!(identity.is_asserted_by(&certificate), "{name}");
            let host = Identity::Fqdn(names[0].to_owned());
            assert!(host.is_asserted_by(&certificate), "{name}");
            assert_eq!(certified.expires, NOW.after_days(730));
        }
    }

    #[test]
    fn a_client_asserts_its_identity_and_its_name() {
        let gateway_name: GatewayName = "vpn.example.com".parse().unwrap();
        let authority = Authority::new(&gateway_name, NOW).unwrap();
        for identity in ["kim@example.com", "laptop.example.com"] {
            let name = "laptop".parse().unwrap();
            let named = identity.parse().unwrap();
            let certified = client(&authority, &name, &named, (NOW, 30)).unwrap();
            let certificate = parsed(&certified.der);
            is_by(&certificate, &parsed(&authority.der));
            assert_eq!(usages(&certificate), ["1.3.6.1.5.5.7.3.2"]);
            for asserted in [identity, "CN=laptop"] {
                let asserted: Identity = asserted.parse().unwrap();
                assert!(asserted.is_asserted_by(&certificate), "{asserted}");
            }
            assert_eq!(certified.serial.len(), 32);
            assert_eq!(certified.expires, NOW.after_days(30));
        }
        let name = "laptop".parse().unwrap();
        let identity = "a@b.c".parse().unwrap();
        let long = client(&authority, &name, &identity, (NOW, 99_999)).unwrap();
        assert_eq!(long.expires, authority.expires);
    }

    #[test]
    fn an_rsa_key_is_signed_for() {
        let name: GatewayName = "vpn.example.com".parse().unwrap();
        let authority = Authority::new(&name, NOW).unwrap();
        let certified = gateway(&authority, &name, &rsa_3072().unwrap(), NOW).unwrap();
        let key = parsed(&certified.der);
        let key = key.tbs_certificate().subject_public_key_info();
        // 3072 bits, their tag and length, and the exponent 65537 with its own.
        assert_eq!(key.subject_public_key.raw_bytes().len(), 398);
    }

    #[test]
    fn names_of_gateways_are_host_names_or_addresses() {
        let long = format!("{}.example.com", "a".repeat(60));
        for bad in [
            "",
            "a b",
            "-a.b",
            "a..b",
            "192.0.2.300",
            "a'b",
            "a.b.",
            &long,
            "192.0.2.1/24",
        ] {
            assert_eq!(bad.parse::<GatewayName>(), Err(InvalidGatewayName), "{bad}");
        }
        for good in ["gateway", "a-b.example", "::1", "192.0.2.1"] {
            assert_eq!(good.parse::<GatewayName>().unwrap().to_string(), good);
        }
    }
}
