//! `ikexdp capture`.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use humantime::{format_duration, parse_duration};

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
    /// Replace a file that is there
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

/// Makes the file anew, so that owner and mode are ours whatever was there: nothing that exists
/// is opened, and no link is followed.
fn create(path: &Path, force: bool) -> Result<impl Write + use<>, CaptureError> {
    let failed = |source| CaptureError::Create {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => {
            let path = path.to_owned();
            return Err(CaptureError::NotAFile { path });
        }
        Ok(_) if force => fs::remove_file(path).map_err(failed)?,
        // What else is wrong shows below.
        Ok(_) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(MODE);
    let file = options.open(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists if !force => CaptureError::Exists {
            path: path.to_owned(),
        },
        _ => failed(source),
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

    fn begin(&mut self, plan: &Plan, is_left: bool) {
        let until = match plan.duration {
            Some(duration) => format!("for {}, or until Ctrl-C", format_duration(duration)),
            None => "until Ctrl-C".to_owned(),
        };
        // Rules that nobody has missed, as XDP went past them, would lock all clients out.
        let meanwhile = if is_left {
            "; meanwhile it passes netfilter's input chain, which must accept UDP 500 and 4500"
        } else {
            ""
        };
        let interface = &plan.interface;
        self.say(&format!("capturing IKE on {interface} {until}{meanwhile}"));
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
    use nix::sys::stat::Mode;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;
    use tempfile::TempDir;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_the_owners_and_replaced_only_if_that_is_wanted() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("ike.pcapng");
        create(&path, false).unwrap().write_all(b"one").unwrap();
        assert_eq!(mode(&path), MODE);
        let error = create(&path, false).err().unwrap();
        assert!(error.to_string().contains("give --force"), "{error}");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        // Whoever has the old one open, or by another name, keeps that.
        let other = directory.path().join("other");
        fs::hard_link(&path, &other).unwrap();
        drop(create(&path, true).unwrap());
        assert_eq!(mode(&path), MODE);
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert_eq!(fs::read(&other).unwrap(), b"one");
        assert_eq!(mode(&other), 0o644);
    }

    /// A device would get our mode, a FIFO would have us wait for a reader.
    #[test]
    fn what_is_no_file_is_neither_opened_nor_changed() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, b"one").unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let socket = directory.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o644)).unwrap();
        let paths = [
            &link,
            &socket,
            &fifo,
            directory.path(),
            Path::new("/dev/null"),
        ];
        for (path, force) in paths
            .into_iter()
            .flat_map(|path| [(path, false), (path, true)])
        {
            let before = mode(path);
            let error = create(path, force).err().unwrap().to_string();
            let expected = format!("not a regular file: {}; hint: ", path.display());
            assert!(error.starts_with(&expected), "{error}");
            assert_eq!(mode(path), before);
        }
        assert_eq!(fs::read(&file).unwrap(), b"one");
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
