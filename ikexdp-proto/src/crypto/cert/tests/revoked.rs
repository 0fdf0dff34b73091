//! What has been revoked.

use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope,
    CustomExtension, KeyIdMethod, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

use super::*;
use RevocationPolicy::{Off, Relaxed, Strict};

const POINT: &str = "http://crl.example.com/a.crl";

fn params(serials: &[u64]) -> CertificateRevocationListParams {
    CertificateRevocationListParams {
        this_update: date_time_ymd(2029, 12, 1),
        next_update: date_time_ymd(2030, 2, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: serials
            .iter()
            .map(|serial| RevokedCertParams {
                serial_number: SerialNumber::from(*serial),
                revocation_time: date_time_ymd(2029, 11, 1),
                reason_code: Some(rcgen::RevocationReason::KeyCompromise),
                invalidity_date: None,
            })
            .collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

fn signed(params: &CertificateRevocationListParams, issuer: &Authority) -> RevocationList {
    RevocationList::from_der(params.signed_by(issuer).unwrap().der()).unwrap()
}

fn list(serials: &[u64], issuer: &Authority) -> RevocationList {
    signed(&params(serials), issuer)
}

fn revoked(subject: &str) -> Result<(), CredentialError> {
    Err(CredentialError::Revoked {
        subject: subject.into(),
        revoked: Revoked {
            // 2029-11-01.
            since: UnixTime::since_unix_epoch(Duration::from_secs(1_888_185_600)),
            reason: Some("keyCompromise"),
        },
    })
}

fn unknown(why: Unknown) -> Result<(), CredentialError> {
    Err(CredentialError::StatusUnknown {
        subject: "CN=peer".into(),
        why,
    })
}

#[test]
fn who_is_in_the_list_of_its_issuer_is_revoked() {
    let root = root("root");
    let peer = peer(&root, |_| ());
    let list = list(&[3, 7, 9], &root);
    for (policy, verdict) in [
        (Off, Ok(())),
        (Relaxed, revoked("CN=peer")),
        (Strict, revoked("CN=peer")),
    ] {
        assert_eq!(peer.judged(&root, policy, &[&list]), verdict, "{policy}");
    }
    let text = peer.judged(&root, Strict, &[&list]).unwrap_err();
    let expected = "certificate is revoked since 2029-11-01T00:00:00Z, keyCompromise: CN=peer";
    assert_eq!(alloc::format!("{text}"), expected);
}

#[test]
fn who_is_in_no_list_is_good_if_there_is_one() {
    let root = root("root");
    let peer = peer(&root, |_| ());
    for policy in [Off, Relaxed, Strict] {
        for serials in [&[][..], &[3, 8, 0x0700]] {
            let list = list(serials, &root);
            assert_eq!(peer.judged(&root, policy, &[&list]), Ok(()), "{policy}");
        }
    }
    assert_eq!(peer.judged(&root, Relaxed, &[]), Ok(()));
    let verdict = peer.judged(&root, Strict, &[]);
    assert_eq!(verdict, unknown(Unknown::NoSource));
}

/// Another authority has serial numbers of its own; who only has its name is
/// another (RFC 5280 §6.3.3 f and g).
#[test]
fn a_list_counts_for_whoever_signed_it() {
    let root_ours = root("root");
    let peer = peer(&root_ours, |_| ());
    for other in [root("other"), root("root")] {
        let list = list(&[7], &other);
        assert_eq!(peer.judged(&root_ours, Relaxed, &[&list]), Ok(()));
        let verdict = peer.judged(&root_ours, Strict, &[&list]);
        assert_eq!(verdict, unknown(Unknown::NoSource));
        // Nor does it hide the right one.
        let right = self::list(&[7], &root_ours);
        let verdict = peer.judged(&root_ours, Relaxed, &[&list, &right]);
        assert_eq!(verdict, revoked("CN=peer"));
    }
}

#[test]
fn a_list_with_a_changed_octet_is_nobodys() {
    let root = root("root");
    let peer = peer(&root, |_| ());
    let encoded = params(&[7]).signed_by(&root).unwrap();
    let mut octets = encoded.der().to_vec();
    // The entry's serial number, so that another would be revoked.
    let place = octets.windows(3).position(|it| it == [2, 1, 7]).unwrap();
    octets[place + 2] = 8;
    let list = RevocationList::from_der(&octets).unwrap();
    let verdict = peer.judged(&root, Strict, &[&list]);
    assert_eq!(verdict, unknown(Unknown::NoSource));
}

#[test]
fn a_signature_that_was_looked_at_counts_for_that_key_only() {
    let (ours, other) = (root("root"), root("root"));
    let mut list = list(&[7], &other);
    assert_eq!(list.find_signer(&trust(&root("r"))), Signer::Elsewhere);
    assert_eq!(list.find_signer(&trust(&ours)), Signer::Namesake);
    assert_eq!(list.find_signer(&trust(&other)), Signer::Anchor);
    assert_eq!(list.to_string(), "CN=root (until 2030-02-01T00:00:00Z)");
    let peer_of = |root: &Authority| peer(root, |_| ());
    assert_eq!(peer_of(&ours).judged(&ours, Relaxed, &[&list]), Ok(()));
    let verdict = peer_of(&other).judged(&other, Relaxed, &[&list]);
    assert_eq!(verdict, revoked("CN=peer"));
}

#[test]
fn an_expired_list_revokes_and_vouches_for_nobody() {
    let root = root("root");
    let peer = peer(&root, |_| ());
    let expired = |serials| {
        let mut params = params(serials);
        params.next_update = date_time_ymd(2030, 1, 1);
        signed(&params, &root)
    };
    let with = expired(&[7]);
    assert_eq!(peer.judged(&root, Relaxed, &[&with]), revoked("CN=peer"));
    let without = expired(&[]);
    assert_eq!(peer.judged(&root, Relaxed, &[&without]), Ok(()));
    let verdict = peer.judged(&root, Strict, &[&without]);
    assert_eq!(verdict, unknown(Unknown::Expired(NOW)));
}

#[test]
fn a_list_of_tomorrow_does_not_count_today() {
    let root = root("root");
    let peer = peer(&root, |_| ());
    let mut params = params(&[]);
    params.this_update = date_time_ymd(2030, 1, 2);
    let verdict = peer.judged(&root, Strict, &[&signed(&params, &root)]);
    let tomorrow = UnixTime::since_unix_epoch(Duration::from_secs(1_893_542_400));
    assert_eq!(verdict, unknown(Unknown::Early(tomorrow)));
}

/// Who was on hold may be released.
#[test]
fn the_newest_list_decides() {
    let root = root("root");
    let peer = peer(&root, |_| ());
    let old = list(&[7], &root);
    let mut params = params(&[]);
    params.this_update = date_time_ymd(2029, 12, 2);
    let new = signed(&params, &root);
    for lists in [[&old, &new], [&new, &old]] {
        assert_eq!(peer.judged(&root, Strict, &lists), Ok(()));
    }
}

/// As strongSwan and Windows have it: every certificate but the anchor.
#[test]
fn the_whole_path_is_looked_at() {
    let root = root("root");
    let between = |usages: &[KeyUsagePurpose], key| {
        let mut params = authority_params("between");
        params.key_usages = usages.to_vec();
        CertifiedIssuer::signed_by(params, key, &root).unwrap()
    };
    let usages = [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let intermediate = between(&usages, key());
    let peer_of = |intermediate: &Authority| peer(intermediate, |_| ()).through(intermediate);
    let peer = peer_of(&intermediate);
    let (good, of_root) = (list(&[], &intermediate), list(&[], &root));
    assert_eq!(peer.judged(&root, Strict, &[&good, &of_root]), Ok(()));
    let without_leaf = peer.judged(&root, Strict, &[&of_root]);
    assert_eq!(without_leaf, unknown(Unknown::NoSource));
    let without_authority = peer.judged(&root, Strict, &[&good]).unwrap_err();
    assert!(matches!(
        without_authority,
        CredentialError::StatusUnknown { subject, .. } if subject == "CN=between"
    ));
    let verdict = peer.judged(&root, Relaxed, &[&list(&[5], &root)]);
    assert_eq!(verdict, revoked("CN=between"));
    // RFC 5280 §6.3.3 f: the authority's key must be for that.
    for (usages, counts) in [(&usages[..], true), (&usages[..1], false)] {
        let pair = key();
        let same = KeyPair::try_from(pair.serialize_der()).unwrap();
        let signer = CertifiedIssuer::self_signed(authority_params("between"), same).unwrap();
        let intermediate = between(usages, pair);
        let peer = peer_of(&intermediate);
        let verdict = peer.judged(&root, Relaxed, &[&list(&[7], &signer)]);
        assert_eq!(verdict.is_err(), counts);
    }
}

#[test]
fn a_list_of_some_certificates_is_about_those() {
    let root = root("root");
    let scoped = |scope, point: &str| {
        let mut params = params(&[7]);
        params.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint {
                uris: vec![point.into()],
            },
            scope,
        });
        signed(&params, &root)
    };
    let at = |points: &[&str]| {
        let points: Vec<_> = points.iter().map(|it| (*it).into()).collect();
        peer(&root, |params| {
            params.crl_distribution_points = points
                .iter()
                .map(|point: &alloc::string::String| CrlDistributionPoint {
                    uris: vec![point.clone()],
                })
                .collect();
        })
    };
    let elsewhere = "http://crl.example.com/b.crl";
    for (points, scope, revoked) in [
        (&[][..], None, true),
        (&[], Some(CrlScope::UserCertsOnly), true),
        (&[], Some(CrlScope::CaCertsOnly), false),
        (&[POINT], None, true),
        (&[elsewhere, POINT], None, true),
        (&[elsewhere], None, false),
    ] {
        let verdict = at(points).judged(&root, Relaxed, &[&scoped(scope, POINT)]);
        assert_eq!(verdict.is_err(), revoked, "{points:?} {scope:?}");
    }
    // RFC 5280 §6.3.3 (b)(2): who is not in one of several lists may be in another.
    let nobody = |points: &[&'static str]| {
        let mut list = params(&[]);
        list.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint {
                uris: alloc::vec![POINT.into()],
            },
            scope: None,
        });
        let list = signed(&list, &root);
        at(points).judged(&root, Strict, &[&list]).is_ok()
    };
    assert!(nobody(&[POINT]) && !nobody(&[]));
}

