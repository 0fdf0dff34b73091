//! `ikexdp capture`.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use humantime::{format_duration, parse_duration};
use nix::libc::O_NOFOLLOW;

use super::amount::{octets, short};
use super::{CliError, Daemon};
use crate::capture::limits::{COMMENT_LEN_MAX, DURATION};
use crate::capture::{Audience, CaptureError, End, Plan, Summary, capture};

/// Only the owner: whoever has a capture knows who talks to whom.
const MODE: u32 = 0o600;

/// Name of standard output.
const STDOUT: &str = "-";

/// Where, how long, and how much.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The interface that IKE passes
    #[arg(long, value_name = "NAME")]
    interface: String,
    /// The file to write, as pcapng; `-` is standard output
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// How long; 5m unless --ring is given
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// End before the file is larger, or forget the oldest with --ring: 500k, 10M, 1G
    #[arg(long, value_name = "OCTETS", value_parser = octets, default_value = "10M")]
    size: u64,
    /// Keep the last minutes in memory, and write them at the end and at each SIGUSR1
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    ring: Option<Duration>,
    /// A remark for the file; may be given several times
    #[arg(long, value_name = "TEXT", value_parser = comment)]
    comment: Vec<String>,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) fn execute(options: Options, out: &mut impl Write) -> Result<(), CliError> {
    let default = options.ring.is_none().then_some(DURATION);
    let plan = Plan {
        interface: options.interface,
        duration: options.duration.or(default),
        size: options.size,
        ring: options.ring,
        comments: options.comment,
        daemon: options.daemon.socket,
    };
    let mut screen = Screen {
        is_terminal: io::stderr().is_terminal(),
        is_dirty: false,
    };
    let output = options.output;
    let result = if output == Path::new(STDOUT) {
        capture(&plan, || Ok(out), &mut screen)
    } else {
        capture(&plan, || create(&output, options.force), &mut screen)
    };
    screen.clean();
    let summary = result.map_err(|error| match error {
        // Whoever reads standard output may have seen enough.
        CaptureError::Write(error) => CliError::Write(error),
        error => CliError::Capture(error),
    })?;
    Ok(io::stderr().write_all(told(&summary, &output).as_bytes())?)
}

fn create(path: &Path, force: bool) -> Result<impl Write + use<>, CaptureError> {
    let mut options = OpenOptions::new();
    options.write(true).mode(MODE).custom_flags(O_NOFOLLOW);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let file = options.open(path).map_err(|source| {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::AlreadyExists => CaptureError::Exists { path },
            _ => CaptureError::Create { path, source },
        }
    })?;
    // One that was there may have been for others.
    let only_ours = file.set_permissions(Permissions::from_mode(MODE));
    only_ours.map_err(|source| CaptureError::Create {
        path: path.to_owned(),
        source,
    })?;
    Ok(BufWriter::new(file))
}

/// Standard error, where it is a terminal.
struct Screen {
    is_terminal: bool,
    /// Whether progress stands on the line.
    is_dirty: bool,
}

impl Screen {
    fn say(&mut self, line: &str) {
        self.clean();
        // There is nowhere else to say it.
        let _ = writeln!(io::stderr(), "{line}");
    }

    fn clean(&mut self) {
        if std::mem::take(&mut self.is_dirty) {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

impl Audience for Screen {
    fn warn(&mut self, warning: &str) {
        self.say(&format!("warning: {warning}"));
    }

    fn begin(&mut self, plan: &Plan) {
        let until = match plan.duration {
            Some(duration) => format!("for {}, or until Ctrl-C", format_duration(duration)),
            None => "until Ctrl-C".to_owned(),
        };
        self.say(&format!("capturing IKE on {} {until}", plan.interface));
    }

    fn progress(&mut self, frames: u64, octets: u64) {
        if self.is_terminal {
            let octets = short(octets);
            let _ = write!(io::stderr(), "\r\u{1b}[K{frames} frames, {octets} octets");
            self.is_dirty = true;
        }
    }
}

/// What came of it, for people.
fn told(summary: &Summary, output: &Path) -> String {
    let Summary {
        end,
        frames,
        dropped,
        evicted,
        unseen,
    } = summary;
    let why = match end {
        End::Stopped => "stopped",
        End::Time => "time is over",
        End::Size => "size is reached",
    };
    let place = if output == Path::new(STDOUT) {
        "standard output".to_owned()
    } else {
        output.display().to_string()
    };
    let mut told =
        format!("{why}: {frames} frames written, {dropped} dropped by the kernel: {place}\n");
    if *evicted > 0 {
        told += &format!("{evicted} frames forgotten before their time; hint: raise --size\n");
    }
    if !unseen.is_empty() {
        told += &format!("{unseen}\n");
    }
    if *frames == 0 {
        told +=
            "hint: is it the interface that clients reach? `ip route get` to one of them tells\n";
    }
    told
}

fn comment(text: &str) -> Result<String, String> {
    if text.len() > COMMENT_LEN_MAX {
        return Err(format!("longer than {COMMENT_LEN_MAX} octets"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    #[test]
    fn a_file_is_the_owners_and_replaced_only_if_that_is_wanted() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("ike.pcapng");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        create(&path, false).unwrap().write_all(b"one").unwrap();
        assert_eq!(mode(&path), MODE);
        let error = create(&path, false).err().unwrap();
        assert!(error.to_string().contains("give --force"), "{error}");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        drop(create(&path, true).unwrap());
        assert_eq!(mode(&path), MODE);
        assert_eq!(fs::read(&path).unwrap(), b"");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(create(&link, true).is_err(), "not through links");
    }

    #[test]
    fn it_is_said_what_was_captured_and_what_was_not() {
        let summary = Summary {
            end: End::Size,
            frames: 0,
            dropped: 2,
            evicted: 3,
            unseen: "XDP kept back: drop_ikev1 4".to_owned(),
        };
        let expected = "\
size is reached: 0 frames written, 2 dropped by the kernel: standard output
3 frames forgotten before their time; hint: raise --size
XDP kept back: drop_ikev1 4
hint: is it the interface that clients reach? `ip route get` to one of them tells
";
        assert_eq!(told(&summary, Path::new(STDOUT)), expected);
    }
}
