//! Names that authorities may vouch for.

use alloc::vec;
use alloc::vec::Vec;

use rcgen::{CertifiedIssuer, DnType, GeneralSubtree, NameConstraints, SanType};

use super::*;
use RevocationPolicy::Off;

/// RFC 5280 §4.2.1.10. Of mail addresses, distinguished names and URIs none
/// stands under an authority that is bound in them.
#[test]
fn no_name_stands_that_an_authority_may_not_vouch_for() {
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let mail = |name: &str| SanType::Rfc822Name(name.try_into().unwrap());
    let only = |name: GeneralSubtree| NameConstraints {
        permitted_subtrees: vec![name],
        excluded_subtrees: Vec::new(),
    };
    let but = |name: GeneralSubtree| NameConstraints {
        permitted_subtrees: Vec::new(),
        excluded_subtrees: vec![name],
    };
    let domain = || GeneralSubtree::DnsName("example.com".into());
    let mails = || GeneralSubtree::Rfc822Name("example.com".into());
    let net =
        || GeneralSubtree::IpAddress(rcgen::CidrSubnet::V4([192, 0, 2, 0], [255, 255, 255, 0]));
    let address = |last| SanType::IpAddress([192, 0, last, 1].into());
    for (constraints, name, identity, stands) in [
        (only(domain()), dns("a.example.com"), "a.example.com", true),
        (only(domain()), dns("a.example.org"), "a.example.org", false),
        (but(domain()), dns("a.example.com"), "a.example.com", false),
        (but(domain()), dns("a.example.org"), "a.example.org", true),
        (only(net()), address(2), "192.0.2.1", true),
        (only(net()), address(3), "192.0.3.1", false),
        (but(net()), address(2), "192.0.2.1", false),
        (only(mails()), mail("a@example.org"), "a@example.org", false),
        (only(mails()), mail("a@example.com"), "a@example.com", false),
        (but(mails()), mail("a@example.com"), "a@example.com", false),
        (only(mails()), dns("a.example.com"), "a.example.com", true),
    ] {
        let expected = if stands {
            Ok(())
        } else {
            Err(CredentialError::NameConstraints)
        };
        // Whether it is the anchor that is bound, or an authority below it.
        let mut params = authority_params("bound");
        params.name_constraints = Some(constraints);
        let anchor = CertifiedIssuer::self_signed(params.clone(), key()).unwrap();
        let named = |issuer| peer(issuer, |it| it.subject_alt_names = vec![name.clone()]);
        let peer = named(&anchor).as_(identity);
        assert_eq!(peer.judged(&anchor, Off, &[]), expected, "{name:?}");
        let root = root("root");
        let below = CertifiedIssuer::signed_by(params, key(), &root).unwrap();
        let peer = named(&below).through(&below).as_(identity);
        assert_eq!(peer.judged(&root, Off, &[]), expected, "{name:?}");
    }
}

/// RFC 5280 §4.2.1.10: the attribute in a subject is bound as well.
#[test]
fn a_mail_address_in_the_subject_is_bound() {
    let email = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
    let subject = |issuer: &Authority| {
        let peer = peer(issuer, |params| {
            let address = rcgen::DnValue::Ia5String("a@example.org".try_into().unwrap());
            params.distinguished_name.push(email.clone(), address);
        });
        let leaf = Certificate::from_der(&peer.chain[0]).unwrap();
        let name = leaf.tbs_certificate().subject().to_der().unwrap();
        let identity = Identity::DistinguishedName(name);
        Peer { identity, ..peer }
    };
    let bound = |subtree| {
        let mut params = authority_params("bound");
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![subtree],
            excluded_subtrees: Vec::new(),
        });
        params
    };
    let refused = Err(CredentialError::NameConstraints);
    let mails = || bound(GeneralSubtree::Rfc822Name("example.com".into()));
    let anchor = CertifiedIssuer::self_signed(mails(), key()).unwrap();
    assert_eq!(subject(&anchor).judged(&anchor, Off, &[]), refused);
    let free = root("root");
    let below = CertifiedIssuer::signed_by(mails(), key(), &free).unwrap();
    let peer = subject(&below).through(&below);
    assert_eq!(peer.judged(&free, Off, &[]), refused);
    let domain = bound(GeneralSubtree::DnsName("example.com".into()));
    let anchor = CertifiedIssuer::self_signed(domain, key()).unwrap();
    assert_eq!(subject(&anchor).judged(&anchor, Off, &[]), Ok(()));
    assert_eq!(subject(&free).judged(&free, Off, &[]), Ok(()));
}
