use std::fs;
use std::os::unix::fs::PermissionsExt;

use clap::{CommandFactory, Parser};
use ikexdp_proto::config::Credential;
use ikexdp_proto::crypto::shared_key::SharedKey;
use tempfile::TempDir;

use super::error::list;
use super::*;
use crate::bench::Settings;
use crate::cli::{Cli, Command};

const SECRET: &str = "correct horse battery staple";

/// The options of `ikexdp bench` with these arguments, and a shared key in a file.
fn options(directory: &TempDir, arguments: &[&str]) -> Options {
    let file = directory.path().join("psk");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    let file = file.to_str().unwrap();
    let all = ["ikexdp", "bench", "--psk-file", file, "--id", "c{n}@a.test"];
    let all = all.iter().chain(arguments);
    match Cli::try_parse_from(all).unwrap().command {
        Command::Bench(options) => *options,
        other => panic!("{other:?}"),
    }
}

fn plan(arguments: &[&str]) -> Result<Plan, LoadError> {
    options(&TempDir::new().unwrap(), arguments).plan()
}

fn parses(arguments: &[&str]) -> bool {
    Cli::try_parse_from(["ikexdp", "bench"].iter().chain(arguments)).is_ok()
}

#[test]
fn a_plan_follows_from_the_options() {
    let plan = plan(&[
        "192.0.2.1",
        "--source",
        "10.1.0.0/16",
        "--clients",
        "1000",
        "--rate",
        "250",
        "--timeout",
        "10s",
        "--hold",
        "5s",
        "--rekey",
        "2",
        "--delete",
        "--rounds",
        "3",
        "--fragment-size",
        "576",
    ])
    .unwrap();
    assert_eq!(plan.gateway, "192.0.2.1:500".parse().unwrap());
    assert_eq!(plan.load, Load::Rate(NonZeroU32::new(250).unwrap()));
    assert_eq!(plan.identity.of(3).to_string(), "c3@a.test");
    assert_eq!(plan.fragmentation.datagram_len, 576);
    assert_eq!(plan.phases().len(), 5);
    let told = Settings {
        version: env!("CARGO_PKG_VERSION"),
        rate: Some(250),
        concurrency: None,
        source: "10.1.0.0/16".to_owned(),
        proof: "psk",
        fragmentation: true,
        fragment_size: 576,
        childless: false,
        timeout_s: 10.0,
        rounds: 3,
        hold_s: Some(5.0),
        liveness_s: None,
        rekeys: 2,
        delete: true,
    };
    assert_eq!(Settings::new(&plan), told);
}

