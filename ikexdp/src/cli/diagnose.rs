//! Says why attempts of a capture failed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use ikexdp_diagnose::inside::{Keys, Unusable, look};
use ikexdp_diagnose::model::Outcome;
use ikexdp_diagnose::{FileError, Reading, judge, read, report};
use zeroize::Zeroizing;

use super::CliError;
use crate::wireshark::Table;

/// Longest table of keys, in octets; the daemon's is 16 MiB at most.
const TABLE_LEN_MAX: u64 = 32 << 20;

/// Lines of a table that are complained of, one by one.
const UNUSABLE_SHOWN: usize = 8;

/// Which captures, and how they are told of.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The capture: pcap or pcapng; `-` reads standard input
    file: PathBuf,
    /// The capture of the other end, of the same attempts; which is whose is found out
    second: Option<PathBuf>,
    /// Only attempts of the client with this address
    #[arg(long, value_name = "ADDRESS")]
    client: Option<IpAddr>,
    /// Look inside with the keys of this file: Wireshark's `ikev2_decryption_table`, or the directory that it is in
    ///
    /// `ikexdp decrypt` has the daemon write one, strongSwan does with `charon.plugins.save-keys`.
    #[arg(long, value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The name, or the address, that the client was told to connect to; for --keys
    #[arg(long, value_name = "NAME", requires = "keys")]
    name: Option<String>,
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Write a page for a browser as well, with a drawing of each attempt; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Why a diagnosis fails, or what it ends with.
#[derive(Debug, thiserror::Error)]
pub enum DiagnoseError {
    /// A capture cannot be read.
    #[error("{}", path.display())]
    Capture {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: FileError,
    },
    /// A capture cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The page cannot be written.
    #[error("cannot write {}", path.display())]
    Page {
        /// Where to.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No table has keys.
    #[error(
        "no keys of an IKE SA; hint: `ikexdp decrypt` has the daemon write them before the client connects"
    )]
    NoKeys,
    /// Standard input is there once.
    #[error("both captures are to come from standard input; hint: name a file for one of them")]
    InputTwice,
    /// It was told, and there is a failure in it.
    #[error("attempts that failed: {0}")]
    Failed(usize),
    /// Nothing of it is legible, so that nothing can be said.
    #[error(
        "cannot be judged: nothing of it could be read; hint: capture whole frames on an Ethernet or IP interface, as \
         `tcpdump -w FILE` does"
    )]
    Illegible,
    /// It was told that there is nothing to diagnose.
    #[error("there is no IKE in it")]
    NoIke,
}

impl DiagnoseError {
    /// Whether the report has said it.
    pub(super) const fn is_told(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::NoIke)
    }

    /// 3 if an attempt failed, 4 without IKE; 1 if that is not known.
    pub(super) const fn exit_status(&self) -> u8 {
        match self {
            Self::Failed(_) => 3,
            Self::NoIke => 4,
            Self::Capture { .. }
            | Self::Open { .. }
            | Self::InputTwice
            | Self::NoKeys
            | Self::Illegible
            | Self::Page { .. } => 1,
        }
    }
}

pub(super) fn execute(options: &Options, out: &mut impl Write) -> Result<(), CliError> {
    let paths = [Some(&options.file), options.second.as_ref()];
    let paths: Vec<&PathBuf> = paths.into_iter().flatten().collect();
    if paths.iter().filter(|path| is_input(path)).count() > 1 {
        return Err(DiagnoseError::InputTwice.into());
    }
    let readings: Result<Vec<Reading>, _> = paths.into_iter().map(|path| open(path)).collect();
    let mut report = judge(readings?, options.client);
    if !options.keys.is_empty() {
        let keys = keys(&options.keys)?;
        look(&mut report, &keys, options.name.as_deref());
    }
    if let Some(path) = &options.html {
        write_page(path, &report::html::of(&report))?;
    }
    if options.json {
        serde_json::to_writer_pretty(&mut *out, &report::json::of(&report))
            .map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        out.write_all(report::text::of(&report).as_bytes())?;
    }
    out.flush()?;
    if report.cannot_be_judged() {
        return Err(DiagnoseError::Illegible.into());
    }
    if report.verdict.is_some() {
        return Err(DiagnoseError::NoIke.into());
    }
    // One that was established may have a finding as well, as that it could not be renewed.
    let failed = report
        .attempts
        .iter()
        .filter(|attempt| attempt.outcome == Outcome::Failed);
    match failed.count() {
        0 => Ok(()),
        count => Err(DiagnoseError::Failed(count).into()),
    }
}

/// For the owner alone: a page says who connects from where.
fn write_page(path: &Path, page: &str) -> Result<(), DiagnoseError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(page.as_bytes()));
    written.map_err(|source| DiagnoseError::Page {
        path: path.to_owned(),
        source,
    })
}

