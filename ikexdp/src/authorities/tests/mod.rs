//! Authorities that answer well, badly, or not at all.

mod ocsp;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ikexdp_proto::crypto::cert::{
    Answer, CredentialError, Credentials, Inquiry, NoMemory, Revocation, RevocationPolicy,
    TrustAnchors, Usage,
};
use ikexdp_proto::crypto::scheme::SignatureScheme;
use ikexdp_proto::crypto::sign::SigningKey;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    CrlDistributionPoint, DnType, IsCa, KeyIdMethod, KeyPair, PKCS_ED25519, RevokedCertParams,
    date_time_ymd,
};
use ring::rand::SystemRandom;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

/// 2030-01-01.
const NOW: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_893_456_000));

/// Longer than any answer here takes that comes at all.
const PATIENCE: Duration = Duration::from_secs(60);

type Authority = CertifiedIssuer<'static, KeyPair>;

/// What a server does with a connection.
type Behaviour = Box<dyn Fn(&mut TcpStream) -> std::io::Result<()> + Send>;

/// A server on this machine, and how often it was asked.
struct Server {
    address: String,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/a.crl", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                // Whoever hangs up has had enough.
                let _ = request(&mut stream).and_then(|()| behaviour(&mut stream));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Reads until the end of the header.
fn request(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut read = Vec::new();
    let mut octet = [0];
    while !read.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet)?;
        read.extend(octet);
    }
    Ok(())
}

fn says(status: &'static str, header: &'static str, body: Vec<u8>) -> Behaviour {
    Box::new(move |stream| {
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\n{header}Content-Length: {length}\r\n\r\n"
        )?;
        stream.write_all(&body)
    })
}

fn serves(body: Vec<u8>) -> Behaviour {
    says("200 OK", "", body)
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).unwrap()
}

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, key()).unwrap()
}

/// A list with these serial numbers that counts until that year.
fn list(issuer: &Authority, serials: &[u64], year: i32) -> Vec<u8> {
    list_of(issuer, serials, 2020, year)
}

fn list_of(issuer: &Authority, serials: &[u64], made: i32, year: i32) -> Vec<u8> {
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(made, 1, 1),
        next_update: date_time_ymd(year, 1, 1),
        crl_number: 1_u64.into(),
        issuing_distribution_point: None,
        revoked_certs: serials
            .iter()
            .map(|serial| RevokedCertParams {
                serial_number: (*serial).into(),
                revocation_time: date_time_ymd(2020, 1, 1),
                reason_code: None,
                invalidity_date: None,
            })
            .collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).unwrap().der().to_vec()
}

/// A peer with serial number 7, and whom it says to ask.
struct Peer {
    chain: [CertificateDer<'static>; 1],
    key: SigningKey,
    root: CertificateDer<'static>,
}

impl Peer {
    fn new(issuer: &Authority, addresses: &[&str]) -> Self {
        let mut params = CertificateParams::new(["a.example.com".to_owned()]).unwrap();
        params.serial_number = Some(7_u64.into());
        params.crl_distribution_points = addresses
            .iter()
            .map(|address| CrlDistributionPoint {
                uris: vec![(*address).to_owned()],
            })
            .collect();
        let key = key();
        let certificate = params.signed_by(&key, issuer).unwrap();
        let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Self {
            chain: [certificate.der().clone()],
            key: SigningKey::from_der(&secret).unwrap(),
            root: issuer.der().clone(),
        }
    }

    /// What is known of it, or is to be asked.
    fn verify(
        &self,
        policy: RevocationPolicy,
        source: &dyn StatusSource,
    ) -> Result<Option<Inquiry>, CredentialError> {
        let scheme = SignatureScheme::Ed25519;
        let signature = self.key.sign(scheme, b"octets", &SystemRandom::new());
        let credentials = Credentials {
            chain: &self.chain,
            identity: &"a.example.com".parse().unwrap(),
            scheme,
            signed_octets: b"octets",
            signature: &signature.unwrap(),
        };
        let anchors = TrustAnchors::new(std::slice::from_ref(&self.root)).unwrap();
        let anchors = anchors.with_revocation(Revocation {
            policy,
            lists: Vec::new(),
            fetch: true,
        });
        anchors.verify(&credentials, Usage::Client, NOW, source, &NoMemory)
    }

