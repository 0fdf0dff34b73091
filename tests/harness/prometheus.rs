//! Prometheus, which scrapes the gateway in the gateway's own namespace.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Stdio,
    time::Duration,
};

use serde_json::Value;

use crate::{
    journal::Journal,
    namespace::{Namespace, command},
    process::Process,
};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where its files are in the namespace.
const DIRECTORY: &str = "/run/prometheus";

/// Where it listens.
const ADDRESS: &str = "127.0.0.1:9090";

/// A running Prometheus; dropping it kills it. What it said is printed when the test panics.
#[derive(Debug)]
pub struct Prometheus {
    namespace: Namespace,
    process: Process,
}

impl Prometheus {
    /// Starts one that scrapes `target` as the job `ikexdp` several times a second, and has these
    /// alert rules. It answers when this returns.
    #[must_use]
    pub fn start(namespace: &Namespace, target: &str, rules: &str) -> Self {
        let configuration = format!(
            r#"
global: {{ scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 1s }}
rule_files: [{DIRECTORY}/ikexdp.rules.yml]
scrape_configs:
  - job_name: ikexdp
    static_configs: [{{ targets: ["{target}"] }}]
"#
        );
        namespace.write(format!("{DIRECTORY}/prometheus.yml"), configuration);
        namespace.write(format!("{DIRECTORY}/ikexdp.rules.yml"), rules);
        let mut program = command("prometheus");
        program
            .arg(format!("--config.file={DIRECTORY}/prometheus.yml"))
            .arg(format!("--storage.tsdb.path={DIRECTORY}/data"))
            .arg(format!("--web.listen-address={ADDRESS}"))
            .stdout(Stdio::null());
        let process = Process::start(namespace, "prometheus", program);
        let prometheus = Self {
            namespace: namespace.clone(),
            process,
        };
        let ready = |lines: &[String]| {
            let ready = "Server is ready to receive web requests";
            lines.iter().any(|line| line.contains(ready)).then_some(())
        };
        let ready = prometheus.log().wait_for(PATIENCE, ready);
        ready.expect("Prometheus starts");
        prometheus
    }

    /// What it writes.
    #[must_use]
    pub fn log(&self) -> &Journal<String> {
        self.process.lines()
    }

    /// What an expression is worth now: the series, each with its value.
    #[must_use]
    pub fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let mut query = command("promtool");
        query.args(["query", "instant", "--format=json"]);
        query.args([&format!("http://{ADDRESS}"), expression]);
        let output = self.namespace.output(query);
        let answer = String::from_utf8(output.stdout).unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{expression}: {complaint}{answer}");
        let series: Value = serde_json::from_str(&answer).unwrap();
        let series = series.as_array().expect("a list of series").iter();
        series
            .map(|one| {
                let value = one["value"][1].as_str().expect("a value");
                (one["metric"].clone(), value.parse().unwrap())
            })
            .collect()
    }
}

/// The metrics that are served at `address` in `namespace`.
#[must_use]
pub fn scrape(namespace: &Namespace, address: &'static str) -> String {
    let answer = namespace.run(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let (head, page) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    page.to_owned()
}
