//! What is chosen of what is offered.

use super::*;
use crate::profile::Profile;
use crate::wire::payload::sa::Transform;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

fn ike(number: u8, transforms: &[(TransformType, u16, Option<u16>)]) -> Proposal {
    Proposal {
        number,
        protocol: ProtocolId::IKE,
        spi: Vec::new(),
        transforms: transforms
            .iter()
            .map(|(kind, id, bits)| Transform::new(*kind, *id, *bits))
            .collect(),
    }
}

const ENCR: TransformType = TransformType::ENCRYPTION;
const INTEG: TransformType = TransformType::INTEGRITY;
const PRF: TransformType = TransformType::PRF;
const KE: TransformType = TransformType::KEY_EXCHANGE;

fn chosen(proposals: &[Proposal]) -> Option<(String, u8)> {
    choose_ike(proposals, &IkeAlgorithms::of(Profile::Compatible))
        .map(|chosen| (chosen.suite.to_string(), chosen.number))
}

#[test]
fn our_order_decides_and_the_number_is_the_peers() {
    // A client that prefers CBC and MODP, and counts from 7.
    let cbc = ike(
        7,
        &[
            (ENCR, 12, Some(256)),
            (ENCR, 12, Some(128)),
            (INTEG, 14, None),
            (INTEG, 12, None),
            (PRF, 7, None),
            (PRF, 5, None),
            (KE, 14, None),
            (KE, 19, None),
        ],
    );
    let expected = "aes256-cbc-sha2-256/prf-sha2-256/ecp256".to_string();
    assert_eq!(chosen(core::slice::from_ref(&cbc)), Some((expected, 7)));
    let gcm = ike(
        8,
        &[
            (ENCR, 20, Some(128)),
            (PRF, 5, None),
            (KE, 31, None),
            (KE, 14, None),
        ],
    );
    let expected = "aes128-gcm16/prf-sha2-256/x25519".to_string();
    assert_eq!(chosen(&[cbc, gcm]), Some((expected, 8)));
}

/// RFC 5282 §8: an AEAD goes with no integrity algorithm, or with NONE.
#[test]
fn an_aead_goes_without_integrity() {
    let gcm = |integrity: u16| {
        ike(
            1,
            &[
                (ENCR, 20, Some(256)),
                (INTEG, integrity, None),
                (PRF, 5, None),
                (KE, 19, None),
            ],
        )
    };
    assert!(chosen(&[gcm(0)]).is_some());
    assert!(chosen(&[gcm(12)]).is_none());
}

/// RFC 9370 §2.2.1: additional key exchanges are transforms of types of
/// their own; whoever does not know them takes the proposal without.
#[test]
fn a_proposal_with_an_unknown_transform_type_is_passed_over() {
    let classical = [(ENCR, 20, Some(256)), (PRF, 5, None), (KE, 31, None)];
    let mut hybrid = classical.to_vec();
    hybrid.push((TransformType(6), 36, None));
    let (_, number) = chosen(&[ike(1, &hybrid), ike(2, &classical)]).unwrap();
    assert_eq!(number, 2);
    assert_eq!(chosen(&[ike(1, &hybrid)]), None);
    let mut odd = ike(1, &hybrid);
    for transform in &mut odd.transforms {
        transform.unknown_attribute = !is_known(transform.kind);
    }
    assert_eq!(chosen(&[odd]), None);
    let mut esp = offer_esp(&EspAlgorithms::of(Profile::Compatible), &[], EspSpi(256));
    for proposal in &mut esp {
        let additional = Transform::new(TransformType(6), 36, None);
        proposal.transforms.push(additional);
    }
    assert!(choose_esp(&esp, &EspAlgorithms::of(Profile::Compatible), Pfs::Never).is_none());
}

#[test]
fn nothing_is_chosen_where_something_is_missing() {
    for transforms in [
        &[(ENCR, 12, Some(256)), (PRF, 5, None), (KE, 19, None)][..],
        &[(ENCR, 20, Some(256)), (KE, 19, None)],
        &[(ENCR, 20, Some(256)), (PRF, 5, None)],
        &[(ENCR, 20, Some(192)), (PRF, 5, None), (KE, 19, None)],
        &[(ENCR, 20, None), (PRF, 5, None), (KE, 19, None)],
        &[(ENCR, 28, Some(256)), (PRF, 5, None), (KE, 19, None)],
        &[
            (ENCR, 3, None),
            (INTEG, 2, None),
            (PRF, 2, None),
            (KE, 2, None),
        ],
    ] {
        assert_eq!(chosen(&[ike(1, transforms)]), None, "{transforms:?}");
    }
    let mut odd = ike(1, &[(ENCR, 20, Some(256)), (PRF, 5, None), (KE, 19, None)]);
    assert!(chosen(core::slice::from_ref(&odd)).is_some());
    odd.transforms[1].unknown_attribute = true;
    assert_eq!(chosen(&[odd]), None);
    assert_eq!(chosen(&[]), None);
}

