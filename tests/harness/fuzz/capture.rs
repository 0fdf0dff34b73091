//! A capture, read and judged.

use ikexdp_diagnose::model::Report;
use ikexdp_diagnose::{judge, read, report};

/// The octets are a capture: whatever is in it, alone and beside itself, is reported in all ways, and nothing of it
/// moves a cursor.
pub fn capture(octets: &[u8]) {
    let read = || read("capture", octets).ok();
    let Some(alone) = read() else {
        return;
    };
    shown(&judge(vec![alone], None));
    shown(&judge(read().into_iter().chain(read()).collect(), None));
}

fn shown(report: &Report) {
    let text = report::text::of(report);
    let moves = |character: char| character.is_control() && character != '\n';
    assert!(!text.contains(moves), "{text:?}");
    serde_json::to_value(report::json::of(report)).expect("a report is JSON");
    let page = report::html::of(report);
    assert!(page.contains("</html>"));
}
