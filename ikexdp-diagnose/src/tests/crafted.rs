//! Captures that somebody has made for us to read.

use ikexdp_proto::wire::iana::NotifyType;

use super::script::Script;
use crate::contents::Contents;
use crate::limits::{ESP_FLOWS_PER_ATTEMPT, IKE_FRAGMENTS_MAX};
use crate::model::Vantage;
use crate::report;
use crate::verdict::Direction::FromClient;
use crate::verdict::Verdict;

/// REDIRECT to a name (RFC 5685 §3).
fn redirect(name: &[u8]) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    [&[3, length], name].concat()
}

#[test]
fn a_redirect_says_nothing_to_a_terminal() {
    let mut script = Script::new(Vantage::Client);
    let name = redirect("a\u{1b}]0;x\u{7}\n  verdict: none\u{202e}z".as_bytes());
    let report = script.ask().refuse(NotifyType::REDIRECT, &name).judged();
    let text = report::text::of(&report);
    assert!(text.contains("[redirected]"), "{text}");
    assert!(!text.contains("\n  verdict: none"), "{text}");
    let json = serde_json::to_value(report::json::of(&report)).unwrap();
    let says = json["attempts"][0]["verdict"]["says"].as_str().unwrap();
    for text in [&*text.replace('\n', ""), says] {
        let is_hidden = |it: char| it.is_control() || it == '\u{202e}';
        assert!(!text.contains(is_hidden), "{text:?}");
    }
}

/// Each of some thousand messages could else claim to lack 65,534 others.
#[test]
fn a_message_is_not_in_more_fragments_than_anybody_takes() {
    for (total, is_taken) in [(IKE_FRAGMENTS_MAX, true), (IKE_FRAGMENTS_MAX + 1, false)] {
        // Whole, and cut short by the capture.
        for cut in [0, 100] {
            let mut script = Script::new(Vantage::Client);
            script.ask().accept().part(FromClient, 1, (1, total), 512);
            script.cut_last(cut);
            let report = script.judged();
            let message = report.attempts[0].messages.last().unwrap();
            assert_eq!(message.fragment.is_some(), is_taken, "{total} {cut}");
            let is_encrypted = matches!(message.contents, Contents::Encrypted(_));
            assert_eq!(is_encrypted, is_taken && cut == 0);
        }
    }
}

#[test]
fn missing_fragments_beyond_the_first_few_are_counted() {
    let lost = |missing: Vec<u16>| {
        let verdict = Verdict::IkeFragmentsLost {
            direction: FromClient,
            missing,
            total: 200,
            datagram_len: 0,
        };
        verdict.to_string()
    };
    assert!(
        lost((2..=200).collect()).ends_with(
            ": 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17 and 183 more of 200"
        )
    );
    assert!(lost(vec![2, 3]).ends_with(": 2, 3 of 200"));
}

/// So that attempts without end between two hosts do not each go through all ESP between them.
#[test]
fn of_flows_of_esp_an_attempt_counts_so_many() {
    let mut script = Script::new(Vantage::Client);
    script.ask().accept().sealed(FromClient, 1, 300);
    for spi in 1..=2 * ESP_FLOWS_PER_ATTEMPT {
        script
            .wait(1)
            .esp_of(FromClient, u32::try_from(spi).unwrap());
    }
    script
        .anew((501, 4501))
        .ask()
        .accept()
        .sealed(FromClient, 1, 300);
    script.esp(FromClient).esp(FromClient);
    let report = script.judged();
    let counts = report.attempts.iter().map(|it| it.esp.from_client);
    let most = u64::try_from(ESP_FLOWS_PER_ATTEMPT).unwrap();
    assert_eq!(counts.collect::<Vec<_>>(), [most, 2]);
}
