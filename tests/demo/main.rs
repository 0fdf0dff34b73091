//! `cargo xtask demo`: a client behind a router that drops IP fragments connects to the gateway,
//! first without IKE fragmentation, in vain, and then with it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what it reads is its own, and a panic ends it with an error"
)]

mod attempt;
mod findings;
mod report;

use std::{any::Any, env, panic, path::PathBuf, process::ExitCode};

use harness::{
    confined::confined,
    credentials::Credentials,
    gateway::{Gateway, Setup},
    lab::{Lab, V4},
    pki::{Key, Pki},
    strongswan::Settings,
};

use self::attempt::Attempt;

/// The daemon's patience with a client, shorter than by default so that nobody waits for it.
const TIMING: &str = "[timing]\nhalf-open = \"5s\"";

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(ikexdp), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: demo IKEXDP");
        return ExitCode::FAILURE;
    };
    confined(|| run(ikexdp.into())).unwrap_or_else(|error| {
        eprintln!(
            "error: no namespaces to run in: {error}; hint: run as root, by `cargo xtask demo`"
        );
        ExitCode::FAILURE
    })
}

/// Shows everything; what goes wrong, even in the harness, ends it with one line.
fn run(ikexdp: PathBuf) -> ExitCode {
    panic::set_hook(Box::new(|_| ()));
    let unexpected = panic::catch_unwind(|| demonstrate(ikexdp));
    let error = match unexpected {
        Ok(0) => return ExitCode::SUCCESS,
        Ok(unexpected) => format!("findings that are not as expected: {unexpected}"),
        Err(panic) => message(&*panic),
    };
    eprintln!("error: {}", error.trim_end());
    ExitCode::FAILURE
}

/// Makes both attempts; how many findings are not as expected.
fn demonstrate(ikexdp: PathBuf) -> usize {
    let lab = Lab::new();
    let pki = Pki::new(Key::Rsa4096);
    let setup = Setup {
        tables: TIMING,
        ..Setup::new(Credentials::gateway(&pki))
    };
    let client = |fragmentation| Settings {
        fragmentation,
        virtual_ips: vec![[0; 4].into()],
        ..Settings::initiator(V4.client, V4.gateway, Credentials::client(&pki))
    };
    let gateway = Gateway::start(ikexdp, &lab.gateway, &setup);
    report::network(&gateway);

    let first = Attempt::make(&lab, &gateway, client(false));
    let mut findings = findings::of_failure(&first);
    report::failure(&first, &findings);

    let second = Attempt::make(&lab, &gateway, client(true));
    let mut success = findings::of_success(&second, setup.fragment_size.into());
    success.push(findings::of_counters(&[&first, &second]));
    report::success(&second, &success);

    gateway.stop();
    findings.extend(success);
    findings.iter().filter(|finding| !finding.is_so).count()
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}
