//! Writes the manual pages and the shell completions into a directory, for the
//! package: the daemon itself need not carry what makes them.

mod configuration;

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use ikexdp::cli::Cli;

/// Of the manual: administration.
const SECTION: &str = "8";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(directory), Some(date)) = (arguments.next(), arguments.next()) else {
        return Err("usage: manual DIRECTORY DATE".into());
    };
    let directory = Path::new(&directory);
    // Every page has `--help`; `ikexdp help run` needs none of its own.
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    page(directory, &date, &command, main_page_end())?;
    subcommand_pages(directory, &date, &command)?;
    let configuration = configuration::page(&date)?;
    fs::write(directory.join("ikexdp.toml.5"), configuration.render())?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "ikexdp", directory)?;
    }
    Ok(())
}

/// Writes the pages of what is below `command`, at every depth.
fn subcommand_pages(directory: &Path, date: &str, command: &Command) -> Result<(), Box<dyn Error>> {
    for subcommand in command.get_subcommands() {
        let end = see_also(&["ikexdp(8)", "ikexdp.toml(5)"]);
        page(directory, date, subcommand, end)?;
        subcommand_pages(directory, date, subcommand)?;
    }
    Ok(())
}

/// Writes the page of `command`, which ends with `end`.
fn page(directory: &Path, date: &str, command: &Command, end: Roff) -> Result<(), Box<dyn Error>> {
    let has_subcommands = command.has_subcommands();
    let man = Man::new(command.clone())
        .section(SECTION)
        .date(date)
        .source(concat!("ikexdp ", env!("CARGO_PKG_VERSION")))
        .manual("IKEv2 gateway");
    let mut file = File::create(directory.join(man.get_filename()))?;
    man.render_title(&mut file)?;
    man.render_name_section(&mut file)?;
    man.render_synopsis_section(&mut file)?;
    man.render_description_section(&mut file)?;
    man.render_options_section(&mut file)?;
    if has_subcommands {
        man.render_subcommands_section(&mut file)?;
    }
    end.to_writer(&mut file)?;
    Ok(())
}

/// What the command line does not know of itself.
fn main_page_end() -> Roff {
    let mut roff = Roff::new();
    let mut list = |title: &str, entries: &[(&str, &str)]| {
        roff.control("SH", [title]);
        for (name, meaning) in entries {
            roff.control("TP", []).text([bold(*name)]);
            roff.text([roman(*meaning)]);
        }
    };
    list(
        "SIGNALS",
        &[(
            "SIGTERM, SIGINT",
            "The daemon tells its peers and ends; the second one does not wait for them.",
        )],
    );
    list(
        "EXIT STATUS",
        &[
            ("0", "It was done."),
            ("1", "It failed; standard error says why, and what to do."),
            ("2", "The command line cannot be understood."),
        ],
    );
    list(
        "FILES",
        &[
            ("/etc/ikexdp/ikexdp.toml", "The configuration."),
            (
                "/etc/ikexdp/pki/",
                "The authority, its key, and the gateway's certificates, as `ikexdp init` makes them; and the list of clients.",
            ),
            (
                "/etc/ikexdp/clients/",
                "What was written for clients: to be carried over, and then deleted.",
            ),
            (
                "/run/ikexdp/control.sock",
                "Where the other commands find the daemon; its user and root may use it.",
            ),
        ],
    );
    roff.extend([see_also(&[
        "ikexdp.toml(5)",
        "systemctl(1)",
        "journalctl(1)",
        "ip-xfrm(8)",
    ])]);
    roff
}

fn see_also(pages: &[&str]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"])
        .text([roman(pages.join(", "))]);
    roff
}