    /// What becomes of it when somebody has to be asked.
    fn judged(&self, authorities: &Authorities) -> Verdict {
        let inquiry = self.verify(RevocationPolicy::Strict, authorities);
        let verdict = inquiry.unwrap().expect("it is not known");
        Verdict::of(verdict.run(authorities, NOW))
    }

    /// What becomes of it when nobody has to be asked.
    fn remembered(&self, authorities: &Authorities) -> Verdict {
        let inquiry = self.verify(RevocationPolicy::Strict, authorities);
        Verdict::of(inquiry.map(|inquiry| assert!(inquiry.is_none())))
    }

    /// Its certificate as sources see it.
    fn issued(&self) -> Issued {
        #[derive(Debug, Default)]
        struct Seen(Mutex<Option<Issued>>);

        impl StatusSource for Seen {
            fn known(&self, issued: &Issued, _: UnixTime) -> Option<Status> {
                *self.0.lock().unwrap() = Some(issued.clone());
                Some(Status::Good)
            }

            fn ask(&self, _: &Issued, _: UnixTime) -> Status {
                panic!("it is known")
            }
        }

        let seen = Seen::default();
        self.verify(RevocationPolicy::Strict, &seen).unwrap();
        seen.0.into_inner().unwrap().unwrap()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Revoked,
    Unknown(Unknown),
}

impl Verdict {
    fn of(result: Result<(), CredentialError>) -> Self {
        match result {
            Ok(()) => Self::Good,
            Err(CredentialError::Revoked { .. }) => Self::Revoked,
            Err(CredentialError::StatusUnknown { why, .. }) => Self::Unknown(why),
            Err(other) => panic!("{other}"),
        }
    }
}

/// Asks servers of this machine as well.
fn authorities(time_max: Duration) -> Authorities {
    Authorities::new(|_| true, time_max)
}

#[test]
fn a_list_is_fetched_once() {
    for (serials, verdict) in [(&[3][..], Verdict::Good), (&[7], Verdict::Revoked)] {
        let issuer = authority();
        let server = Server::start(serves(list(&issuer, serials, 2040)));
        let authorities = authorities(PATIENCE);
        let peer = Peer::new(&issuer, &[&server.address]);
        assert_eq!(peer.judged(&authorities), verdict);
        assert_eq!(peer.remembered(&authorities), verdict);
        // What was found for one certificate is there for the next.
        let peer = Peer::new(&issuer, &[&server.address]);
        assert_eq!(peer.remembered(&authorities), verdict);
        assert_eq!(server.asked(), 1);
    }
}

#[test]
fn a_peer_that_names_nobody_is_unknown() {
    let peer = Peer::new(&authority(), &["ldap://127.0.0.1/a", "https://127.0.0.1/a"]);
    let authorities = authorities(PATIENCE);
    let unknown = Verdict::Unknown(Unknown::NoSource);
    assert_eq!(peer.remembered(&authorities), unknown);
}

/// Nor is it asked again at once.
#[test]
fn what_does_not_stand_is_no_answer() {
    let issuer = authority();
    let right = || list(&issuer, &[7], 2040);
    let mut cut = right();
    cut.pop();
    let endless = |stream: &mut TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            stream.write_all(&[0x30; 4096])?;
        }
    };
    let header = |stream: &mut TcpStream| loop {
        stream.write_all(b"X-More: more\r\n")?;
    };
    let elsewhere = "Location: http://127.0.0.1:1/\r\n";
    let behaviours: [(&str, Behaviour); 11] = [
        (
            "of another authority",
            serves(list(&authority(), &[7], 2040)),
        ),
        ("cut off", serves(cut)),
        ("garbage", serves(b"garbage".to_vec())),
        ("nothing", serves(Vec::new())),
        ("not found", says("404 Not Found", "", right())),
        ("failed", says("500 Oops", "", right())),
        ("elsewhere", says("302 Found", elsewhere, right())),
        ("too large", serves(vec![0x30; REVOCATION_LIST_LEN_MAX + 1])),
        ("endless", Box::new(endless)),
        ("endless header", Box::new(header)),
        ("not HTTP", Box::new(|stream| stream.write_all(b"hello\n"))),
    ];
    for (name, behaviour) in behaviours {
        let server = Server::start(behaviour);
        let authorities = authorities(PATIENCE);
        let peer = Peer::new(&issuer, &[&server.address]);
        let no_answer = Verdict::Unknown(Unknown::NoAnswer);
        assert_eq!(peer.judged(&authorities), no_answer, "{name}");
        assert_eq!(peer.remembered(&authorities), no_answer, "{name}");
        let relaxed = peer.verify(RevocationPolicy::Relaxed, &authorities);
        assert!(relaxed.unwrap().is_none(), "{name}");
        assert_eq!(server.asked(), 1, "{name}");
    }
}

