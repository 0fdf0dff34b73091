use ikexdp_proto::wire::iana::{AuthMethod, ExchangeType, PayloadType};
use ikexdp_proto::wire::sk::FragmentNumber;
use ikexdp_proto::wire::writer::ChainWriter;

use super::rows::{Fate, rows};
use super::*;
use crate::inside::tests::{AUTH, FromClient, FromGateway, NOW, Script, chain, shows};
use crate::model::{
    Confidence, EspSeen, Evidence, Finding, IcmpError, IcmpSeen, LooseFragments, Piece,
};
use crate::time::Moment;

/// Nobody's name, and everybody's trick.
const HOSTILE: &str =
    "</text></style><script>alert(1)</script>\" onload=x ' & <img src=//x>\u{202e}\u{1b}[2J";

fn report(attempt: Attempt) -> Report {
    Report {
        captures: vec![Capture {
            file: HOSTILE.to_owned(),
            format: "pcapng",
            truncated: Some(HOSTILE.to_owned()),
            notes: vec![HOSTILE.to_owned()],
            comments: vec![HOSTILE.to_owned()],
            ..Capture::default()
        }],
        attempts: vec![attempt],
        ..Report::default()
    }
}

/// A request and its response, with something of theirs in every place.
fn hostile() -> Report {
    let chain = chain(|params| {
        let name = rcgen::DnType::CommonName;
        params
            .distinguished_name
            .push(name, "<script>alert(2)</script>");
    });
    let mut attempt = Script::new(Some("Windows"))
        .says(FromClient, AUTH, something)
        .says(FromGateway, AUTH, |payloads| {
            shows(payloads, &chain, AuthMethod::RSA_SHA1);
        })
        .look(Some(HOSTILE));
    attempt.outcome = Outcome::Failed;
    attempt.finding = Some(Finding {
        verdict: Verdict::Redirected {
            to: Some(HOSTILE.to_owned()),
        },
        confidence: Confidence::Likely,
        evidence: vec![Evidence {
            capture: 0,
            frames: vec![1, 2],
            says: HOSTILE.to_owned(),
        }],
    });
    report(attempt)
}

#[test]
fn nothing_of_others_is_markup() {
    let page = of(&hostile());
    for forbidden in [
        "<script",
        "<img",
        "\" onload",
        "\u{202e}",
        "\u{1b}",
        "http-equiv=\"refresh",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}: {page}");
    }
    // Their own words are there, as words.
    assert!(
        page.matches("&lt;script&gt;alert(1)&lt;/script&gt;")
            .count()
            >= 6
    );
    assert!(
        page.contains("&lt;script\\&gt;alert(2)"),
        "of a certificate"
    );
    // One style, the page's own, and nothing from elsewhere.
    assert_eq!(page.matches("<style>").count(), 1);
    for outside in ["src=", "url(", "@import", "href=\"http", "<link", "<iframe"] {
        let escaped = page.replace("src=//x", "");
        assert!(!escaped.contains(outside), "{outside}");
    }
    assert!(page.contains("default-src 'none'") || page.contains("default-src &#39;none&#39;"));
}

/// A payload that says nothing.
fn something(payloads: &mut ChainWriter) {
    payloads.payload(PayloadType::VENDOR_ID, |body| body.bytes(&[7; 16]));
}

fn message(script: Script, number: u32) -> Script {
    script.says(FromClient, (ExchangeType::IKE_AUTH, number), something)
}

/// What becomes of each row.
fn fates(attempt: &Attempt, captures: usize) -> Vec<(String, Fate, bool)> {
    let (rows, _) = rows(attempt, captures);
    let rows = rows.into_iter();
    rows.map(|row| (row.label, row.fate, row.repeats)).collect()
}