/// Reads all tables; says which of their lines are of no use.
fn keys(paths: &[PathBuf]) -> Result<Keys, CliError> {
    let mut keys = Keys::default();
    for path in paths {
        let path = if path.is_dir() {
            path.join(Table::Ike.file())
        } else {
            path.clone()
        };
        let before = keys.unusable().len();
        let table = table(&path).map_err(|source| DiagnoseError::Open {
            path: path.clone(),
            source,
        })?;
        keys.add(&table);
        let new = keys.unusable().get(before..).unwrap_or_default();
        for unusable in new.iter().take(UNUSABLE_SHOWN) {
            warn(&path, unusable)?;
        }
    }
    if keys.is_empty() {
        return Err(DiagnoseError::NoKeys.into());
    }
    Ok(keys)
}

/// The text of a table, which is wiped in the end.
fn table(path: &Path) -> io::Result<Zeroizing<String>> {
    let file = File::open(path)?;
    // It never grows, which would leave its beginning behind.
    let length = file.metadata()?.len();
    if length > TABLE_LEN_MAX {
        return Err(io::Error::other(format!(
            "longer than any table of keys: {length} octets"
        )));
    }
    let room = usize::try_from(length).unwrap_or_default();
    let mut octets = Zeroizing::new(Vec::with_capacity(room.saturating_add(1)));
    file.take(TABLE_LEN_MAX).read_to_end(&mut octets)?;
    let text = str::from_utf8(&octets).map_err(|_| io::Error::other("not text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn warn(path: &Path, unusable: &Unusable) -> io::Result<()> {
    writeln!(io::stderr(), "warning: {}: {unusable}", path.display())
}

fn is_input(path: &Path) -> bool {
    path == Path::new("-")
}

fn open(path: &Path) -> Result<Reading, DiagnoseError> {
    let name = path.display().to_string();
    let result = if is_input(path) {
        read(&name, io::stdin().lock())
    } else {
        let file = File::open(path);
        let file = file.map_err(|source| DiagnoseError::Open {
            path: path.to_owned(),
            source,
        })?;
        read(&name, BufReader::new(file))
    };
    result.map_err(|source| DiagnoseError::Capture {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::fs;
    use tempfile::TempDir;

    use crate::cli::Cli;

    /// pcap of Ethernet, with one frame of ARP.
    const ARP: [u8; 56] = {
        let mut file = [0; 56];
        let start: [u8; 24] = [
            0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0,
        ];
        let mut index = 0;
        while index < start.len() {
            file[index] = start[index];
            index += 1;
        }
        (file[32], file[36]) = (16, 16);
        (file[52], file[53]) = (8, 6);
        file
    };

    fn diagnose(content: &[u8], options: &[&str]) -> (String, CliError) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("capture");
        fs::write(&path, content).unwrap();
        let arguments = ["ikexdp", "diagnose", path.to_str().unwrap()];
        let cli = Cli::try_parse_from(arguments.iter().chain(options)).unwrap();
        let mut out = Vec::new();
        let error = cli.execute(&mut out).unwrap_err();
        (String::from_utf8(out).unwrap(), error)
    }

    #[test]
    fn a_capture_without_ike_is_told_and_ends_with_4() {
        let (text, error) = diagnose(&ARP, &[]);
        assert!(
            text.contains("[no-ike]") && text.contains("Windows shows: 800"),
            "{text}"
        );
        assert_eq!(error.exit_status(), 4);
        let (json, error) = diagnose(&ARP, &["--json"]);
        let report: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(report["verdict"]["id"], "no-ike");
        assert_eq!(report["captures"][0]["frames"], 1);
        assert_eq!(error.exit_status(), 4);
    }

    #[test]
    fn a_capture_of_which_nothing_is_legible_ends_with_1() {
        let mut wifi = ARP;
        wifi[20] = 105;
        let (text, error) = diagnose(&wifi, &[]);
        assert!(!text.contains("[no-ike]"), "{text}");
        assert_eq!(error.exit_status(), 1);
        assert!(error.to_string().contains("cannot be judged"), "{error}");
    }

    #[test]
    fn what_is_no_capture_ends_with_1_and_a_hint() {
        let (text, error) = diagnose(b"12:00:01 IP 192.0.2.7.500 > 192.0.2.1.500", &[]);
        assert_eq!((text.as_str(), error.exit_status()), ("", 1));
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("hint: `tcpdump -w FILE`"), "{cause}");
    }

    #[test]
    fn standard_input_is_there_once() {
        let cli = Cli::try_parse_from(["ikexdp", "diagnose", "-", "-"]).unwrap();
        let error = cli.execute(&mut Vec::new()).unwrap_err();
        assert!(
            matches!(error, CliError::Diagnose(DiagnoseError::InputTwice)),
            "{error}"
        );
    }
}
