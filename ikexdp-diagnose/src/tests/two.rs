//! Two captures of one attempt.

use ikexdp_proto::wire::iana::NotifyType;

use super::script::Script;
use crate::model::{Outcome, Report, Vantage};
use crate::report;
use crate::verdict::Direction::{FromClient, FromGateway};
use crate::verdict::{Unanswered, Verdict};
use crate::{judge, read};

/// How much the gateway's clock is ahead.
const AHEAD: u32 = 90;

fn judged(write: impl Fn(&mut Script, bool)) -> Report {
    let [client, gateway] = [Vantage::Client, Vantage::Gateway].map(|at| {
        let mut script = Script::new(at);
        write(&mut script, at == Vantage::Client);
        script
    });
    let client = read("client", &*client.pcap()).unwrap();
    let gateway = read("gateway", &*gateway.pcap_ahead(AHEAD)).unwrap();
    // In the wrong order: which is whose is found out.
    judge(vec![gateway, client], None)
}

#[track_caller]
fn assert_verdict(id: &str, write: impl Fn(&mut Script, bool)) -> Verdict {
    let report = judged(write);
    let text = report::text::of(&report);
    assert_eq!(report.attempts.len(), 1, "{text}");
    assert_eq!(report.captures[0].file, "client");
    let finding = report.attempts[0]
        .finding
        .as_ref()
        .unwrap_or_else(|| panic!("{text}"));
    assert_eq!(finding.verdict.id(), id, "{text}");
    finding.verdict.clone()
}

#[test]
fn clocks_are_put_right() {
    let report = judged(|script, _| {
        script
            .ask()
            .accept()
            .sealed(FromClient, 1, 1700)
            .sealed(FromGateway, 1, 1700);
    });
    let offset = report.clock_offset.unwrap();
    assert!((offset - 90_000_000_000).abs() < 1_000_000, "{offset}");
    assert_eq!(report.attempts.len(), 1);
    assert_eq!(report.attempts[0].outcome, Outcome::Established);
    let twice = report.attempts[0]
        .messages
        .iter()
        .filter(|message| message.seen_as.is_some());
    assert_eq!(twice.count(), 4, "{}", report::text::of(&report));
    assert!(
        report.attempts[0]
            .messages
            .iter()
            .all(|message| message.repeat_of.is_none())
    );
}

#[test]
fn what_does_not_arrive_is_lost() {
    let verdict = assert_verdict("init-unanswered", |script, at_client| {
        if at_client {
            script.ask().wait(1000).ask().wait(1000).ask().wait(5000);
        } else {
            // Something else, so that it is known whose it is.
            script.esp(FromGateway).wait(7000);
        }
    });
    assert_eq!(verdict, Verdict::InitUnanswered(Unanswered::RequestLost));
    let verdict = assert_verdict("init-unanswered", |script, at_client| {
        for _ in 0..3 {
            script.ask().wait(20);
            if at_client {
                script.wait(20);
            } else {
                script.accept();
            }
            script.wait(1000);
        }
    });
    assert_eq!(verdict, Verdict::InitUnanswered(Unanswered::ReplyLost));
    assert_verdict("ip-fragments-lost", |script, at_client| {
        script.ask().accept();
        for _ in 0..3 {
            script
                .in_pieces(
                    FromClient,
                    1,
                    3300,
                    if at_client { &[] } else { &[0, 1, 2] },
                )
                .wait(1000);
        }
    });
    assert_verdict("nat-port-blocked", |script, at_client| {
        script.ask().accept();
        for _ in 0..3 {
            if at_client {
                script.sealed(FromClient, 1, 300);
            }
            script.wait(1000);
        }
    });
    assert_verdict("request-ignored", |script, _| {
        script.ask().accept();
        for _ in 0..3 {
            script.sealed(FromClient, 1, 300).wait(1000);
        }
    });
}

