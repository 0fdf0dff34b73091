//! A peer of EAP-TLS, and the certificates of both sides.

use std::io::{Read, Write};
use std::sync::Arc;

use ikexdp_eap::rustls::crypto::ring;
use ikexdp_eap::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use ikexdp_eap::rustls::version::{TLS12, TLS13};
use ikexdp_eap::rustls::{ClientConfig, ClientConnection, Error, ProtocolVersion, RootCertStore};
use ikexdp_eap::{TlsSettings, client_verifier};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};

use super::{Answer, Method, NAK, TLS};

/// The peer's name, in its certificate.
pub(crate) const EMAIL: &str = "alice@example.com";
const SERVER: &str = "gateway.example.com";

/// A certificate with what is below the root, and its key.
pub(crate) struct Credentials {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// An authority, an intermediate one of it, and what the latter has issued.
pub(crate) struct Pki {
    pub(crate) root: CertificateDer<'static>,
    intermediate: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    /// The authorities' names are `name` and a number.
    pub(crate) fn new(name: &str) -> Self {
        let issuer = |level: u8| {
            let mut params = CertificateParams::default();
            let name = format!("{name} CA {level}");
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params
        };
        let key = || KeyPair::generate().unwrap();
        let root = CertifiedIssuer::self_signed(issuer(1), key()).unwrap();
        let intermediate = CertifiedIssuer::signed_by(issuer(2), key(), &root).unwrap();
        Self {
            root: root.der().clone(),
            intermediate,
        }
    }

    pub(crate) fn issue(&self, params: &CertificateParams) -> Credentials {
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.intermediate).unwrap();
        Credentials {
            chain: vec![leaf.der().clone(), self.intermediate.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    /// A server that trusts the root, with a certificate of this authority. It is so
    /// long that it takes many fragments.
    pub(crate) fn settings(&self) -> TlsSettings {
        let mut params = CertificateParams::new([SERVER.to_owned()]).unwrap();
        params.custom_extensions.push(padding(3000));
        let Credentials { chain, key } = self.issue(&params);
        let verifier = client_verifier(std::slice::from_ref(&self.root)).unwrap();
        TlsSettings::new(chain, key, verifier).unwrap()
    }
}

/// What makes a certificate long: an extension that nobody knows.
pub(crate) fn padding(len: usize) -> CustomExtension {
    let oid = [1, 3, 6, 1, 4, 1, 32473, 1];
    CustomExtension::from_oid_content(&oid, [&[4, 0x82][..], &be(len), &vec![0; len]].concat())
}

fn be(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap().to_be_bytes()
}

/// What a client's certificate says.
pub(crate) fn client_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Alice B");
    params.subject_alt_names = vec![SanType::Rfc822Name(EMAIL.try_into().unwrap())];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// What a peer says when the handshake is over.
#[derive(Clone, Copy)]
pub(crate) enum LastWords {
    Nothing,
    Goodbye,
    More,
}

/// A peer that speaks one version of TLS.
pub(crate) struct Peer {
    connection: ClientConnection,
    is_1_3: bool,
    fragment_len: usize,
    last_words: LastWords,
    inbound: Vec<u8>,
    outbound: Vec<u8>,
    announced: usize,
    /// Whether the other side has said that nothing else is coming.
    concluded: bool,
    /// Why it goes no further, of which it tells the other side by an alert.
    pub(crate) error: Option<Error>,
    /// The types that were proposed to it.
    pub(crate) proposed: Vec<u8>,
    /// The longest packet's data it was sent.
    pub(crate) longest: usize,
    /// How many fragments it has sent.
    pub(crate) sent: usize,
}

impl Peer {
    pub(crate) fn new(
        root: &CertificateDer<'static>,
        credentials: Option<Credentials>,
        version: ProtocolVersion,
    ) -> Self {
        let is_1_3 = version == ProtocolVersion::TLSv1_3;
        let version = if is_1_3 { &TLS13 } else { &TLS12 };
        let mut roots = RootCertStore::empty();
        roots.add(root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let config = match credentials {
            Some(own) => builder.with_client_auth_cert(own.chain, own.key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        let server = ServerName::try_from(SERVER).unwrap();
        Self {
            connection: ClientConnection::new(Arc::new(config), server).unwrap(),
            is_1_3,
            fragment_len: 1000,
            last_words: LastWords::Nothing,
            inbound: Vec::new(),
            outbound: Vec::new(),
            announced: 0,
            concluded: false,
            error: None,
            proposed: Vec::new(),
            longest: 0,
            sent: 0,
        }
    }

    /// Sends fragments of that many octets.
    pub(crate) fn with_fragments(mut self, fragment_len: usize) -> Self {
        self.fragment_len = fragment_len;
        self
    }

    /// Says that in place of nothing.
    pub(crate) fn with_last_words(mut self, last_words: LastWords) -> Self {
        self.last_words = last_words;
        self
    }

    /// RFC 5216 §2.3, RFC 9190 §2.3.
    pub(crate) fn msk(&self) -> Vec<u8> {
        assert_eq!(self.concluded, self.is_1_3, "protected success indication");
        let (label, context) = if self.is_1_3 {
            ("EXPORTER_EAP_TLS_Key_Material", Some(&[13][..]))
        } else {
            ("client EAP encryption", None)
        };
        let material = self
            .connection
            .export_keying_material([0; 128], label.as_bytes(), context);
        material.unwrap()[..64].to_vec()
    }

    fn process(&mut self) {
        let inbound = std::mem::take(&mut self.inbound);
        let mut rest = &inbound[..];
        while !rest.is_empty() {
            self.connection.read_tls(&mut rest).unwrap();
            if let Err(error) = self.connection.process_new_packets() {
                self.error = Some(error);
                break;
            }
        }
        let mut said = Vec::new();
        let _ = self.connection.reader().read_to_end(&mut said);
        if !said.is_empty() {
            assert_eq!(said, [0]);
            self.concluded = true;
        }
        if !self.connection.is_handshaking() && self.concluded == self.is_1_3 {
            match self.last_words {
                LastWords::Nothing => {}
                LastWords::Goodbye => self.connection.send_close_notify(),
                LastWords::More => self.connection.writer().write_all(b"GET /").unwrap(),
            }
        }
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.outbound).unwrap();
        }
        self.announced = self.outbound.len();
    }

    fn speak(&mut self) -> Vec<u8> {
        if self.outbound.is_empty() {
            return vec![0];
        }
        let is_first = self.outbound.len() == self.announced;
        let len = self.fragment_len.min(self.outbound.len());
        let octets: Vec<u8> = self.outbound.drain(..len).collect();
        self.sent += 1;
        let more = if self.outbound.is_empty() { 0 } else { 0x40 };
        if is_first {
            let announced = u32::try_from(self.announced).unwrap().to_be_bytes();
            [&[0x80 | more][..], &announced, &octets].concat()
        } else {
            [&[more], &octets[..]].concat()
        }
    }
}

impl Method for Peer {
    fn answer(&mut self, _: u8, kind: u8, data: &[u8]) -> Answer {
        self.proposed.push(kind);
        if kind != TLS {
            return (NAK, vec![TLS]);
        }
        self.longest = self.longest.max(data.len());
        let flags = data[0];
        let octets = if flags & 0x80 == 0 {
            &data[1..]
        } else {
            &data[5..]
        };
        self.inbound.extend_from_slice(octets);
        if flags & 0x40 != 0 {
            return (TLS, vec![0]);
        }
        if self.outbound.is_empty() {
            self.process();
        }
        (TLS, self.speak())
    }
}
