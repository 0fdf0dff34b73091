//! Says why attempts of a capture failed.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use ikexdp_diagnose::{FileError, Reading, judge, read, report};

use super::CliError;

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
    /// Write JSON
    #[arg(long)]
    json: bool,
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
    /// Standard input is there once.
    #[error("both captures are to come from standard input; hint: name a file for one of them")]
    InputTwice,
    /// It was told, and there is a failure in it.
    #[error("attempts that failed: {0}")]
    Failed(usize),
    /// It was told that there is nothing to diagnose.
    #[error("there is no IKE in it")]
    NoIke,
}

impl DiagnoseError {
    /// 3 if an attempt failed, 4 without IKE; 1 if that is not known.
    pub(super) const fn exit_status(&self) -> u8 {
        match self {
            Self::Failed(_) => 3,
            Self::NoIke => 4,
            Self::Capture { .. } | Self::Open { .. } | Self::InputTwice => 1,
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
    let report = judge(readings?, options.client);
    if options.json {
        serde_json::to_writer_pretty(&mut *out, &report::json::of(&report))
            .map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        out.write_all(report::text::of(&report).as_bytes())?;
    }
    out.flush()?;
    if report.verdict.is_some() {
        return Err(DiagnoseError::NoIke.into());
    }
    match report.findings().count() {
        0 => Ok(()),
        count => Err(DiagnoseError::Failed(count).into()),
    }
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
