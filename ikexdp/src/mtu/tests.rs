use super::*;

fn way(limit: Option<u16>) -> Way {
    Way {
        found: Found {
            limit,
            steps: Vec::new(),
        },
        too_big: Vec::new(),
    }
}

fn report(there: Option<u16>, back: Option<Option<u16>>, arrive: Option<bool>) -> Report {
    let mut report = Report {
        host: "vpn.example.com".to_owned(),
        address: "198.51.100.2".parse().unwrap(),
        port: 500,
        size_tests: back.is_some(),
        there: way(there),
        back: back.map(way),
        ip_fragments: arrive.map(|arrive| IpFragments {
            octets: FRAGMENTED,
            arrive,
        }),
        fragment_size: None,
        needs_ike_fragmentation: arrive.map(|it| !it),
        fell_silent: false,
        unfinished: false,
        half_open: 0,
        findings: Vec::new(),
    };
    report.fragment_size = advice::fragment_size(&report);
    report.findings = advice::judge(&report);
    report
}

#[test]
fn each_path_has_its_advice_and_its_status() {
    use Verdict::{IpFragmentsLost, Narrow, Unanswered, Works};
    for (report, size, expected, status) in [
        (
            report(Some(1500), Some(Some(1500)), Some(true)),
            Some(1500),
            vec![Works],
            0,
        ),
        (report(None, None, None), None, vec![Unanswered], 3),
        (
            report(Some(1500), None, Some(false)),
            None,
            vec![IpFragmentsLost],
            5,
        ),
        (
            report(Some(1400), Some(Some(1200)), Some(true)),
            Some(1200),
            vec![Narrow],
            5,
        ),
        (
            report(Some(1000), None, Some(false)),
            None,
            vec![IpFragmentsLost, Narrow],
            5,
        ),
        (
            report(Some(1400), Some(None), Some(true)),
            None,
            vec![Narrow],
            5,
        ),
    ] {
        let verdicts: Vec<_> = report.findings.iter().map(|it| it.verdict).collect();
        assert_eq!(verdicts, expected, "{report:#?}");
        assert_eq!(report.fragment_size, size);
        assert_eq!(report.standing().exit_status(), status);
    }
}

/// What is lost because nobody answers any more says nothing about the path.
#[test]
fn a_gateway_that_falls_silent_makes_no_path_narrow() {
    let mut report = report(Some(600), None, Some(false));
    report.fell_silent = true;
    assert_eq!(advice::fragment_size(&report), None);
    let findings = advice::judge(&report);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].verdict, Verdict::FellSilent);
}

#[test]
fn what_was_not_asked_for_makes_no_path_narrow() {
    let mut report = report(Some(600), Some(Some(600)), None);
    report.unfinished = true;
    assert_eq!(advice::fragment_size(&report), None);
    let findings = advice::judge(&report);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].verdict, Verdict::Unfinished);
    assert_eq!(findings[0].verdict.standing().exit_status(), 3);
}

/// As in everything else that ikexdp writes for programs.
#[test]
fn names_of_the_report_have_no_hyphens() {
    let report = serde_json::to_value(report(Some(1500), Some(Some(1500)), Some(true))).unwrap();
    assert_eq!(report["fragment_size"], 1500);
    assert!(report["there"]["too_big"].is_array());
    let names: Vec<_> = report.as_object().unwrap().keys().collect();
    assert!(!names.iter().any(|name| name.contains('-')), "{names:?}");
}