#[test]
fn fragments_are_counted_at_both_ends() {
    let verdict = assert_verdict("ike-fragments-lost", |script, at_client| {
        script.ask().accept();
        for _ in 0..3 {
            for number in 1..=3 {
                if at_client || number != 2 {
                    script.part(FromClient, 1, (number, 3), 512);
                }
            }
            script.wait(1000);
        }
    });
    assert!(
        matches!(verdict, Verdict::IkeFragmentsLost { missing, total: 3, .. } if missing == [2])
    );
    let verdict = assert_verdict("large-datagrams-lost", |script, at_client| {
        script.ask().accept();
        for _ in 0..3 {
            for (number, size) in [(1, 1200), (2, 1200), (3, 512)] {
                if at_client || number == 3 {
                    script.part(FromClient, 1, (number, 3), size);
                }
            }
            script.wait(1000);
        }
    });
    assert!(
        matches!(
            verdict,
            Verdict::LargeDatagramsLost {
                datagram_len: 1300..,
                passed: 600..700,
                ..
            }
        ),
        "{verdict:?}"
    );
}

#[test]
fn the_answer_is_lost_on_its_way() {
    assert_verdict("reply-unacknowledged", |script, at_client| {
        script.ask().accept();
        for _ in 0..3 {
            script.sealed(FromClient, 1, 300).wait(10);
            if !at_client {
                script
                    .part(FromGateway, 1, (1, 2), 1200)
                    .part(FromGateway, 1, (2, 2), 300);
            }
            script.wait(1000);
        }
    });
}

#[test]
fn an_answer_that_nobody_here_sent_is_another_gateway_s() {
    assert_verdict("different-gateways", |script, at_client| {
        script.ask().accept();
        if at_client {
            script
                .sealed(FromClient, 1, 300)
                .unprotected(NotifyType::INVALID_IKE_SPI);
        }
        script.wait(5000);
    });
    assert_verdict("different-gateways", |script, at_client| {
        script.ask().accept();
        if at_client {
            script
                .sealed(FromClient, 1, 300)
                .sealed(FromGateway, 1, 300);
        }
        script.wait(5000);
    });
}

/// The gateway's capture has other clients as well, and goes on for longer or ends before.
#[test]
fn what_one_capture_cannot_show_is_not_lost() {
    let mut client = Script::new(Vantage::Client);
    client
        .ask()
        .accept()
        .sealed(FromClient, 1, 300)
        .sealed(FromGateway, 1, 300)
        .wait(2000);
    let mut gateway = Script::new(Vantage::Gateway);
    gateway
        .ask()
        .accept()
        .sealed(FromClient, 1, 300)
        .sealed(FromGateway, 1, 300);
    // Somebody else, while the client's capture goes on and behind its end.
    for number in [1000, 1001] {
        gateway.wait(500).anew((number, number + 1000)).spi = number.into();
        gateway.ask().accept();
        gateway
            .sealed(FromClient, 1, 300)
            .sealed(FromGateway, 1, 300)
            .wait(5000);
    }
    // The client once more, when the gateway's capture has ended.
    client.wait(30_000).anew((501, 4501)).ask().accept();
    client
        .sealed(FromClient, 1, 300)
        .sealed(FromGateway, 1, 300);
    let client = read("client", &*client.pcap()).unwrap();
    let gateway = read("gateway", &*gateway.pcap_ahead(AHEAD)).unwrap();
    let report = judge(vec![client, gateway], None);
    let text = report::text::of(&report);
    assert_eq!(report.attempts.len(), 4, "{text}");
    assert!(
        report
            .attempts
            .iter()
            .all(|attempt| attempt.outcome == Outcome::Established),
        "{text}"
    );
}

#[test]
fn a_nat_is_seen_by_both_ends() {
    let report = judged(|script, at_client| {
        if !at_client {
            script.ports = (1024, 61_000);
        }
        script
            .ask()
            .accept()
            .sealed(FromClient, 1, 300)
            .sealed(FromGateway, 1, 300);
    });
    let text = report::text::of(&report);
    assert!(
        text.contains("sees the client as 192.0.2.7:1024, 192.0.2.7:61000"),
        "{text}"
    );
    assert_eq!(report.attempts.len(), 1);
    assert_eq!(report.attempts[0].outcome, Outcome::Established);
}
