//! What a hostile review of the verdicts found: healthy attempts that were called failed, failures that were called
//! established, and verdicts that were surer than the capture.

use std::net::{IpAddr, Ipv4Addr};

use ikexdp_proto::wire::iana::{ExchangeType, GroupId, NotifyType};

use super::script::Script;
use super::verdicts::{assert_row, first};
use crate::model::{Confidence, Finding, Report, Vantage};
use crate::verdict::Direction::{FromClient, FromGateway};
use crate::verdict::{Unanswered, Verdict};
use crate::{judge, read, report};

fn script(write: impl Fn(&mut Script)) -> Script {
    let mut script = Script::new(Vantage::Client);
    write(&mut script);
    script
}

fn judged(write: impl Fn(&mut Script)) -> Report {
    script(write).judged()
}

#[track_caller]
fn finding(report: &Report, index: usize) -> &Finding {
    let text = report::text::of(report);
    let finding = report.attempts[index].finding.as_ref();
    finding.unwrap_or_else(|| panic!("{text}"))
}

/// An attempt whose answer has room for all.
fn good(script: &mut Script) -> &mut Script {
    script
        .ask()
        .accept()
        .sealed(FromClient, 1, 900)
        .sealed(FromGateway, 1, 1500)
}

#[test]
fn a_liveness_check_that_nobody_answers_is_no_refusal() {
    assert_row(Vantage::Client, "established", |script| {
        good(script).wait(600_000);
        for _ in 0..4 {
            script.informational(FromClient, 2).wait(3000);
        }
    });
}

#[test]
fn a_client_that_leaves_after_keepalives_is_no_refusal() {
    assert_row(Vantage::Client, "established", |script| {
        good(script);
        for _ in 0..5 {
            script.wait(20_000).keepalive();
        }
        script.informational(FromClient, 2);
    });
}

#[test]
fn an_update_of_addresses_is_no_refusal() {
    assert_row(Vantage::Client, "established", |script| {
        good(script).wait(1000);
        script.client = Ipv4Addr::new(203, 0, 113, 77);
        script
            .informational(FromClient, 2)
            .informational(FromGateway, 2);
    });
    assert_row(Vantage::Client, "established", |script| {
        good(script).wait(1000);
        let kind = ExchangeType::INFORMATIONAL;
        script
            .exchange(kind, FromClient, 2, 64)
            .exchange(kind, FromGateway, 2, 64);
    });
}

#[test]
fn silence_without_esp_of_anybody_says_nothing() {
    assert_row(Vantage::Client, "established", |script| {
        for _ in 0..4 {
            good(script.anew((500, 4500))).wait(3000);
        }
    });
}

#[test]
fn windows_has_two_tunnels_between_the_same_sockets() {
    assert_row(Vantage::Client, "established", |script| {
        good(script).wait(5000);
        good(script.anew((500, 4500))).wait(300);
        script.esp(FromClient).esp(FromGateway);
    });
}

#[test]
fn a_client_that_asks_for_revocation_first_refuses_later() {
    for anew in [false, true] {
        assert_row(Vantage::Client, "certificate-not-accepted", |script| {
            good(script).wait(3800);
            script
                .informational(FromClient, 2)
                .informational(FromGateway, 2);
            script.wait(11_000);
            if anew {
                script.anew((500, 4500)).ask();
            }
        });
    }
    // Later than that it is not known what it means.
    assert_row(Vantage::Client, "open", |script| {
        good(script).wait(12_000);
        script
            .informational(FromClient, 2)
            .informational(FromGateway, 2);
        script.wait(5000).anew((500, 4500)).ask();
    });
}

#[test]
fn without_the_suite_a_short_answer_is_possibly_a_refusal() {
    let report = judged(|script| {
        script
            .sealed(FromClient, 1, 900)
            .sealed(FromGateway, 1, 16)
            .wait(30_000);
    });
    let finding = finding(&report, 0);
    assert_eq!(finding.verdict, Verdict::AuthenticationFailed);
    assert_eq!(finding.confidence, Confidence::Possible);
}

#[test]
fn an_answer_without_room_for_a_child_sa_is_not_established() {
    assert_row(Vantage::Client, "open", |script| {
        script
            .ask()
            .accept()
            .sealed(FromClient, 1, 900)
            .sealed(FromGateway, 1, 32)
            .wait(30_000);
    });
}

#[test]
fn esp_of_another_tunnel_does_not_prove_an_attempt() {
    assert_row(Vantage::Client, "authentication-failed", |script| {
        script
            .ask()
            .accept()
            .sealed(FromClient, 1, 900)
            .sealed(FromGateway, 1, 16)
            .wait(2000)
            .esp(FromClient);
    });
}

