//! Certificate chains of three: root, intermediate, and a leaf for each side.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, RevocationReason, RevokedCertParams,
    SanType, date_time_ymd,
};

use crate::addresses::{V4, V6};

/// The client's name, in its certificate.
pub const CLIENT: &str = "client.lab.test";
/// The client's e-mail address, in its certificate.
pub const CLIENT_EMAIL: &str = "client@lab.test";
/// The gateway's name, in its certificate.
pub const GATEWAY: &str = "gateway.lab.test";

/// The serial number of every certificate for a machine; each authority has issued one.
const SERIAL: u64 = 7;

/// RSA keys that were made once, because making one takes seconds: whose, and PKCS #8 in PEM.
macro_rules! stored_keys {
    ($bits:literal) => {
        stored_keys!($bits, "root", "client", "client-intermediate", "gateway", "gateway-intermediate")
    };
    ($bits:literal, $($name:literal),+) => {
        [$(($name, include_str!(concat!("../interop/pki/", $bits, "/", $name, ".key")))),+]
    };
}

/// The kind of all keys of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 4096 bits.
    Rsa4096,
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
}

/// Everything both sides need.
#[derive(Clone, Debug)]
pub struct Pki {
    /// The root's certificate in PEM, the trust anchor of both sides.
    pub root: String,
    /// The client's.
    pub client: Chain,
    /// The gateway's.
    pub gateway: Chain,
}

/// What one side has below the root, in PEM.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The own certificate.
    pub leaf: String,
    /// The certificate of the authority that issued it, which the other side does not have.
    pub intermediate: String,
    /// The private key, PKCS #8.
    pub key: String,
    /// A list of that authority's in which the own certificate is revoked.
    pub revoked: String,
}

impl Pki {
    /// Issues new certificates for new keys; RSA keys are fixed ones from `tests/interop/pki`.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self::with_client(key, |_| ())
    }

    /// The same with a certificate for the client that `change` has its way with.
    #[must_use]
    pub fn with_client(key: Key, change: impl Fn(&mut CertificateParams)) -> Self {
        let root =
            CertifiedIssuer::self_signed(authority("Lab Root CA", 1), key.pair("root")).unwrap();
        let chain = |name: &str, leaf: CertificateParams| {
            let params = authority(&format!("Lab Intermediate CA for the {name}"), 0);
            let intermediate = CertifiedIssuer::signed_by(
                params,
                key.pair(&format!("{name}-intermediate")),
                &root,
            )
            .unwrap();
            let pair = key.pair(name);
            let leaf = leaf.signed_by(&pair, &intermediate).unwrap();
            Chain {
                leaf: leaf.pem(),
                intermediate: intermediate.pem(),
                key: pair.serialize_pem(),
                revoked: revoking(&intermediate),
            }
        };
        let email = SanType::Rfc822Name(CLIENT_EMAIL.try_into().unwrap());
        let mut client = leaf(
            CLIENT,
            [V4.client, V6.client],
            &[email],
            &[ExtendedKeyUsagePurpose::ClientAuth],
        );
        change(&mut client);
        // Old macOS asks for IKE Intermediate (1.3.6.1.5.5.8.2.2).
        let ike = ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 8, 2, 2]);
        let gateway = leaf(
            GATEWAY,
            [V4.gateway, V6.gateway],
            &[],
            &[ExtendedKeyUsagePurpose::ServerAuth, ike],
        );
        Self {
            root: root.pem(),
            client: chain("client", client),
            gateway: chain("gateway", gateway),
        }
    }
}

impl Key {
    /// A key pair; `name` says whose, which matters where the keys are fixed.
    fn pair(self, name: &str) -> KeyPair {
        match self {
            Self::Rsa2048 => stored_pair(name, &stored_keys!("rsa2048")),
            Self::Rsa4096 => stored_pair(name, &stored_keys!("rsa4096")),
            Self::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
            Self::EcdsaP384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
            Self::Ed25519 => KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        }
    }
}

/// The one of `keys` that is `name`'s.
fn stored_pair(name: &str, keys: &[(&str, &str)]) -> KeyPair {
    let (_, pem) = keys.iter().find(|(whose, _)| *whose == name).unwrap();
    KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_RSA_SHA256).unwrap()
}

/// A certificate authority with that many others below it.
fn authority(name: &str, below: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A list of `issuer`'s with every certificate that [`leaf`] makes.
fn revoking(issuer: &CertifiedIssuer<'static, KeyPair>) -> String {
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(4000, 1, 1),
        crl_number: 1_u64.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SERIAL.into(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(issuer).unwrap().pem().unwrap()
}

/// A certificate for a machine of this name and these addresses.
fn leaf(
    name: &str,
    addresses: [IpAddr; 2],
    more_names: &[SanType],
    usages: &[ExtendedKeyUsagePurpose],
) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
        .subject_alt_names
        .extend(addresses.map(SanType::IpAddress));
    params.subject_alt_names.extend_from_slice(more_names);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = usages.to_vec();
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SERIAL.into());
    params
}