#[test]
fn what_we_offer_we_would_choose() {
    let offer = offer_ike(&IkeAlgorithms::of(Profile::Compatible), None);
    let numbers: Vec<u8> = offer.iter().map(|proposal| proposal.number).collect();
    assert_eq!(numbers, [1, 2]);
    let (suite, number) = chosen(&offer).unwrap();
    assert_eq!(suite, "aes256-gcm16/prf-sha2-256/x25519");
    assert_eq!(number, 1);
    let offer = offer_esp(
        &EspAlgorithms::of(Profile::Compatible),
        &[],
        EspSpi(0xc0ff_ee00),
    );
    let chosen = choose_esp(&offer, &EspAlgorithms::of(Profile::Compatible), Pfs::Never).unwrap();
    assert_eq!(chosen.suite.to_string(), "aes256-gcm16/esn");
    assert_eq!(chosen.spi, EspSpi(0xc0ff_ee00));
}

/// Clients offer groups in IKE_AUTH, where there is no key exchange
/// (RFC 7296 §1.2), and some leave ESN out.
#[test]
fn groups_in_an_esp_offer_do_not_matter() {
    let proposal = Proposal {
        number: 1,
        protocol: ProtocolId::ESP,
        spi: alloc::vec![1, 2, 3, 4],
        transforms: alloc::vec![
            Transform::new(ENCR, 20, Some(256)),
            Transform::new(KE, 19, None),
        ],
    };
    let chosen = choose_esp(
        &[proposal],
        &EspAlgorithms::of(Profile::Compatible),
        Pfs::Never,
    )
    .unwrap();
    assert_eq!(chosen.suite.to_string(), "aes256-gcm16");
    assert_eq!(chosen.spi, EspSpi(0x0102_0304));
    let answer = chosen_esp(&chosen, EspSpi(9));
    assert!(
        answer
            .transforms
            .iter()
            .all(|transform| transform.kind != KE)
    );
}

/// What clients offer when they rekey a CHILD SA: with a key exchange,
/// without, or both.
#[test]
fn a_key_exchange_of_its_own_is_taken_with_the_group_that_was_sent() {
    let ours = [Group::Curve25519, Group::Ecp256];
    let esp = |groups: &[u16]| {
        let mut transforms = alloc::vec![Transform::new(ENCR, 20, Some(256))];
        transforms.extend(groups.iter().map(|id| Transform::new(KE, *id, None)));
        [Proposal {
            number: 1,
            protocol: ProtocolId::ESP,
            spi: alloc::vec![1, 2, 3, 4],
            transforms,
        }]
    };
    let chosen = |groups: &[u16], sent: Option<GroupId>| {
        let pfs = Pfs::Allowed {
            groups: &ours,
            sent,
        };
        choose_esp(&esp(groups), &EspAlgorithms::of(Profile::Compatible), pfs)
            .map(|chosen| chosen.group)
    };
    let (x25519, ecp256) = (Some(Some(ours[0])), Some(Some(ours[1])));
    let sent = Some(GroupId::ECP_256);
    assert_eq!(chosen(&[31, 19], sent), ecp256);
    assert_eq!(chosen(&[19, 0], sent), ecp256);
    assert_eq!(chosen(&[], sent), Some(None));
    assert_eq!(chosen(&[31, 0], None), Some(None));
    // The caller asks for a value of that group.
    assert_eq!(chosen(&[31, 19], None), x25519);
    assert_eq!(chosen(&[31], sent), x25519);
    assert_eq!(chosen(&[14], sent), None);
    assert_eq!(chosen(&[14, 0], sent), Some(None));
}

/// With MODP-1024 a longer key is worth nothing.
#[test]
fn what_can_be_broken_is_chosen_last() {
    let legacy = IkeAlgorithms::of(Profile::LegacyWindows);
    let weak = [
        (ENCR, 12, Some(256)),
        (INTEG, 12, None),
        (PRF, 5, None),
        (KE, 2, None),
    ];
    let strong = [
        (ENCR, 12, Some(128)),
        (INTEG, 12, None),
        (PRF, 5, None),
        (KE, 19, None),
    ];
    let offer = [ike(1, &weak), ike(2, &strong)];
    let number = |offer: &[Proposal]| choose_ike(offer, &legacy).map(|chosen| chosen.number);
    assert_eq!(number(&offer), Some(2));
    assert_eq!(number(&offer[..1]), Some(1));
}
