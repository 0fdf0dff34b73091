//! Configurations of the engine for two parties who know each other.

use std::sync::{Arc, OnceLock};

use ikexdp_proto::config::{
    AddressPool, ChildConfig, Config, Connection, Credential, EspAlgorithms, Fragmentation, Gate,
    IkeAlgorithms, Lifetimes, RemoteSelectors, Requirement, Timing, Uniqueness,
};
use ikexdp_proto::crypto::cert::{CertifiedKey, Revocation, RevocationList, TrustAnchors};
use ikexdp_proto::crypto::shared_key::SharedKey;
use ikexdp_proto::crypto::sign::SigningKey;
use ikexdp_proto::data_plane::Binding;
use ikexdp_proto::pattern::IdentityPattern;
use ikexdp_proto::profile::Profile;
use ikexdp_proto::wire::iana::{ProtocolId, TransformType};
use ikexdp_proto::wire::payload::sa::{Proposal, Transform};
use ikexdp_proto::wire::payload::ts::TrafficSelector;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, date_time_ymd,
};
use rustls_pki_types::CertificateDer;

/// The gateway's name.
pub const GATEWAY: &str = "gateway.example.com";

/// The client's name.
pub const CLIENT: &str = "client@example.com";

/// How the two prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A shared key that is the same on both sides.
    SharedKey,
    /// A shared key that is not.
    WrongSharedKey,
    /// Ed25519 certificates under one authority, each this much longer than it
    /// need be, in octets.
    Certificates(usize),
    /// The same, but the client's is of an authority the gateway does not know.
    UnknownAuthority,
}

/// Both configurations: of the gateway and of the client.
#[derive(Clone, Debug)]
pub struct Parties {
    /// The responder's.
    pub gateway: Config,
    /// The initiator's.
    pub client: Config,
}

impl Parties {
    /// Two parties with defaults in everything but `proof`.
    #[must_use]
    pub fn new(proof: Proof) -> Self {
        let (gateway_ends, client_ends) = ends(proof);
        let everything = [
            "0.0.0.0-255.255.255.255",
            "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ]
        .map(selector)
        .to_vec();
        let gateway = Connection {
            name: "roadwarriors".into(),
            local_identity: GATEWAY.parse().unwrap(),
            credential: gateway_ends.0,
            remote_identities: vec![IdentityPattern::Any],
            requirement: gateway_ends.1,
            child: ChildConfig {
                esp: EspAlgorithms::of(Profile::Compatible),
                local: everything.clone(),
                services: Vec::new(),
                remote: RemoteSelectors::Pool("roadwarriors".into()),
                request_addresses: false,
                childless: false,
                binding: Binding::default(),
            },
            lifetimes: Lifetimes::default(),
            uniqueness: Uniqueness::default(),
        };
        let client = Connection {
            name: "home".into(),
            local_identity: CLIENT.parse().unwrap(),
            credential: client_ends.0,
            remote_identities: vec![IdentityPattern::Exactly(GATEWAY.parse().unwrap())],
            requirement: client_ends.1,
            child: ChildConfig {
                esp: EspAlgorithms::of(Profile::Compatible),
                local: Vec::new(),
                services: Vec::new(),
                remote: RemoteSelectors::Fixed(everything),
                request_addresses: true,
                childless: false,
                binding: Binding::default(),
            },
            lifetimes: Lifetimes::default(),
            uniqueness: Uniqueness::default(),
        };
        let pool = AddressPool {
            name: "roadwarriors".into(),
            v4: Some(("10.9.0.1".parse().unwrap(), "10.9.0.254".parse().unwrap())),
            v6: Some((
                "2001:db8:9::1".parse().unwrap(),
                "2001:db8:9::ffff".parse().unwrap(),
            )),
            dns: vec!["10.0.0.53".parse().unwrap()],
            domains: Vec::new(),
            gateway: Vec::new(),
        };
        Self {
            gateway: config(gateway, vec![pool]),
            client: config(client, Vec::new()),
        }
    }

    /// Lets `change` alter a connection of the gateway's.
    pub fn change_gateway(&mut self, change: impl FnOnce(&mut Connection)) {
        change(Arc::make_mut(&mut self.gateway.connections[0]));
    }

    /// Lets `change` alter the client's connection.
    pub fn change_client(&mut self, change: impl FnOnce(&mut Connection)) {
        change(Arc::make_mut(&mut self.client.connections[0]));
    }
}

fn config(connection: Connection, pools: Vec<AddressPool>) -> Config {
    Config {
        connections: vec![Arc::new(connection)],
        pools,
        ike: IkeAlgorithms::of(Profile::Compatible),
        fragmentation: Fragmentation::default(),
        gate: Gate::default(),
        timing: Timing::default(),
        additional_addresses: Vec::new(),
    }
}

/// Reads `first-last`.
#[must_use]
pub fn selector(range: &str) -> TrafficSelector {
    let (start, end) = range.split_once('-').expect("a range");
    TrafficSelector::addresses(start.parse().unwrap(), end.parse().unwrap())
}

/// How one party proves who it is, and what it wants of the other.
type Ends = (Credential, Requirement);

fn ends(proof: Proof) -> (Ends, Ends) {
    let shared = |ours: &[u8], theirs: &[u8]| {
        (
            Credential::SharedKey(SharedKey::new(ours)),
            Requirement::SharedKey(SharedKey::new(theirs)),
        )
    };
    match proof {
        Proof::SharedKey => {
            let end = || shared(b"correct horse", b"correct horse");
            (end(), end())
        }
        Proof::WrongSharedKey => {
            let end = |key: &[u8]| shared(key, key);
            (end(b"correct horse"), end(b"battery staple"))
        }
        Proof::Certificates(padding) => {
            let pki = Pki::shared();
            let trust = || Requirement::Certificate(Arc::clone(&pki.anchors));
            let gateway = pki.issue(GATEWAY, ExtendedKeyUsagePurpose::ServerAuth, padding);
            let client = pki.issue(CLIENT, ExtendedKeyUsagePurpose::ClientAuth, padding);
            ((gateway, trust()), (client, trust()))
        }
        Proof::UnknownAuthority => {
            let pki = Pki::shared();
            let trust = || Requirement::Certificate(Arc::clone(&pki.anchors));
            let gateway = pki.issue(GATEWAY, ExtendedKeyUsagePurpose::ServerAuth, 0);
            let client = Pki::new().issue(CLIENT, ExtendedKeyUsagePurpose::ClientAuth, 0);
            ((gateway, trust()), (client, trust()))
        }
    }
}

/// An authority for Ed25519 certificates: their signatures always have the same
/// length, so that a simulation repeats itself to the octet.
struct Pki {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    anchors: Arc<TrustAnchors>,
}

/// Trust in the authority of [`Proof::Certificates`] and in others besides, so
/// that there are `count`.
#[must_use]
pub fn authorities(count: usize) -> Requirement {
    let mut roots = vec![Pki::shared().root.clone()];
    roots.resize_with(count, || Pki::new().root);
    Requirement::Certificate(Arc::new(TrustAnchors::new(&roots).unwrap()))
}

/// Trust in the authority of [`Proof::Certificates`] in what has not been revoked.
#[must_use]
pub fn trust(revocation: Revocation) -> Requirement {
    let anchors = TrustAnchors::clone(&Pki::shared().anchors);
    Requirement::Certificate(Arc::new(anchors.with_revocation(revocation)))
}

/// What that authority has revoked: each end's certificate has number 7.
#[must_use]
pub fn revocation_list(serials: &[u64]) -> Arc<RevocationList> {
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2033, 1, 1),
        next_update: date_time_ymd(2034, 1, 1),
        crl_number: 1_u64.into(),
        issuing_distribution_point: None,
        revoked_certs: serials
            .iter()
            .map(|serial| RevokedCertParams {
                serial_number: (*serial).into(),
                revocation_time: date_time_ymd(2033, 1, 1),
                reason_code: None,
                invalidity_date: None,
            })
            .collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = params.signed_by(&Pki::shared().issuer).unwrap();
    Arc::new(RevocationList::from_der(list.der()).unwrap())
}