#[test]
fn a_capture_of_one_direction_shows_an_attempt_by_its_traffic() {
    let mut script = Script::new(Vantage::Client);
    script.ask().sealed(FromClient, 1, 900);
    script.wait(300).esp(FromClient).wait(90_000);
    assert_eq!(first(&script.judged()), "established");
}

#[test]
fn a_gateways_capture_without_this_gateway_is_no_view_of_an_attempt() {
    let client = script(|script| {
        good(script).esp(FromClient).wait(20_000);
        script.anew((500, 4500)).gateway = Ipv4Addr::new(203, 0, 113, 9);
        for _ in 0..3 {
            script.ask().wait(1000);
        }
        script.wait(30_000);
    });
    let mut gateway = Script::new(Vantage::Gateway);
    good(&mut gateway).esp(FromClient).wait(60_000);
    let report = judge(vec![client.reading(), gateway.reading()], None);
    let unknown = Verdict::InitUnanswered(Unanswered::Unknown);
    assert_eq!(finding(&report, 1).verdict, unknown);
}

#[test]
fn a_gateways_capture_that_had_ended_is_no_view_of_an_attempt() {
    let client = script(|script| {
        good(script).esp(FromClient).wait(100_000);
        script.anew((500, 4500)).ask().accept();
        for _ in 0..4 {
            script.sealed(FromClient, 1, 300).wait(2000);
        }
    });
    let mut gateway = Script::new(Vantage::Gateway);
    good(&mut gateway).esp(FromClient);
    let report = judge(vec![client.reading(), gateway.reading()], None);
    assert_eq!(finding(&report, 1).confidence, Confidence::Likely);
    // The other way round: the client's capture had ended, and the gateway's shows all.
    let mut gateway = Script::new(Vantage::Gateway);
    good(&mut gateway).esp(FromClient).wait(100_000);
    good(gateway.anew((500, 4500))).wait(60_000);
    let mut client = Script::new(Vantage::Client);
    good(&mut client).esp(FromClient);
    let report = judge(vec![client.reading(), gateway.reading()], None);
    assert!(
        report.findings().next().is_none(),
        "{}",
        report::text::of(&report)
    );
}

#[test]
fn ikev1_of_a_tunnel_that_is_up_is_no_attempt() {
    let report = judged(|script| {
        script.ikev1_of(5, 6).wait(20_000);
    });
    assert!(report.attempts.is_empty() && report.verdict.is_none());
    let soon = judged(|script| {
        script.ikev1().wait(1000);
    });
    let carries = judged(|script| {
        script.ikev1().wait(1000).esp(FromClient).wait(20_000);
    });
    assert_eq!((first(&soon), first(&carries)), ("open", "open"));
}

#[test]
fn what_cannot_be_read_has_no_verdict() {
    let script = script(|script| {
        good(script);
    });
    let whole = script.file(0, usize::MAX, 105);
    let mut damaged = script.pcap();
    damaged.truncate(24);
    damaged.extend([0xff; 16]);
    for file in [whole, damaged] {
        let report = judge(vec![read("test", &*file).unwrap()], None);
        assert!(report.cannot_be_judged(), "{}", report::text::of(&report));
        assert!(report.verdict.is_none());
    }
}

#[test]
fn a_capture_without_port_4500_may_have_been_filtered() {
    let report = judged(|script| {
        script.ask().accept().wait(40_000);
        script.anew((500, 4500)).ask().accept();
    });
    let finding = finding(&report, 0);
    assert_eq!(finding.verdict, Verdict::NoAuthRequest);
    assert_eq!(finding.confidence, Confidence::Possible);
    assert!(report::text::of(&report).contains("was it filtered?"));
}

#[test]
fn an_answer_that_is_cut_is_an_answer() {
    let script = script(|script| {
        script.ask().accept().wait(30_000);
    });
    let report = judge(vec![read("test", &*script.file(0, 128, 1)).unwrap()], None);
    assert_eq!(first(&report), "open");
    assert!(report.captures[0].notes[0].starts_with("frames are cut to 128 octets"));
}

#[test]
fn people_take_their_time() {
    // A card is looked for.
    assert_row(Vantage::Client, "open", |script| {
        good(script);
        script
            .sealed(FromClient, 2, 32)
            .sealed(FromGateway, 2, 16)
            .wait(8000);
    });
    for (seconds, expected) in [(1, "open"), (30, "request-ignored")] {
        assert_row(Vantage::Gateway, expected, |script| {
            good(script);
            for _ in 0..4 {
                script.sealed(FromClient, 2, 32).wait(seconds * 1000);
            }
        });
    }
}

