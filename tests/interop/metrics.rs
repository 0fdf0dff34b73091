//! Metrics, as Prometheus sees them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    process::{Command, Output},
};

use harness::{
    gateway::Gateway,
    lab::{Lab, V4},
    patience::until,
    pki::Key,
    prometheus::{Prometheus, scrape},
    strongswan::Strongswan,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;

const RULES: &str = include_str!("../../dist/prometheus/ikexdp.rules.yml");
const ALERTS: &str = include_str!("../prometheus/alerts.yml");
const DASHBOARD: &str = include_str!("../../dist/grafana/ikexdp.json");

const ADDRESS: &str = "127.0.0.1:14500";

/// A server that nobody asks, so that there is something to say of it.
const RADIUS: &str = "[[radius]]
name = \"lab\"
servers = [\"127.0.0.1\"]
secret = \"a secret of sixteen octets\"
accounting = true
disconnect = { listen = \"127.0.0.1\" }
";

fn case() -> Case {
    let mut case = Case::certificates(V4, Key::EcdsaP256);
    case.gateway.gateway = "metrics-address = \"127.0.0.1\"";
    case.gateway.tables = RADIUS;
    case
}

/// A gateway with metrics of every kind, and a client that has connected.
fn connected() -> (Lab, Gateway, Strongswan) {
    let (lab, gateway, client) = case().start();
    client.initiate().unwrap();
    (lab, gateway, client)
}

/// What `promtool` makes of files, in a directory that has them; the first is its input.
fn promtool(arguments: &[&str], files: &[(&str, &str)]) -> Output {
    let directory = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let mut promtool = Command::new("promtool");
    promtool.args(arguments).current_dir(directory.path());
    if let Some((first, _)) = files.first() {
        promtool.stdin(File::open(directory.path().join(first)).unwrap());
    }
    promtool
        .output()
        .expect("promtool of the package prometheus")
}

fn assert_good(output: &Output) {
    let text = [&output.stdout[..], &output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&text)
    );
}

#[test]
#[ignore = "needs prometheus"]
fn the_alert_rules_say_what_they_should() {
    let files = [("alerts.yml", ALERTS), ("ikexdp.rules.yml", RULES)];
    assert_good(&promtool(&["check", "rules", "ikexdp.rules.yml"], &files));
    assert_good(&promtool(&["test", "rules", "alerts.yml"], &files));
    // Each of them has been seen to fire.
    for alert in RULES
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        assert!(
            ALERTS.contains(&format!("alertname=\"{alert}\"")),
            "{alert}"
        );
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn promtool_has_nothing_to_say_of_the_metrics() {
    let (lab, _gateway, _client) = connected();
    let page = scrape(&lab.gateway, ADDRESS);
    let output = promtool(&["check", "metrics"], &[("metrics", &page)]);
    assert_good(&output);
    // What it finds ugly does not make it fail.
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn prometheus_scrapes_the_gateway() {
    let (lab, gateway, client) = connected();
    let prometheus = Prometheus::start(&lab.gateway, ADDRESS, RULES);
    let becomes = |expression: &str, expected: f64| {
        until(&format!("{expression} = {expected}"), || {
            let series = prometheus.query(expression);
            matches!(series.as_slice(), [(_, value)] if *value == expected).then_some(())
        });
    };
    becomes("up{job=\"ikexdp\"}", 1.0);
    becomes("ikexdp_handshakes_total{result=\"established\"}", 1.0);
    becomes("ikexdp_handshake_duration_seconds_count", 1.0);
    becomes("ikexdp_ike_sas{state=\"established\"}", 1.0);
    becomes(
        "ikexdp_pool_addresses{family=\"ipv4\",state=\"in_use\"}",
        1.0,
    );
    becomes(
        "sum by (table) (ikexdp_radius_up{role=\"authentication\"})",
        1.0,
    );
    let stats = gateway.stats();
    let fragments = stats.handshakes.fragments_received.sum;
    assert_ne!(fragments, 0, "the client's certificates are cut");
    becomes(
        "ikexdp_handshake_fragments_sum{direction=\"received\"}",
        fragments as f64,
    );
    let verdict =
        "ikexdp_xdp_frames_total{interface=\"eth0\",action=\"redirect\",verdict=\"redirect_ike\"}";
    let frames = stats.xdp.0.iter().find(|(name, _)| name == "redirect_ike");
    becomes(verdict, frames.unwrap().1 as f64);

    client.terminate().unwrap();
    becomes("ikexdp_ike_sas{state=\"established\"}", 0.0);

    for expression in expressions() {
        // Grafana puts in what is chosen.
        let expression = expression
            .replace("$__rate_interval", "1m")
            .replace("$job", "ikexdp")
            .replace("$instance", ".*");
        let _ = prometheus.query(&expression);
    }
}

/// A dashboard that shows nothing, or an alert that never fires, would not be missed.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn whatever_the_dashboard_and_the_rules_name_is_there() {
    let (lab, _gateway, _client) = connected();
    let page = scrape(&lab.gateway, ADDRESS);
    let there: BTreeSet<_> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let expressions = expressions();
    assert!(expressions.len() > 60, "{}", expressions.len());
    for expression in &expressions {
        for name in names(expression) {
            assert!(there.contains(name), "{name}: {expression}");
        }
    }
}

/// The address can be changed, and metrics be switched off, while clients are connected.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_reload_moves_the_metrics() {
    let (lab, gateway, _client) = connected();
    let before = scrape(&lab.gateway, ADDRESS);
    let mut moved = case().gateway;
    moved.gateway = "metrics-address = \"127.0.0.1:14501\"";
    let (taken, text) = gateway.reload(&moved);
    assert!(taken, "{text}");
    let after = scrape(&lab.gateway, "127.0.0.1:14501");
    let established = "\nikexdp_ike_sas{state=\"established\"} 1\n";
    assert!(
        before.contains(established) && after.contains(established),
        "{after}"
    );
    let refused = |address: &'static str| {
        let connected = move || std::net::TcpStream::connect(address).is_ok();
        assert!(!lab.gateway.run(connected), "{address}");
    };
    refused(ADDRESS);
    moved.gateway = "";
    assert!(gateway.reload(&moved).0);
    refused("127.0.0.1:14501");
}

/// What is asked of Prometheus by the dashboard and the rules.
fn expressions() -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(expression)) = fields.get("expr") {
                    found.push(expression.clone());
                }
                fields.values().for_each(|field| collect(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&serde_json::from_str(DASHBOARD).unwrap(), &mut found);
    // An expression is what stands behind `expr:`, or in the deeper lines below it.
    let mut lines = RULES.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(expression) = line.trim_start().strip_prefix("expr: ") else {
            continue;
        };
        let depth = |line: &str| line.len() - line.trim_start().len();
        let mut expression = expression.trim_start_matches(">-").to_owned();
        while let Some(more) = lines.next_if(|next| depth(next) > depth(line)) {
            expression.push_str(more);
        }
        found.push(expression);
    }
    found
}

/// The metrics of the gateway in an expression: names outside of quotation marks that begin as ours
/// do.
fn names(expression: &str) -> BTreeSet<&str> {
    let code = expression.split('"').step_by(2);
    let words =
        code.flat_map(|code| code.split(|it: char| !it.is_ascii_alphanumeric() && it != '_'));
    words
        .filter(|word| word.starts_with("ikexdp_") || word.starts_with("process_"))
        .collect()
}