/// RFC 5280 §5.2.4, §5.2.5: what such lists leave out would count as good.
#[test]
fn delta_and_indirect_lists_are_not_taken() {
    let root = root("root");
    let encoded = params(&[7]).signed_by(&root).unwrap();
    let octets = encoded.der().to_vec();
    // The authority key identifier becomes a delta CRL indicator.
    let place = octets
        .windows(5)
        .position(|it| it == [6, 3, 0x55, 0x1d, 35]);
    let mut delta = octets.clone();
    delta[place.unwrap() + 4] = 27;
    let error = RevocationList::from_der(&delta).unwrap_err();
    assert_eq!(error, RevocationListError::Delta);

    let mut params = params(&[7]);
    params.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
        distribution_point: CrlDistributionPoint {
            uris: vec![POINT.into()],
        },
        scope: Some(CrlScope::UserCertsOnly),
    });
    let mut indirect = params.signed_by(&root).unwrap().der().to_vec();
    // onlyContainsUserCerts [1] becomes indirectCRL [4].
    let place = indirect.windows(3).position(|it| it == [0x81, 1, 0xff]);
    indirect[place.unwrap()] = 0x84;
    let error = RevocationList::from_der(&indirect).unwrap_err();
    assert_eq!(error, RevocationListError::Indirect);

    for garbage in [&b""[..], b"garbage", &octets[..octets.len() - 1]] {
        let error = RevocationList::from_der(garbage).unwrap_err();
        assert_eq!(error, RevocationListError::Unreadable);
    }
}