#[test]
fn what_is_lost_is_told_from_what_has_no_answer() {
    let script = message(message(Script::new(None), 1), 1);
    let script = script.says(FromGateway, AUTH, something);
    let mut attempt = message(script, 2).attempt;
    attempt.messages[1].repeat_of = Some(0);
    let request = "IKE_AUTH request 1".to_owned();
    let response = "IKE_AUTH response 1".to_owned();
    let second = "IKE_AUTH request 2".to_owned();
    // One capture: nothing is known to be lost, and the last request has no answer.
    let expected = [
        (request.clone(), Fate::Passed, false),
        (request.clone(), Fate::Passed, true),
        (response.clone(), Fate::Passed, false),
        (second.clone(), Fate::Unanswered, false),
    ];
    assert_eq!(fates(&attempt, 1), expected);
    // Two: the repeat and the response were seen at the other end.
    let mut arrived = attempt.messages[1].clone();
    (arrived.capture, arrived.seen_as) = (1, Some(1));
    let mut sent = attempt.messages[2].clone();
    (sent.capture, sent.seen_as) = (1, Some(2));
    attempt.messages.extend([arrived, sent]);
    let expected = [
        (request.clone(), Fate::Lost, false),
        (request, Fate::Passed, true),
        (response, Fate::Passed, false),
        (second, Fate::Lost, false),
    ];
    assert_eq!(fates(&attempt, 2), expected);
}

#[test]
fn fragments_that_never_came_have_a_row() {
    let mut attempt = message(message(Script::new(None), 1), 1).attempt;
    for (message, number) in attempt.messages.iter_mut().zip([1, 4]) {
        message.fragment = Some(FragmentNumber { number, total: 4 });
    }
    attempt.fragments = vec![LooseFragments {
        capture: 0,
        direction: FromClient,
        time: Moment(NOW.0 + 1),
        pieces: vec![Piece {
            offset: 0,
            length: 1480,
            more: true,
            frame: 9,
        }],
    }];
    attempt.icmp = vec![IcmpSeen {
        capture: 0,
        frame: 10,
        time: Moment(NOW.0 + 2),
        error: IcmpError::TooBig(1400),
        direction: FromClient,
        source_port: 4500,
        destination_port: 4500,
    }];
    attempt.esp = EspSeen {
        from_client: 7,
        ..EspSeen::default()
    };
    let rows = fates(&attempt, 1);
    let labels: Vec<_> = rows.iter().map(|(label, ..)| label.as_str()).collect();
    let expected = [
        "IKE_AUTH request 1, fragment 1 of 4",
        "IKE_AUTH request 1, fragment 4 of 4",
        "IKE_AUTH request 1, fragment 2, 3 of 4",
        "IP fragments of a datagram that is not whole",
        "ICMP: too big, the next link carries 1400 octets",
    ];
    assert_eq!(labels, expected);
    assert_eq!((rows[2].1, rows[3].1), (Fate::Lost, Fate::Lost));
    let page = of(&report(attempt));
    assert_eq!(page.matches("class=\"arrow ").count(), 5);
    assert_eq!(page.matches("<svg ").count(), 1);
    assert!(page.contains("ESP: 7 packets from the client, 0 from the gateway"));
}

/// Who has thousands of attempts gets a page that a browser opens.
#[test]
fn a_page_has_an_end() {
    let attempt = message(Script::new(None), 1).attempt;
    let mut report = report(attempt);
    let one = report.attempts[0].clone();
    report.attempts = (1..=ATTEMPTS_SHOWN + 7)
        .map(|number| Attempt {
            number,
            ..one.clone()
        })
        .collect();
    let page = of(&report);
    assert_eq!(page.matches("<svg ").count(), ATTEMPTS_SHOWN);
    assert!(page.contains("And 7 attempts more"));
    assert!(of(&Report::default()).contains("No attempt"));
    // Few of many messages, one of which says that it is in more fragments than there are.
    let mut long = one;
    let mut message = long.messages[0].clone();
    message.fragment = Some(FragmentNumber {
        number: 9,
        total: u16::MAX,
    });
    long.messages = vec![message; 2000];
    report.attempts = vec![long; 9];
    let page = of(&report);
    assert_eq!(page.matches("<svg ").count(), 3);
    assert!(page.contains("And 6 attempts more") && page.contains("messages more"));
    assert!(page.len() < 2_000_000, "{}", page.len());
}