impl Pki {
    fn shared() -> &'static Self {
        static PKI: OnceLock<Pki> = OnceLock::new();
        PKI.get_or_init(Self::new)
    }

    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let root = params.self_signed(&key).unwrap();
        let anchors = TrustAnchors::new(std::slice::from_ref(root.der())).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            root: root.der().clone(),
            anchors: Arc::new(anchors),
        }
    }

    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose, padding: usize) -> Credential {
        let mut params = CertificateParams::default();
        let name = name.try_into().unwrap();
        params.subject_alt_names = vec![if usage == ExtendedKeyUsagePurpose::ServerAuth {
            rcgen::SanType::DnsName(name)
        } else {
            rcgen::SanType::Rfc822Name(name)
        }];
        params.extended_key_usages = vec![usage];
        params.serial_number = Some(7_u64.into());
        if padding > 0 {
            // An OCTET STRING that means nothing, under a number nobody has.
            let mut content = vec![4, 0x82];
            content.extend((padding as u16).to_be_bytes());
            content.resize(content.len() + padding, 0xa5);
            let oid = [1, 3, 6, 1, 4, 1, 999_999, 1];
            let extension = CustomExtension::from_oid_content(&oid, content);
            params.custom_extensions = vec![extension];
        }
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let der = rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let signer = SigningKey::from_der(&der).unwrap();
        let chain = vec![CertificateDer::from(leaf.der().to_vec())];
        Credential::Certificates(vec![Arc::new(CertifiedKey::new(chain, signer).unwrap())])
    }
}

/// Proposal 1 of an offer.
#[must_use]
pub fn proposal(
    protocol: ProtocolId,
    spi: Vec<u8>,
    transforms: &[(TransformType, u16, Option<u16>)],
) -> Proposal {
    let transform =
        |(kind, id, bits): &(TransformType, u16, Option<u16>)| Transform::new(*kind, *id, *bits);
    Proposal {
        number: 1,
        protocol,
        spi,
        transforms: transforms.iter().map(transform).collect(),
    }
}