/// Answers as it was told to, and counts.
#[derive(Debug)]
struct Told {
    known: Option<Status>,
    asked: Status,
}

impl StatusSource for Told {
    fn known(&self, _: &Issued, _: UnixTime) -> Option<Status> {
        self.known
    }

    fn ask(&self, issued: &Issued, _: UnixTime) -> Status {
        assert_eq!(issued.lists, [POINT]);
        assert_eq!(issued.responders, ["http://ocsp.example.com"]);
        self.asked
    }
}

/// Nobody is asked for whom has not proved who it is, nor where a list says it.
#[test]
fn others_are_asked_when_nothing_else_is_left() {
    let root = root("root");
    let peer = peer(&root, |params| {
        params.crl_distribution_points = ["ldap://crl.example.com/a", POINT]
            .map(|uri| CrlDistributionPoint {
                uris: vec![uri.into()],
            })
            .to_vec();
        // AccessDescription { id-ad-ocsp, URI }.
        let mut content = vec![0x30, 0x25, 0x30, 0x23, 6, 8];
        content.extend([0x2b, 6, 1, 5, 5, 7, 0x30, 1, 0x86, 23]);
        content.extend(b"http://ocsp.example.com");
        let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
        params.custom_extensions = vec![CustomExtension::from_oid_content(&oid, content)];
    });
    let anchors = |policy, lists| {
        let lists = Vec::from_iter(Option::<RevocationList>::map(lists, Arc::new));
        trust(&root).with_revocation(Revocation {
            policy,
            lists,
            fetch: true,
        })
    };
    let nobody = Status::Unknown(Unknown::NoAnswer);
    let gone = Status::Revoked(Revoked {
        since: NOW,
        reason: None,
    });
    for (asked, strict, relaxed) in [
        (Status::Good, true, true),
        (gone, false, false),
        (nobody, false, true),
    ] {
        for (policy, expected) in [(Strict, strict), (Relaxed, relaxed)] {
            let told = |known| Told { known, asked };
            let source = told(None);
            let inquiry = peer.verify(&anchors(policy, None), &source).unwrap();
            let verdict = inquiry.unwrap().run(&source, NOW);
            assert_eq!(verdict.is_ok(), expected, "{policy} {asked:?}");
            // What is known is not asked again.
            let source = told(Some(asked));
            let verdict = peer.verify(&anchors(policy, None), &source);
            assert_eq!(verdict.is_ok_and(|it| it.is_none()), expected, "{policy}");
            let listed = anchors(policy, Some(list(&[], &root)));
            assert!(peer.verify(&listed, &source).unwrap().is_none());
            let impostor = Peer {
                key: self::peer(&root, |_| ()).key,
                chain: peer.chain.clone(),
                identity: peer.identity.clone(),
            };
            let verdict = impostor.verify(&anchors(policy, None), &told(None));
            assert_eq!(verdict.unwrap_err(), CredentialError::BadSignature);
        }
    }
}
