//! A row for each verdict that one capture carries, and those that must have none.

use ikexdp_proto::wire::iana::{GroupId, NotifyType};

use super::script::Script;
use crate::model::{Confidence, Outcome, Report, Vantage};
use crate::report;
use crate::verdict::Direction::{FromClient, FromGateway};
use crate::verdict::{Side, Verdict};

/// The verdict on the first attempt, or what became of it.
pub(super) fn first(report: &Report) -> &str {
    let attempt = report.attempts.first().unwrap();
    attempt
        .finding
        .as_ref()
        .map_or_else(|| attempt.outcome.name(), |finding| finding.verdict.id())
}

#[track_caller]
pub(super) fn assert_row(at: Vantage, expected: &str, write: impl Fn(&mut Script)) {
    let mut script = Script::new(at);
    write(&mut script);
    let report = script.judged();
    assert_eq!(
        first(&report),
        expected,
        "{at:?}\n{}",
        report::text::of(&report)
    );
    assert_eq!(report.captures[0].vantage, at);
    for (_, finding) in report.findings() {
        assert!(!finding.evidence.is_empty());
    }
}

const ENDS: [Vantage; 2] = [Vantage::Client, Vantage::Gateway];

#[test]
fn attempts_that_succeed_have_none() {
    for at in ENDS {
        assert_row(at, "established", |script| {
            script
                .ask()
                .accept()
                .sealed(FromClient, 1, 1700)
                .sealed(FromGateway, 1, 1700);
        });
        assert_row(at, "established", |script| {
            script
                .ask()
                .accept()
                .sealed(FromClient, 1, 1700)
                .sealed(FromGateway, 1, 1700);
            script.esp(FromClient).esp(FromGateway).wait(90_000);
        });
        // Passwords, and life after them.
        assert_row(at, "established", |script| {
            script.ask().accept();
            for (id, size) in [(1, 1000), (2, 32), (3, 96), (4, 32), (5, 48)] {
                script
                    .sealed(FromClient, id, size)
                    .wait(30)
                    .sealed(FromGateway, id, size);
            }
            script
                .wait(12_000)
                .informational(FromClient, 6)
                .informational(FromGateway, 6);
        });
        // A repeat, and a request of another group.
        assert_row(at, "established", |script| {
            script
                .ask_for(GroupId::MODP_4096)
                .refuse(NotifyType::INVALID_KE_PAYLOAD, &[0, 14]);
            script.ask().wait(1000).ask().accept();
            script
                .sealed(FromClient, 1, 300)
                .wait(1000)
                .sealed(FromClient, 1, 300)
                .sealed(FromGateway, 1, 300);
        });
    }
}

#[test]
fn what_is_not_over_is_open() {
    assert_row(Vantage::Client, "open", |script| {
        script.ask();
    });
    assert_row(Vantage::Client, "open", |script| {
        script
            .ask()
            .accept()
            .sealed(FromClient, 1, 300)
            .wait(1000)
            .sealed(FromClient, 1, 300)
            .wait(500);
    });
    assert_row(Vantage::Client, "open", |script| {
        script.ask().accept();
    });
}

#[test]
fn nothing_comes_back() {
    for at in [Vantage::Client, Vantage::Gateway] {
        // Hop limits of one side alone tell where it is.
        assert_row(at, "init-unanswered", |script| {
            script.ask().wait(1000).ask().wait(1000).ask().wait(8000);
            script
                .anew((501, 4501))
                .ask()
                .accept()
                .sealed(FromClient, 1, 300)
                .sealed(FromGateway, 1, 300);
        });
    }
    assert_row(Vantage::Client, "init-unanswered", |script| {
        script.ask().icmp(3, 3).wait(12_000);
        script.anew((501, 4501)).ask().accept();
    });
    assert_row(Vantage::Gateway, "init-unanswered", |script| {
        script
            .ask()
            .accept()
            .wait(1000)
            .ask()
            .accept()
            .wait(1000)
            .ask()
            .accept()
            .wait(5000);
    });
}

#[test]
fn the_gateway_refuses_at_once() {
    for at in ENDS {
        assert_row(at, "no-common-policy", |script| {
            script
                .ask_for(GroupId::MODP_1024)
                .refuse(NotifyType::NO_PROPOSAL_CHOSEN, &[]);
        });
        assert_row(at, "key-exchange-refused", |script| {
            script
                .ask()
                .refuse(NotifyType::INVALID_KE_PAYLOAD, &[0, 20])
                .wait(15_000);
        });
        assert_row(at, "init-refused", |script| {
            script.ask().refuse(NotifyType::TEMPORARY_FAILURE, &[]);
        });
        assert_row(at, "version-refused", |script| {
            script.ask().refuse(NotifyType::INVALID_MAJOR_VERSION, &[]);
        });
        assert_row(at, "cookie-not-returned", |script| {
            script
                .ask()
                .refuse(NotifyType::COOKIE, &[1; 16])
                .wait(15_000);
        });
        assert_row(at, "windows-status", |script| {
            script
                .ask()
                .refuse(NotifyType::MS_STATUS, &13868_u32.to_be_bytes());
        });
        assert_row(at, "redirected", |script| {
            script
                .ask()
                .refuse(NotifyType::REDIRECT, &[1, 4, 192, 0, 2, 99]);
        });
    }
    let mut script = Script::new(Vantage::Client);
    script.ikev1().wait(1000).ikev1().wait(15_000);
    assert_eq!(first(&script.judged()), "ikev1");
}