/// Whether it says nothing, or goes on saying a little.
#[test]
fn who_takes_too_long_is_not_waited_for() {
    let silent = |stream: &mut TcpStream| stream.read_exact(&mut [0]);
    let slow = |stream: &mut TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            stream.write_all(&[0x30])?;
            thread::sleep(Duration::from_millis(10));
        }
    };
    let behaviours: [Behaviour; 2] = [Box::new(silent), Box::new(slow)];
    for behaviour in behaviours {
        let server = Server::start(behaviour);
        let authorities = authorities(Duration::from_millis(200));
        let peer = Peer::new(&authority(), &[&server.address]);
        let no_answer = Verdict::Unknown(Unknown::NoAnswer);
        assert_eq!(peer.judged(&authorities), no_answer);
        assert_eq!(peer.remembered(&authorities), no_answer);
    }
}

#[test]
fn the_next_address_is_asked_if_one_gives_nothing() {
    let issuer = authority();
    let bad = Server::start(serves(b"garbage".to_vec()));
    let good = Server::start(serves(list(&issuer, &[7], 2040)));
    let peer = Peer::new(&issuer, &[&bad.address, &good.address]);
    let authorities = authorities(PATIENCE);
    assert_eq!(peer.judged(&authorities), Verdict::Revoked);
    assert_eq!(peer.remembered(&authorities), Verdict::Revoked);
    assert_eq!((bad.asked(), good.asked()), (1, 1));
}

#[test]
fn a_list_that_is_out_of_date_vouches_for_nobody() {
    let issuer = authority();
    let expired = Unknown::Expired(NOW);
    for (serials, verdict) in [
        (&[3][..], Verdict::Unknown(expired)),
        (&[7], Verdict::Revoked),
    ] {
        let server = Server::start(serves(list(&issuer, serials, 2030)));
        let authorities = authorities(PATIENCE);
        let peer = Peer::new(&issuer, &[&server.address]);
        assert_eq!(peer.judged(&authorities), verdict);
    }
}

#[test]
fn many_peers_of_an_authority_ask_once() {
    let issuer = authority();
    let server = Server::start(serves(list(&issuer, &[3], 2040)));
    let authorities = authorities(PATIENCE);
    let peers = [(); 4].map(|()| Peer::new(&issuer, &[&server.address]));
    let inquire = |peer: &Peer| peer.verify(RevocationPolicy::Strict, &authorities);
    let inquiries = peers.each_ref().map(|peer| inquire(peer).unwrap().unwrap());
    thread::scope(|scope| {
        for inquiry in &inquiries {
            scope.spawn(|| inquiry.run(&authorities, NOW).unwrap());
        }
    });
    assert_eq!(server.asked(), 1);
}