#[test]
fn a_gateway_may_be_the_client_of_another() {
    let mut script = Script::new(Vantage::Gateway);
    for _ in 0..3 {
        good(script.anew((500, 4500))).esp(FromClient).wait(10_000);
    }
    script.anew((500, 4500)).swap();
    script.gateway = Ipv4Addr::new(203, 0, 113, 5);
    for _ in 0..3 {
        script.ask().wait(5000);
    }
    let report = script.judged();
    let unknown = Verdict::InitUnanswered(Unanswered::Unknown);
    assert_eq!(finding(&report, 3).verdict, unknown);
}

#[test]
fn a_capture_that_begins_within_eap_has_not_missed_another_gateway() {
    let mut script = Script::new(Vantage::Gateway);
    script.esp(FromGateway).wait(5000);
    for _ in 0..4 {
        script.sealed(FromClient, 4, 128).wait(2000);
    }
    script.anew((501, 4501)).ask().accept();
    assert_eq!(first(&script.judged()), "open");
}

#[test]
fn a_client_takes_either_of_two_answers() {
    assert_row(Vantage::Client, "established", |script| {
        script.ask().accept().wait(1000);
        script.answer_spi = 0xbb;
        script
            .ask()
            .accept()
            .sealed(FromClient, 1, 900)
            .sealed(FromGateway, 1, 1500);
    });
}

#[test]
fn one_client_that_comes_back_is_no_crowd() {
    let report = judged(|script| {
        for port in [500, 501, 502] {
            good(script.anew((port, port + 4000))).wait(600_000);
            script
                .informational(FromClient, 2)
                .informational(FromGateway, 2)
                .wait(3_000_000);
        }
        script.anew((500, 4500));
        for _ in 0..3 {
            script.ask().wait(5000);
        }
    });
    assert_eq!(finding(&report, 3).verdict.id(), "init-unanswered");
}

#[test]
fn what_is_followed_is_no_failure() {
    assert_row(Vantage::Client, "open", |script| {
        script
            .ask()
            .refuse(NotifyType::INVALID_KE_PAYLOAD, &[0, 15]);
        script
            .wait(20)
            .anew((700, 4700))
            .ask_for(GroupId(15))
            .accept();
        script.wait(30_000);
    });
    assert_row(Vantage::Client, "open", |script| {
        script
            .ask()
            .refuse(NotifyType::REDIRECT, &[1, 4, 192, 0, 2, 99]);
        script.wait(20).anew((500, 4500)).gateway = Ipv4Addr::new(192, 0, 2, 99);
        good(script);
    });
}

#[test]
fn another_request_is_no_repeat() {
    assert_row(Vantage::Client, "open", |script| {
        script.ask().refuse(NotifyType::COOKIE, &[1; 16]);
        script
            .ask_for(GroupId::MODP_4096)
            .refuse(NotifyType::INVALID_KE_PAYLOAD, &[0, 15]);
        script.ask_for(GroupId(15));
    });
}

#[test]
fn one_icmp_error_is_not_the_end() {
    assert_row(Vantage::Client, "open", |script| {
        script.ask().icmp(3, 1).wait(100);
    });
    // What is said of size weighs more than what is said after it.
    assert_row(Vantage::Client, "large-datagrams-lost", |script| {
        script
            .ask()
            .icmp(3, 1)
            .wait(1000)
            .ask()
            .icmp(3, 4)
            .wait(20_000);
    });
}

#[test]
fn an_error_without_protection_may_be_anybodys() {
    let report = judged(|script| {
        script.ask().accept().sealed(FromClient, 1, 900);
        script.unprotected(NotifyType::INVALID_SYNTAX);
    });
    let finding = finding(&report, 0);
    assert_eq!(finding.confidence, Confidence::Likely);
    assert!(!finding.verdict.to_string().contains("IKE_SA_INIT"));
}

#[test]
fn a_client_that_is_not_there_is_told() {
    let script = script(|script| {
        good(script);
    });
    let nobody = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
    let report = judge(vec![script.reading()], Some(nobody));
    assert!(report.captures[0].notes[0].starts_with("no attempt is of 203.0.113.1"));
}

#[test]
fn ike_intermediate_without_what_follows_has_a_verdict() {
    let report = judged(|script| {
        let kind = ExchangeType(43);
        script
            .ask()
            .accept()
            .exchange(kind, FromClient, 1, 900)
            .exchange(kind, FromGateway, 1, 900)
            .wait(20_000);
        script.anew((500, 4500)).ask();
    });
    let finding = finding(&report, 0);
    assert_eq!(finding.verdict, Verdict::NoAuthRequest);
    let says: Vec<_> = finding.evidence.iter().map(|it| &it.says).collect();
    assert!(
        says.iter().any(|says| says.contains("begins anew")),
        "{says:?}"
    );
}

#[test]
fn a_size_test_is_no_attempt_that_failed() {
    assert_row(Vantage::Client, "open", |script| {
        script.test_size().accept().wait(30_000);
    });
}
