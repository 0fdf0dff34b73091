//! What people read, in lines of at most 100 characters where words allow.

use harness::{
    datagram::{Datagram, timeline},
    gateway::Gateway,
    lab::NAMES,
};

use crate::{attempt::Attempt, findings::Finding};

/// Longest line, in characters.
const WIDTH: usize = 100;
/// Before what goes on with a line of the log, or with a finding.
const INDENT: &str = "     ";
/// Lines of the client that say how it ended.
const LAST_WORDS: usize = 3;

/// The stage, before anything happens.
pub(crate) fn network(gateway: &Gateway) {
    println!(
        "
  client  ─────────────────────  router  ─────────────────────  gateway
  192.0.2.2             drops every IP fragment            198.51.100.2
  strongSwan                     MTU 1500               ikexdp, by XDP

Both sides prove who they are with chains of three certificates, of RSA keys with 4096 bits. What
each sends for that, its own certificate, the intermediate one and a signature, takes more than
3000 bytes, and a datagram carries 1500."
    );
    command("ikexdp status", &gateway.ask(&["status"]));
}

/// The attempt without IKE fragmentation.
pub(crate) fn failure(attempt: &Attempt, findings: &[Finding]) {
    title("1. The client without IKE fragmentation (strongSwan: fragmentation = no)");
    datagrams(attempt);
    println!(
        "\nnftables on the router has counted {} IP fragments, and dropped them.",
        attempt.fragments_dropped
    );
    if let Err(words) = &attempt.outcome {
        println!("\nThe client's last words:");
        let lines: Vec<_> = words.trim().lines().collect();
        let first = lines.len().saturating_sub(LAST_WORDS);
        lines[first..]
            .iter()
            .for_each(|line| paragraph(line, INDENT));
    }
    log(attempt);
    conclusion(
        findings,
        "IKE_SA_INIT is short and passes. IKE_AUTH carries the certificates; the client's kernel cuts the \
         datagram into IP fragments, of which only the first has ports, and the router drops them, as many \
         firewalls, NATs and load balancers do. Nobody tells the client: it repeats its request and gives up \
         (Windows shows error 809). Nothing of IKE_AUTH reaches the gateway, so all its log can say is that \
         the client did not go on, and what that points to.",
    );
}

/// The attempt with it.
pub(crate) fn success(attempt: &Attempt, findings: &[Finding]) {
    title("2. The same client with IKE fragmentation (strongSwan: fragmentation = yes)");
    datagrams(attempt);
    log(attempt);
    let [sas, stats] = &attempt.shown;
    command("ikexdp sas --wide", sas);
    command("ikexdp stats", stats);
    conclusion(
        findings,
        "Both announce RFC 7383 in IKE_SA_INIT. Each fragment of IKE_AUTH is then encrypted, authenticated \
         and sent by itself, in a datagram that has its ports and fits the path: there is nothing for the \
         router to drop. (There is no NAT: a strongSwan with ESP in user space pretends to be behind one. \
         The counters are those of both attempts.)",
    );
}

/// One line a datagram, marked if it was lost.
fn datagrams(attempt: &Attempt) {
    let crossings = &attempt.crossings;
    println!("What client and gateway sent each other (x: the router dropped it):");
    let datagrams: Vec<Datagram> = crossings.iter().map(|it| it.datagram.clone()).collect();
    for (crossing, line) in crossings.iter().zip(timeline(&datagrams, &NAMES).lines()) {
        println!("{} {line}", if crossing.arrived { ' ' } else { 'x' });
    }
}

fn title(text: &str) {
    println!("\n\n{text}\n{}\n", "─".repeat(text.chars().count()));
}

/// A command and what it printed.
fn command(line: &str, output: &str) {
    println!("\n$ {line}\n{}", output.trim_end());
}

/// What the daemon wrote.
fn log(attempt: &Attempt) {
    println!("\nThe gateway's log:");
    attempt.log.iter().for_each(|line| paragraph(line, INDENT));
}

/// What the attempt has shown, and why, which is known only if all is as expected.
fn conclusion(findings: &[Finding], why: &str) {
    println!();
    if findings.iter().all(|finding| finding.is_so) {
        paragraph(why, "");
        println!();
    }
    for finding in findings {
        paragraph(&finding.to_string(), INDENT);
    }
}

fn paragraph(text: &str, indent: &str) {
    println!("{}", fold(text, indent));
}

/// Breaks a text into lines between its words; all but the first begin with `indent`.
fn fold(text: &str, indent: &str) -> String {
    let mut folded = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            folded += "\n";
            folded += indent;
            width = indent.len();
        } else if width > 0 {
            folded += " ";
            width += 1;
        }
        folded += word;
        width += length;
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_folded_between_words() {
        let text = format!("ok   {} {}", "a".repeat(60), "b".repeat(60));
        let folded = format!("ok   {}\n     {}", "a".repeat(60), "b".repeat(60));
        assert_eq!(fold(&text, INDENT), folded);
    }

    #[test]
    fn a_line_that_fits_is_left_alone() {
        for text in ["", "ok   it is so", &"a".repeat(WIDTH)] {
            assert_eq!(fold(text, INDENT), text);
        }
    }
}