#[test]
fn no_common_policy_tells_windows_what_to_do() {
    let mut script = Script::new(Vantage::Client);
    script
        .ask_for(GroupId::MODP_1024)
        .refuse(NotifyType::NO_PROPOSAL_CHOSEN, &[]);
    let report = script.judged();
    let (attempt, finding) = report.findings().next().unwrap();
    assert_eq!(attempt.client_is, Some("Windows"));
    assert_eq!(finding.verdict.windows(), [13868]);
    let remedy = finding.verdict.remedy().unwrap();
    assert!(
        remedy
            .command
            .unwrap()
            .starts_with("Set-VpnConnectionIPsecConfiguration ")
    );
    assert!(
        finding
            .verdict
            .to_string()
            .contains("modp1024, but for its group"),
        "{}",
        finding.verdict
    );
}

#[test]
fn ike_auth_does_not_come() {
    for at in ENDS {
        assert_row(at, "no-auth-request", |script| {
            script
                .ask()
                .accept()
                .wait(2000)
                .anew((500, 4500))
                .ask()
                .accept();
        });
    }
    // One end alone does not know that nothing was sent.
    let confidence = |at| {
        let mut script = Script::new(at);
        script
            .ask()
            .accept()
            .wait(2000)
            .anew((500, 4500))
            .ask()
            .accept()
            .sealed(FromClient, 1, 300);
        script.judged().attempts[0]
            .finding
            .as_ref()
            .unwrap()
            .confidence
    };
    assert_eq!(confidence(Vantage::Client), Confidence::Certain);
    assert_eq!(confidence(Vantage::Gateway), Confidence::Possible);
}

#[test]
fn ip_fragments_are_lost() {
    for (announced, side) in [
        ((false, true), Side::Client),
        ((true, false), Side::Gateway),
        ((true, true), Side::Path),
    ] {
        for (at, lost) in [
            (Vantage::Client, &[][..]),
            (Vantage::Gateway, &[1, 2]),
            (Vantage::Gateway, &[0]),
        ] {
            let mut script = Script::new(at);
            script.announced = announced;
            script.ask().accept();
            for _ in 0..3 {
                script.in_pieces(FromClient, 1, 3300, lost).wait(1000);
            }
            let report = script.judged();
            assert_eq!(
                first(&report),
                "ip-fragments-lost",
                "{}",
                report::text::of(&report)
            );
            let finding = report.attempts[0].finding.as_ref().unwrap();
            assert_eq!(
                finding.verdict.side(),
                side,
                "{}",
                report::text::of(&report)
            );
        }
    }
    // The gateway's answer, where its first fragment alone arrives.
    assert_row(Vantage::Client, "ip-fragments-lost", |script| {
        script.ask().accept();
        for _ in 0..3 {
            script
                .sealed(FromClient, 1, 300)
                .in_pieces(FromGateway, 1, 3300, &[1, 2])
                .wait(1000);
        }
    });
}

#[test]
fn ike_fragments_are_lost() {
    assert_row(Vantage::Gateway, "ike-fragments-lost", |script| {
        script.ask().accept();
        for _ in 0..3 {
            script
                .part(FromClient, 1, (1, 3), 512)
                .part(FromClient, 1, (3, 3), 100)
                .wait(1000);
        }
    });
    let mut script = Script::new(Vantage::Client);
    script.ask().accept();
    for _ in 0..3 {
        script
            .sealed(FromClient, 1, 300)
            .part(FromGateway, 1, (1, 3), 512)
            .part(FromGateway, 1, (3, 3), 100)
            .wait(1000);
    }
    let report = script.judged();
    let verdict = &report.attempts[0].finding.as_ref().unwrap().verdict;
    assert!(
        matches!(verdict, Verdict::IkeFragmentsLost { direction: FromGateway, missing, total: 3, .. } if *missing == [2]),
        "{verdict:?}"
    );
}

#[test]
fn large_datagrams_are_lost() {
    // All but the last, which is shorter.
    assert_row(Vantage::Gateway, "large-datagrams-lost", |script| {
        script.ask().accept();
        for _ in 0..3 {
            script.part(FromClient, 1, (3, 3), 600).wait(1000);
        }
    });
    assert_row(Vantage::Client, "large-datagrams-lost", |script| {
        script.ask().accept();
        for _ in 0..3 {
            script.sealed(FromClient, 1, 1328).wait(1000);
        }
    });
    assert_row(Vantage::Client, "large-datagrams-lost", |script| {
        script
            .ask()
            .accept()
            .sealed(FromClient, 1, 1328)
            .icmp(3, 4)
            .wait(20_000);
    });
}