/// What a certificate names must not be a way to services of this machine.
#[test]
fn this_machine_is_not_asked() {
    let issuer = authority();
    let server = Server::start(serves(list(&issuer, &[7], 2040)));
    let by_name = server.address.replace("127.0.0.1", "localhost");
    let mapped = server.address.replace("127.0.0.1", "[::ffff:127.0.0.1]");
    let authorities = Authorities::default();
    for address in [&server.address, &by_name, &mapped] {
        let peer = Peer::new(&issuer, &[address]);
        let no_answer = Verdict::Unknown(Unknown::NoAnswer);
        assert_eq!(peer.judged(&authorities), no_answer, "{address}");
    }
    assert_eq!(server.asked(), 0);
    for (address, may) in [
        ("192.0.2.1", true),
        ("10.0.0.1", true),
        ("2001:db8::1", true),
        ("fd00::1", true),
        ("127.1.2.3", false),
        ("::1", false),
        ("::ffff:127.0.0.1", false),
        ("169.254.169.254", false),
        ("::ffff:169.254.169.254", false),
        ("fe80::1", false),
        ("0.0.0.0", false),
        ("::", false),
        ("224.0.0.1", false),
        ("ff02::1", false),
        ("255.255.255.255", false),
    ] {
        assert_eq!(may_be_asked(address.parse().unwrap()), may, "{address}");
    }
}

/// Lists come unprotected but for their signature: whoever brings an old one does not
/// make those good who were revoked since.
#[test]
fn a_list_is_not_replaced_by_one_before_it() {
    let issuer = authority();
    let place = Place {
        address: "a".to_owned(),
        issuer: Peer::new(&issuer, &[]).issued().issuer,
        serial: None,
    };
    let mut memory = Memory::default();
    for (made, is_kept) in [(2022, true), (2021, false), (2022, true), (2023, true)] {
        let list = list_of(&issuer, &[7], made, 2040);
        let list = Arc::new(RevocationList::from_der(&list).unwrap());
        assert_eq!(memory.keep(&place, list), is_kept, "{made}");
    }
}

#[test]
fn memory_is_bounded() {
    let issuer = authority();
    let issued = Peer::new(&issuer, &[]).issued();
    let place = |number: u32| Place {
        address: number.to_string(),
        issuer: issued.issuer.clone(),
        serial: None,
    };
    let kept = |memory: &Memory, number: u32| {
        let mut issued = issued.clone();
        issued.lists = vec![number.to_string()];
        memory.known(&issued, NOW) == Some(Status::Good)
    };
    let mut memory = Memory::default();
    for number in 0..100 {
        // The later, the sooner it ends.
        let year = 2200 - i32::try_from(number).unwrap();
        let list = RevocationList::from_der(&list(&issuer, &[], year)).unwrap();
        assert!(memory.keep(&place(number), Arc::new(list)));
        assert!(kept(&memory, number), "the newest stays");
    }
    let count = (0..100).filter(|number| kept(&memory, *number)).count();
    assert_eq!(count, 64);
    assert!(kept(&memory, 0));
    let ends = |seconds: u64| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    for number in 0..5000 {
        let place = place(number + 1000);
        let until = ends(NOW.as_secs() + 1 + u64::from(number));
        let status = Status::Good;
        memory.keep_answer(&place, Answer { status, until });
    }
    let kept = (1000..6000).filter(|number| kept(&memory, *number));
    assert_eq!(kept.count(), 4096);
    for number in 0..2000 {
        memory.fail(&place(number), NOW);
    }
    let failed = |number: &u32| memory.has_failed(&place(*number), NOW);
    assert_eq!((0..2000).filter(failed).count(), 1024);
    assert!(!memory.has_failed(&place(1999), ends(NOW.as_secs() + 60)));
}
