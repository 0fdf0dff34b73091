//! Responders; the answers are openssl's.

use std::fs;
use std::process::Command;

use ikexdp_proto::crypto::cert::{AnswerError, ResponseStatus, Revoked};
use rcgen::ExtendedKeyUsagePurpose;
use tempfile::TempDir;

use super::*;
use crate::clock::unix_time;

const DAY: u64 = 24 * 3600;

/// An authority with somebody who answers for it.
struct Responder {
    issuer: Authority,
    directory: TempDir,
}

/// Who signs answers.
#[derive(Clone, Copy, Debug)]
enum Signer<'a> {
    Issuer,
    /// Who has a certificate with this usage of another authority, or of the same.
    Delegate(Option<&'a Authority>, &'a [ExtendedKeyUsagePurpose]),
}

const OCSP: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::OcspSigning];

impl Responder {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // openssl signs no answer with Ed25519.
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
            directory: TempDir::new().unwrap(),
        }
    }

    /// Knows the certificate with number 7 as `entry` says.
    fn knowing(self, entry: &str) -> Self {
        let line = match entry {
            "unknown" => String::new(),
            "good" => "V\t400101000000Z\t\t07\tunknown\t/CN=peer\n".to_owned(),
            date => format!("R\t400101000000Z\t{date}\t07\tunknown\t/CN=peer\n"),
        };
        fs::write(self.directory.path().join("index"), line).unwrap();
        self
    }

    fn signing(self, signer: Signer<'_>) -> Self {
        let key = KeyPair::generate().unwrap();
        let (certificate, key) = match signer {
            Signer::Issuer => (self.issuer.pem(), self.issuer.key().serialize_pem()),
            Signer::Delegate(issuer, usages) => {
                let mut params = CertificateParams::default();
                params.extended_key_usages = usages.to_vec();
                let issuer = issuer.unwrap_or(&self.issuer);
                let certificate = params.signed_by(&key, issuer).unwrap();
                (certificate.pem(), key.serialize_pem())
            }
        };
        for (file, content) in [
            ("ca.pem", self.issuer.pem()),
            ("signer.pem", certificate),
            ("signer.key", key),
        ] {
            fs::write(self.directory.path().join(file), content).unwrap();
        }
        self
    }

    fn answer(&self, request: &[u8]) -> Vec<u8> {
        fs::write(self.directory.path().join("request"), request).unwrap();
        let output = Command::new("openssl")
            .current_dir(self.directory.path())
            .args(["ocsp", "-index", "index", "-CA", "ca.pem", "-ndays", "1"])
            .args(["-rsigner", "signer.pem", "-rkey", "signer.key"])
            .args(["-reqin", "request", "-respout", "response"])
            .output()
            .expect("openssl runs");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl answers: {complaint}");
        fs::read(self.directory.path().join("response")).unwrap()
    }

    /// A certificate with number 7 of that authority.
    fn issued(&self) -> Issued {
        Peer::new(&self.issuer, &[]).issued()
    }
}

fn later(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(unix_time().as_secs() + seconds))
}

fn earlier(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(unix_time().as_secs() - seconds))
}

/// 2024-02-03.
const REVOKED: Status = Status::Revoked(Revoked {
    since: UnixTime::since_unix_epoch(Duration::from_secs(1_706_918_400)),
    reason: None,
});

#[test]
fn a_responder_says_what_it_knows() {
    for (entry, expected) in [
        ("good", Status::Good),
        ("240203000000Z", REVOKED),
        ("240203000000Z,keyCompromise", REVOKED),
        ("unknown", Status::Unknown(Unknown::Responder)),
    ] {
        for delegates in [false, true] {
            let responder = Responder::new().knowing(entry);
            let responder = responder.signing(if delegates {
                Signer::Delegate(None, OCSP)
            } else {
                Signer::Issuer
            });
            let issued = responder.issued();
            let response = responder.answer(&issued.status_request().unwrap());
            let answer = issued.read_status(&response, unix_time()).unwrap();
            assert_eq!(answer.status, expected, "{entry} {delegates}");
            assert!(answer.until <= later(DAY) && answer.until > later(DAY / 2));
        }
    }
}

