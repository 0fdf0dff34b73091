//! The page of `ikexdp diagnose --html`, in a browser.

use harness::browser::Page;
use harness::lab::{Lab, V4};
use harness::namespace::command;
use harness::patience::until;
use harness::pki::Key;
use harness::process::Process;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::IKEXDP;
use crate::capture::{FILE, begin};
use crate::case::Case;

/// Where the page is, and the client's capture beside the gateway's.
const PAGE: &str = "/run/page.html";
const CLIENTS: &str = "/run/client.pcapng";

/// What would run if it were taken for more than words.
const HOSTILE: &str =
    "</title></style><script>document.title='run'</script><img src=x onerror=alert(1)>";

/// Captures at both ends what the client of `case` does, and what `diagnose` makes of it: the
/// report, and the page.
fn diagnosed(case: &Case, width: u16) -> (Value, Page) {
    let (lab, _gateway, client) = case.start();
    let mut gateways = begin(&lab, &["--comment", HOSTILE]);
    let mut clients = at_the_client(&lab);
    let _ = client.initiate();
    for capture in [&mut gateways, &mut clients] {
        capture.signal(Signal::SIGINT);
        assert!(capture.wait().success());
    }
    let octets = lab.client.run(|| std::fs::read(FILE)).unwrap();
    lab.gateway.write(CLIENTS, octets);
    let mut ikexdp = command(IKEXDP);
    ikexdp.args(["diagnose", CLIENTS, FILE, "--json", "--html", PAGE]);
    let output = lab.gateway.output(ikexdp);
    let report = serde_json::from_slice(&output.stdout).unwrap();
    let mode = lab.gateway.exec(&format!("stat --format=%a {PAGE}"));
    assert_eq!(mode.trim(), "600");
    (report, Page::open(&lab.gateway, PAGE, width))
}

fn at_the_client(lab: &Lab) -> Process {
    let mut ikexdp = command(IKEXDP);
    ikexdp.args(["capture", "--interface", "eth0", "--output", FILE]);
    let capture = Process::start(&lab.client, "capture", ikexdp);
    until("a capture", || {
        let lines = capture.lines().entries();
        lines
            .iter()
            .any(|line| line.contains("capturing IKE"))
            .then_some(())
    });
    capture
}

/// It is whole, and asks nobody for anything.
fn is_sound(page: &Page) {
    assert_eq!(page.console, [""; 0]);
    assert_eq!(page.requests, [""; 0]);
    assert_eq!(
        page.count("default-src 'none'; style-src 'unsafe-inline'"),
        1
    );
    assert_eq!(page.count("<style>"), 1);
    for element in ["<script", "<img", "<link", "<iframe"] {
        assert_eq!(page.count(element), 0, "{element}");
    }
    assert!(
        page.document.contains("<title>An attempt of IKEv2"),
        "no script has run"
    );
    assert!(
        page.document
            .contains("&lt;script&gt;document.title='run'&lt;/script&gt;")
    );
}

/// Else nobody would notice.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_page_that_asks_or_complains_is_found_out() {
    let lab = Lab::new();
    let page = "<!doctype html><title>x</title><img src=\"http://192.0.2.9/x\"><script>console.error('no')</script>";
    lab.gateway.write(PAGE, page);
    let page = Page::open(&lab.gateway, PAGE, 800);
    assert_eq!(page.requests, ["http://192.0.2.9/x"]);
    assert_eq!(page.console.len(), 1);
}

/// A request in IP fragments, and each of its repeats, is drawn as lost.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_browser_shows_what_is_lost() {
    let mut case = Case::certificates(V4, Key::Rsa4096);
    case.client.fragmentation = false;
    let (report, page) = diagnosed(&case, 1200);
    is_sound(&page);
    let attempt = &report["attempts"][0];
    let messages = attempt["messages"].as_array().unwrap();
    let sent = messages
        .iter()
        .filter(|message| message["seen_as"].is_null());
    let repeats = messages
        .iter()
        .filter(|message| !message["repeat_of"].is_null());
    let (sent, repeats) = (sent.count(), repeats.count());
    assert!(repeats > 0);
    assert_eq!(page.count("<svg "), 1);
    assert_eq!(page.count("<g class=\"arrow "), sent, "each datagram once");
    assert_eq!(page.count("<g class=\"arrow from-client lost"), 1 + repeats);
    assert_eq!(
        page.count("<g class=\"arrow from-client lost repeat\""),
        repeats
    );
    assert_eq!(page.count("<g class=\"arrow from-gateway passed\""), 1);
    // The same for who does not see it.
    assert_eq!(page.count("<tr class=\"lost\">"), 1 + repeats);
    assert_eq!(page.count("role=\"img\""), 1);
    let verdict = &attempt["verdict"];
    for text in ["id", "says"] {
        let text = verdict[text].as_str().unwrap();
        assert!(page.document.contains(text), "{text}");
    }
    assert!(page.document.contains("<dd>809</dd>"));
}

/// As wide as a phone.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_clean_attempt_has_its_drawing_too() {
    let mut case = Case::certificates(V4, Key::EcdsaP256);
    case.path.nat = true;
    let (report, page) = diagnosed(&case, 360);
    is_sound(&page);
    assert!(report["attempts"][0]["verdict"].is_null());
    assert_eq!(page.count("class=\"verdict\""), 0);
    assert_eq!(
        page.count("lost"),
        page.document.matches("svg .lost").count() + page.count("tr.lost") + page.count("lost: 0")
    );
    assert_eq!(page.count(">NAT</text>"), 1, "addresses are rewritten");
}
