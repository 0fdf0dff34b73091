//! The `ikexdp` binary.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use ikexdp::cli::{Cli, CliError};

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    match run(&mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let known: Option<&CliError> = error.downcast_ref();
            if !known.is_some_and(CliError::is_told) {
                report(&error);
            }
            known.map_or(ExitCode::FAILURE, |error| {
                ExitCode::from(error.exit_status())
            })
        }
    }
}

fn run(out: &mut impl Write) -> anyhow::Result<()> {
    Ok(Cli::parse().execute(out)?)
}

/// Whoever reads our output has seen enough of it.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(CliError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe
    )
}

/// An error, and below it what brought it about.
fn report(error: &anyhow::Error) {
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        text += &format!("  because: {cause}\n");
    }
    // There is nowhere else to say that this failed.
    let _ = io::stderr().write_all(text.as_bytes());
}
