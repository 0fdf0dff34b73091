use super::same::{Comparison, Gateway, Repeat, Word};
use super::verdict::Verdict;
use super::*;

const SAME: Comparison = Comparison {
    repeat: Repeat::Identical,
    control: None,
    known_spi: Word::Silence,
    unknown_spi: Word::Silence,
    known_spi_again: None,
    gateway: Gateway::Same,
    half_open: 0,
};

const DEAF: Comparison = Comparison {
    repeat: Repeat::Silence,
    gateway: Gateway::Unknown,
    ..SAME
};

fn accepted(fragmentation: bool) -> Attempt {
    Attempt {
        port: IKE_PORT,
        outcome: Outcome::Accepted,
        fragmentation: Some(fragmentation),
        ..Attempt::default()
    }
}

fn refused(reason: &str, other_group: Option<&str>) -> Attempt {
    Attempt {
        outcome: Outcome::Refused,
        reason: Some(reason.to_owned()),
        other_group: other_group.map(str::to_owned),
        group_is_not_offered: other_group.is_some(),
        ..Attempt::default()
    }
}

fn report(ike: Attempt, comparison: Option<Comparison>, nat_t: Option<Attempt>) -> Report {
    let mut report = Report {
        host: "vpn.example.com".to_owned(),
        address: "198.51.100.2".parse().unwrap(),
        client: Kind::Win10,
        ike,
        nat_t,
        comparison,
        ip_fragments: None,
        policy: None,
        half_open: 0,
        findings: Vec::new(),
    };
    report.findings = judge(&report);
    report
}

fn verdicts(report: &Report) -> Vec<Verdict> {
    report.findings.iter().map(|it| it.verdict).collect()
}

#[test]
fn each_situation_has_its_verdict_and_its_status() {
    let different = Comparison {
        repeat: Repeat::AnotherSpi,
        control: Some(Repeat::Identical),
        gateway: Gateway::Different,
        ..SAME
    };
    let redirected = Attempt {
        outcome: Outcome::Redirected,
        redirect: Some("gw2.example.com".to_owned()),
        ..Attempt::default()
    };
    let silent = Attempt::default;
    for (report, expected, status) in [
        (
            report(accepted(true), Some(SAME), None),
            vec![Verdict::Works],
            0,
        ),
        (
            report(silent(), None, Some(silent())),
            vec![Verdict::InitUnanswered],
            3,
        ),
        (
            report(silent(), None, Some(accepted(true))),
            vec![Verdict::InitUnanswered],
            3,
        ),
        (
            report(accepted(true), Some(DEAF), Some(silent())),
            vec![Verdict::NatPortBlocked],
            3,
        ),
        (
            report(accepted(true), Some(DEAF), Some(accepted(true))),
            vec![Verdict::Works],
            0,
        ),
        (
            report(refused("NO_PROPOSAL_CHOSEN", None), None, None),
            vec![Verdict::NoCommonPolicy],
            4,
        ),
        (
            report(refused("INVALID_KE_PAYLOAD", Some("ecp256")), None, None),
            vec![Verdict::NoCommonPolicy],
            4,
        ),
        (
            report(refused("INVALID_SYNTAX", None), None, None),
            vec![Verdict::InitRefused],
            4,
        ),
        (report(redirected, None, None), vec![Verdict::Redirected], 5),
        (
            report(accepted(false), Some(different), None),
            vec![Verdict::DifferentGateways, Verdict::NoFragmentation],
            5,
        ),
        (
            report(accepted(false), Some(DEAF), Some(silent())),
            vec![Verdict::NatPortBlocked, Verdict::NoFragmentation],
            3,
        ),
    ] {
        assert_eq!(verdicts(&report), expected, "{report:#?}");
        assert_eq!(report.standing().exit_status(), status);
    }
}

/// Whoever reads it knows what Windows shows, and what to type.
#[test]
fn a_refusal_of_windows_names_the_error_and_the_remedy() {
    let report = report(refused("NO_PROPOSAL_CHOSEN", None), None, None);
    let finding = &report.findings[0];
    assert!(finding.says.contains("13868"), "{}", finding.says);
    let hint = finding.hint.as_ref().unwrap();
    assert!(
        hint.contains("Set-VpnConnectionIPsecConfiguration") && hint.contains("-DHGroup ECP384"),
        "{hint}"
    );
}

/// Without RFC 7383 it is IP fragments that decide.
#[test]
fn ip_fragments_decide_where_ike_does_not_cut() {
    for (arrive, expected, says) in [
        (Some(false), Verdict::IpFragmentsLost, "error 809"),
        (Some(true), Verdict::NoFragmentation, "arrive from here"),
        (None, Verdict::NoFragmentation, "many networks drop"),
    ] {
        let mut report = report(accepted(false), Some(SAME), None);
        report.ip_fragments = arrive;
        let findings = judge(&report);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].verdict, expected);
        assert!(findings[0].says.contains(says), "{}", findings[0].says);
        assert_eq!(standing(&findings).exit_status(), 5);
    }
}

#[test]
fn half_open_sas_are_counted() {
    let twice = Comparison {
        half_open: 1,
        ..SAME
    };
    let accepted = accepted(true);
    let refused = refused("NO_PROPOSAL_CHOSEN", None);
    let count = |attempts, comparison| half_open(attempts, comparison, None);
    assert_eq!(count([Some(&accepted), None], Some(twice)), 2);
    assert_eq!(count([Some(&accepted), Some(&accepted)], Some(DEAF)), 2);
    assert_eq!(count([Some(&refused), Some(&refused)], None), 0);
}

/// As in everything else that ikexdp writes for programs; verdicts keep theirs, as in `diagnose`.
#[test]
fn names_of_the_report_have_no_hyphens() {
    let report = report(accepted(true), Some(SAME), Some(accepted(true)));
    let report = serde_json::to_value(report).unwrap();
    for part in ["", "/ike", "/comparison", "/nat_t"] {
        let object = report.pointer(part).unwrap().as_object().unwrap();
        let names: Vec<_> = object.keys().collect();
        assert!(!names.iter().any(|name| name.contains('-')), "{names:?}");
    }
}