/// RFC 6960 §3.2, §4.2.2.2.
#[test]
fn an_answer_stands_if_it_is_of_who_may_give_it_and_of_now() {
    let other = Responder::new().issuer;
    let any = &[ExtendedKeyUsagePurpose::Any];
    let client = &[ExtendedKeyUsagePurpose::ClientAuth];
    for signer in [
        Signer::Delegate(Some(&other), OCSP),
        Signer::Delegate(None, &[]),
        Signer::Delegate(None, client),
        Signer::Delegate(None, any),
    ] {
        let responder = Responder::new().knowing("good").signing(signer);
        let issued = responder.issued();
        let response = responder.answer(&issued.status_request().unwrap());
        let answer = issued.read_status(&response, unix_time());
        assert_eq!(answer, Err(AnswerError::Signer), "{signer:?}");
    }
    let responder = Responder::new().knowing("good").signing(Signer::Issuer);
    let issued = responder.issued();
    let response = responder.answer(&issued.status_request().unwrap());
    for (now, stands) in [
        (unix_time(), true),
        (later(DAY / 2), true),
        (later(2 * DAY), false),
        (earlier(60), true),
        (earlier(DAY), false),
    ] {
        let answer = issued.read_status(&response, now);
        assert_eq!(answer.is_ok(), stands);
        assert!(stands || answer == Err(AnswerError::Time));
    }
    // producedAt, the first time in it, is signed.
    let mut changed = response.clone();
    let place = changed.windows(2).position(|it| it == [0x18, 15]).unwrap();
    changed[place + 5] ^= 1;
    let answer = issued.read_status(&changed, unix_time());
    assert_eq!(answer, Err(AnswerError::Signer));
    // Another certificate of the same authority.
    let mut sibling = issued.clone();
    sibling.serial = vec![8];
    let answer = sibling.read_status(&response, unix_time());
    assert_eq!(answer, Err(AnswerError::Subject));
    let refused = issued.read_status(&[0x30, 3, 0x0a, 1, 6], unix_time());
    let unauthorized = AnswerError::Refused(ResponseStatus::Unauthorized);
    assert_eq!(refused, Err(unauthorized));
    for garbage in [&b""[..], b"garbage", &[0x30, 3, 0x0a, 1, 0], &response[1..]] {
        let answer = issued.read_status(garbage, unix_time());
        assert_eq!(answer, Err(AnswerError::Unreadable));
    }
    let mut response = response;
    while response.pop().is_some() {
        assert!(issued.read_status(&response, unix_time()).is_err());
    }
}

/// Serves what `responder` answers.
fn serve(responder: Responder) -> Server {
    Server::start(Box::new(move |stream| {
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request)?;
        let response = responder.answer(&request[..length]);
        let length = response.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        )?;
        stream.write_all(&response)
    }))
}

#[test]
fn a_responder_is_asked_once_and_before_lists() {
    for (entry, expected) in [("good", Status::Good), ("240203000000Z", REVOKED)] {
        let responder = Responder::new().knowing(entry).signing(Signer::Issuer);
        let lists = Server::start(serves(list(&responder.issuer, &[3], 4000)));
        let mut issued = responder.issued();
        let server = serve(responder);
        issued.responders = vec![server.address.clone()];
        issued.lists = vec![lists.address.clone()];
        let authorities = authorities(PATIENCE);
        assert_eq!(authorities.known(&issued, unix_time()), None);
        assert_eq!(authorities.ask(&issued, unix_time()), expected);
        assert_eq!(authorities.known(&issued, unix_time()), Some(expected));
        assert_eq!((server.asked(), lists.asked()), (1, 0));
        // It was not about another one, and counts for a day.
        let mut sibling = issued.clone();
        sibling.serial = vec![8];
        assert_eq!(authorities.known(&sibling, unix_time()), None);
        assert_eq!(authorities.known(&issued, later(2 * DAY)), None);
    }
}

#[test]
fn lists_are_fetched_if_the_responder_does_not_say() {
    for bad in ["unknown", "garbage", "long"] {
        let responder = Responder::new().knowing("unknown").signing(Signer::Issuer);
        let lists = Server::start(serves(list(&responder.issuer, &[7], 4000)));
        let mut issued = responder.issued();
        let server = match bad {
            "unknown" => serve(responder),
            "garbage" => Server::start(serves(b"garbage".to_vec())),
            _ => Server::start(serves(vec![0x30; ANSWER_LEN_MAX + 1])),
        };
        issued.responders = vec![server.address.clone()];
        let authorities = authorities(PATIENCE);
        let unknown = matches!(authorities.ask(&issued, unix_time()), Status::Unknown(_));
        assert!(unknown, "{bad}");
        issued.lists = vec![lists.address.clone()];
        let status = authorities.ask(&issued, unix_time());
        assert!(matches!(status, Status::Revoked(_)), "{bad}: {status:?}");
        assert_eq!((server.asked(), lists.asked()), (1, 1), "{bad}");
    }
}
