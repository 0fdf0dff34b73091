//! Captures that somebody has made for us to read.

use ikexdp_proto::wire::iana::NotifyType;

use super::script::Script;
use crate::model::Vantage;
use crate::report;

/// REDIRECT to a name (RFC 5685 §3).
fn redirect(name: &[u8]) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    [&[3, length], name].concat()
}

#[test]
fn a_redirect_says_nothing_to_a_terminal() {
    let mut script = Script::new(Vantage::Client);
    let name = redirect("a\u{1b}]0;x\u{7}\n  verdict: none\u{202e}z".as_bytes());
    let report = script.ask().refuse(NotifyType(16407), &name).judged();
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