#[test]
fn port_4500_is_closed() {
    assert_row(Vantage::Client, "nat-port-blocked", |script| {
        script.ask().accept();
        for _ in 0..3 {
            script.sealed(FromClient, 1, 300).wait(1000);
        }
    });
}

#[test]
fn the_gateway_is_silent() {
    assert_row(Vantage::Gateway, "request-ignored", |script| {
        script.ask().accept();
        for _ in 0..3 {
            script
                .part(FromClient, 1, (1, 2), 512)
                .part(FromClient, 1, (2, 2), 100)
                .wait(1000);
        }
    });
}

#[test]
fn the_answer_is_not_acknowledged() {
    assert_row(Vantage::Gateway, "reply-unacknowledged", |script| {
        script.ask().accept();
        for _ in 0..4 {
            script.sealed(FromClient, 1, 300).wait(10);
            script
                .part(FromGateway, 1, (1, 2), 1200)
                .part(FromGateway, 1, (2, 2), 300)
                .wait(1000);
        }
        script.wait(500);
    });
}

#[test]
fn credentials_are_refused() {
    for at in ENDS {
        assert_row(at, "authentication-failed", |script| {
            script
                .ask()
                .accept()
                .sealed(FromClient, 1, 1700)
                .sealed(FromGateway, 1, 16);
        });
        assert_row(at, "eap-rejected", |script| {
            script.ask().accept();
            for (id, size) in [(1, 1000), (2, 32), (3, 96), (4, 16)] {
                script
                    .sealed(FromClient, id, size)
                    .wait(30)
                    .sealed(FromGateway, id, size);
            }
            script.wait(61_000);
        });
        // One that closes, and one that is silent and comes back.
        assert_row(at, "certificate-not-accepted", |script| {
            script
                .ask()
                .accept()
                .sealed(FromClient, 1, 1700)
                .sealed(FromGateway, 1, 1700);
            script
                .informational(FromClient, 2)
                .informational(FromGateway, 2);
        });
        assert_row(at, "certificate-not-accepted", |script| {
            script
                .ask()
                .accept()
                .sealed(FromClient, 1, 1000)
                .sealed(FromGateway, 1, 1700);
            script.wait(3000).anew((500, 4500)).ask().accept();
            script.sealed(FromClient, 1, 300).esp(FromGateway);
        });
        assert_row(at, "child-refused", |script| {
            script
                .ask()
                .accept()
                .sealed(FromClient, 1, 300)
                .sealed(FromGateway, 1, 96);
            script
                .informational(FromClient, 2)
                .informational(FromGateway, 2);
        });
    }
}

#[test]
fn gateways_differ() {
    for at in ENDS {
        assert_row(at, "different-gateways", |script| {
            script
                .ask()
                .accept()
                .sealed(FromClient, 1, 300)
                .unprotected(NotifyType::INVALID_IKE_SPI);
        });
    }
    // The second gateway has never seen IKE_SA_INIT, and says nothing.
    let mut script = Script::new(Vantage::Gateway);
    script.esp(FromGateway).wait(5000);
    script
        .sealed(FromClient, 1, 300)
        .wait(1000)
        .sealed(FromClient, 1, 300)
        .wait(1000)
        .sealed(FromClient, 1, 300);
    script.anew((501, 4501)).ask().accept();
    assert_eq!(first(&script.judged()), "different-gateways");
}

#[test]
fn one_address_is_limited() {
    let mut script = Script::new(Vantage::Client);
    for port in 0..4 {
        script.anew((2000 + port, 3000 + port)).ask().accept();
        script
            .sealed(FromClient, 1, 300)
            .sealed(FromGateway, 1, 300);
    }
    script.wait(1000);
    for port in 4..6 {
        script
            .anew((2000 + port, 3000 + port))
            .ask()
            .wait(1000)
            .ask()
            .wait(1000)
            .ask();
    }
    script.wait(1000).esp(FromGateway);
    let report = script.judged();
    let ids: Vec<_> = report
        .attempts
        .iter()
        .map(|attempt| {
            attempt
                .finding
                .as_ref()
                .map_or("", |finding| finding.verdict.id())
        })
        .collect();
    assert_eq!(
        ids,
        ["", "", "", "", "per-source-limit", "per-source-limit"]
    );
    assert_eq!(report.attempts[0].outcome, Outcome::Established);
}

#[test]
fn a_capture_without_ike_says_so() {
    let script = Script::new(Vantage::Unknown);
    let report = script.judged();
    assert_eq!(report.verdict, Some(Verdict::NoIke));
    assert!(report::text::of(&report).contains("no-ike"));
}
