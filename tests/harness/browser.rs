//! A browser that opens a page, and what becomes of it there.

use std::{fs, time::Duration};

use serde_json::Value;

use crate::namespace::{Namespace, command};

/// Where the browser keeps what it needs, and writes what it asked for from a network.
const DIRECTORY: &str = "/run/browser";
const NETWORK_LOG: &str = "/run/browser-network.json";
/// How long it has to show that a page is there.
const PATIENCE: Duration = Duration::from_secs(60);

/// A page as Chromium has it after loading.
#[derive(Clone, Debug)]
pub struct Page {
    /// The document, written anew.
    pub document: String,
    /// What the console says, warnings and errors included.
    pub console: Vec<String>,
    /// URLs that the page asked for.
    pub requests: Vec<String>,
}

impl Page {
    /// Opens the file at `path` of `namespace`, in a window of so many pixels across.
    #[must_use]
    pub fn open(namespace: &Namespace, path: &str, width: u16) -> Self {
        let url = format!("file://{path}");
        let mut chromium = command("chromium");
        chromium.args([
            "--headless",
            // As root there is none.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            // Nothing of its own from the network.
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--enable-logging=stderr",
            "--virtual-time-budget=2000",
        ]);
        chromium.arg(format!("--user-data-dir={DIRECTORY}"));
        chromium.arg(format!("--log-net-log={NETWORK_LOG}"));
        chromium.arg(format!("--window-size={width},2000"));
        chromium.args(["--dump-dom", &url]);
        let timeout = PATIENCE.as_secs().to_string();
        let mut limited = command("timeout");
        limited.arg(timeout).arg(chromium.get_program());
        limited.args(chromium.get_args());
        let output = namespace.output(limited);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let document = String::from_utf8(output.stdout).expect("a document is UTF-8");
        assert!(document.contains("</html>"), "no document:\n{said}");
        let console = said.lines().filter(|line| line.contains("CONSOLE"));
        let log = namespace.run(|| fs::read_to_string(NETWORK_LOG)).unwrap();
        Self {
            document,
            console: console.map(str::to_owned).collect(),
            requests: requests(&log),
        }
    }

    /// How often `text` stands in the document.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        self.document.matches(text).count()
    }
}

/// The URLs in a network log (NetLog of Chromium) that a page has asked for. What the browser asks for
/// by itself has no origin.
fn requests(log: &str) -> Vec<String> {
    let log: Value = serde_json::from_str(log).expect("the browser has ended, and closed its log");
    let events = log["events"].as_array().expect("a list").iter();
    let parameters = events.map(|event| &event["params"]);
    let of_page = parameters.filter(|it| {
        let initiator = it["initiator"].as_str();
        initiator.is_some_and(|initiator| initiator != "not an origin")
    });
    let urls = of_page.filter_map(|it| it["url"].as_str());
    urls.map(str::to_owned).collect()
}