#[test]
fn a_secret_ends_where_its_line_ends() {
    let directory = TempDir::new().unwrap();
    let options = options(&directory, &["127.0.0.1"]);
    let (proof, _) = credentials::shared_key(options.psk_file.as_deref().unwrap()).unwrap();
    match proof {
        Proof::Same(Credential::SharedKey(secret)) => {
            assert_eq!(secret, SharedKey::new(SECRET.as_bytes()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_said_twice_or_by_halves_is_refused() {
    let psk = ["192.0.2.1", "--psk-file", "f", "--id", "a@b"];
    let with = |more: &[&str]| parses(&[&psk[..], more].concat());
    assert!(with(&[]));
    assert!(!with(&["--rate", "1", "--concurrency", "1"]));
    assert!(!with(&["--clients", "0"]) && !with(&["--rate", "0"]));
    assert!(!with(&["--no-fragmentation", "--fragment-size", "1280"]));
    assert!(!with(&["--fragment-size", "575"]));
    assert!(!with(&["--suite", "rot13"]));
    assert!(!with(&["--liveness", "1s"]));
    assert!(!with(&["--transport", "xdp"]));
    assert!(!with(&[
        "--certificate",
        "c",
        "--key",
        "k",
        "--authority",
        "a"
    ]));
    assert!(!parses(&["192.0.2.1", "--psk-file", "f"]));
    assert!(!parses(&["192.0.2.1", "--id", "a@b"]));
    assert!(!parses(&["192.0.2.1", "--certificate", "c"]));
    assert!(parses(&[
        "192.0.2.1",
        "--certificate",
        "c",
        "--key",
        "k",
        "--authority",
        "a"
    ]));
}

/// Clients that have a password need to know whose certificate the gateway has.
#[test]
fn names_and_a_password_are_one_way_among_others() {
    let eap = [
        "192.0.2.1",
        "--eap-user",
        "u{n}",
        "--eap-password-file",
        "p",
    ];
    let with = |more: &[&str]| parses(&[&eap[..], more].concat());
    assert!(with(&["--authority", "a"]));
    assert!(with(&["--authority", "a", "--id", "c{n}@a.test"]));
    assert!(!with(&[]));
    assert!(!with(&["--authority", "a", "--psk-file", "f"]));
    assert!(!with(&[
        "--authority",
        "a",
        "--certificate",
        "c",
        "--key",
        "k"
    ]));
    assert!(!parses(&[
        "192.0.2.1",
        "--eap-user",
        "u",
        "--authority",
        "a"
    ]));
    assert!(!parses(&[
        "192.0.2.1",
        "--authority",
        "a",
        "--eap-password-file",
        "p"
    ]));
    assert!(!parses(&["192.0.2.1", "--authority", "a"]));
}

#[test]
fn a_password_is_text_and_each_client_has_a_name() {
    let directory = TempDir::new().unwrap();
    let users: UserTemplate = "User-{n}".parse().unwrap();
    let file = directory.path().join("password");
    let authority = directory.path().join("ca.pem");
    let key = rcgen::KeyPair::generate().unwrap();
    let root = rcgen::CertificateParams::default().self_signed(&key);
    fs::write(&authority, root.unwrap().pem()).unwrap();
    let load = |content: &[u8]| {
        fs::write(&file, content).unwrap();
        let loaded = credentials::passwords(&users, [Some(&file), Some(&authority)]);
        loaded.map_err(|error| error.to_string())
    };
    let (proof, requirement) = load("пароль\n".as_bytes()).unwrap();
    assert!(matches!(requirement, Requirement::Certificate(_)));
    let identity = credentials::identity(None, &proof).unwrap();
    assert_eq!(identity.of(7).to_string(), "user-7");
    for (content, expected) in [(&b"\n"[..], "nothing in "), (b"\xff", "no text in ")] {
        let error = load(content).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
        assert!(error.contains("--eap-password-file"), "{error}");
    }
}

/// As the daemon says it of its own.
#[test]
fn a_secret_that_everybody_can_read_is_warned_of() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("psk");
    fs::write(&file, SECRET).unwrap();
    let allow = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o644);
    let caution = credentials::caution("--psk-file", &file).unwrap();
    assert!(caution.starts_with("`--psk-file`: "), "{caution}");
    assert!(
        caution.ends_with("hint: take the right away: `chmod o-r`"),
        "{caution}"
    );
    allow(0o640);
    assert_eq!(credentials::caution("--psk-file", &file), None);
}

/// clap would break the line at the place of the number.
#[test]
fn help_says_what_stands_for_the_number() {
    let mut command = Cli::command();
    let bench = command.find_subcommand_mut("bench").unwrap();
    for help in [bench.render_help(), bench.render_long_help()] {
        let help = help.to_string();
        assert!(help.contains("such as user-{n}@example.org"), "{help}");
        assert_eq!(help.matches("with {n} for the number").count(), 2, "{help}");
    }
}

/// Each names the option and what to do.
#[test]
fn errors_name_the_option_and_the_remedy() {
    for (arguments, expected) in [
        (
            &["192.0.2.1", "--source", "10.1.0.0/30"][..],
            "`--source` has room for 2 clients, `--clients` wants 100; hint: give a shorter prefix",
        ),
        (
            &["127.0.0.1", "--hold", "1s", "--liveness", "9ms"],
            "`--liveness` is less than 10ms; hint: clients ask every ten seconds or more rarely",
        ),
        (
            &["192.0.2.1", "--source", "2001:db8::/64"],
            "192.0.2.1 has no address of the family of `--source`; hint: give both of one family",
        ),
        (
            &["127.0.0.1", "--rounds", "2"],
            "`--rounds` needs `--delete`; hint: without it the SAs of a round stay for the next",
        ),
        (
            &["127.0.0.1", "--transport", "xdp", "--interface", "lo"],
            "`--transport xdp` needs an address for each client; hint: give `--source` a network",
        ),
        (
            &[
                "127.0.0.1",
                "--transport",
                "xdp",
                "--interface",
                "lo",
                "--source",
                "10.1.0.0/16",
                "--clients",
                "5000",
            ],
            "`--transport xdp` has room for 4096 clients, `--clients` wants 5000; hint: use `--transport udp`",
        ),
    ] {
        assert_eq!(plan(arguments).unwrap_err().to_string(), expected);
    }
    let mut options = options(&TempDir::new().unwrap(), &["127.0.0.1"]);
    options.psk_file = Some("/nowhere/psk".into());
    let error = options.plan().unwrap_err().to_string();
    assert_eq!(error, "cannot read /nowhere/psk of `--psk-file`");
}

/// Nobody is there: all of them are out of time, which is told and no success.
#[test]
fn a_gateway_that_is_not_there_gives_timeouts() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let plan = plan(&[
        "127.0.0.1",
        "--port",
        &port,
        "--clients",
        "3",
        "--timeout",
        "310ms",
    ]);
    let report = bench::run(plan.unwrap(), &AtomicBool::new(false), |_| {}).unwrap();
    let [connect] = &report.phases[..] else {
        panic!("{report:?}");
    };
    assert_eq!(
        (connect.begun, connect.succeeded, connect.failed),
        (3, 0, 3)
    );
    assert_eq!(list(&connect.failures), "timeout IKE_SA_INIT 3");
    assert_eq!(connect.retransmissions, 12);
    assert_eq!(connect.sent.datagrams, 15);
    assert!(connect.latency_ms.is_none());
    let error = error::judge(&report).unwrap_err().to_string();
    assert_eq!(error, "no client connected: timeout IKE_SA_INIT 3");
    assert!(show::table(&report).contains("round 1, connect: failed: timeout IKE_SA_INIT 3"));
}

/// A gateway that does not answer would have kept it for half a minute.
#[test]
fn who_interrupts_it_gets_what_there_is() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let plan = plan(&["127.0.0.1", "--port", &port, "--hold", "1h", "--delete"]).unwrap();
    let stop = AtomicBool::new(false);
    let watch = |_| stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let report = bench::run(plan, &stop, watch).unwrap();
    let [connect] = &report.phases[..] else {
        panic!("{report:?}");
    };
    assert_eq!(
        (connect.begun, connect.succeeded, connect.failed),
        (64, 0, 0)
    );
    assert!(show::table(&report).contains("interrupted"));
    let error = error::judge(&report).unwrap_err();
    assert_eq!(error.to_string(), "interrupted");
    assert_eq!(error.exit_status(), 130);
}
