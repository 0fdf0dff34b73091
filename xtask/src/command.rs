//! Running other programs.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// The Cargo that runs us, in the project's root.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    // What it has told us about ourselves, ring's build script would take for a change: all would be
    // built once more whenever `cargo build` and `cargo xtask` take turns.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// The arguments of a command line that needs no quotes.
pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace()
}

/// The directory of the project.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// A command that runs as root, through sudo where need be.
///
/// # Errors
/// We are not root and there is no sudo.
pub(crate) fn as_root(program: impl AsRef<OsStr>) -> Result<Command> {
    let program = program.as_ref();
    if is_root()? {
        return Ok(Command::new(program));
    }
    if find("sudo").is_none() {
        let program = program.display();
        bail!(
            "not root, and there is no sudo, to run: {program}; hint: start `cargo xtask` as root"
        );
    }
    let mut sudo = Command::new("sudo");
    sudo.arg("--preserve-env=RUST_BACKTRACE")
        .arg("--")
        .arg(program);
    Ok(sudo)
}

/// Shows the command and runs it; what it prints is for the user.
///
/// # Errors
/// It cannot be started, or it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    eprintln!("$ {line}");
    let status = command.status().with_context(|| line.clone())?;
    if !status.success() {
        bail!("{line}: {status}");
    }
    Ok(())
}

/// A command in the background, where it gives way to everything else.
#[derive(Debug)]
pub(crate) struct Behind {
    line: String,
    child: Child,
}

impl Behind {
    /// Shows the command and starts it.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(command: &Command) -> Result<Self> {
        let mut behind = Command::new("nice");
        behind
            .args(["-n", "19"])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => behind.env(name, value),
                None => behind.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            behind.current_dir(directory);
        }
        let line = line(&behind);
        eprintln!("$ {line} &");
        let child = behind.stdin(Stdio::null()).spawn().context(line.clone())?;
        Ok(Self { line, child })
    }

    /// Waits for it.
    ///
    /// # Errors
    /// It fails.
    pub(crate) fn finish(mut self) -> Result<()> {
        let status = self.child.wait().with_context(|| self.line.clone())?;
        if !status.success() {
            bail!("{}: {status}", self.line);
        }
        Ok(())
    }
}

impl Drop for Behind {
    /// Nobody waits for it any more; if it is over, that is an error of no interest.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the command prints to standard output; `None` if it fails or is not there.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned();
    output.status.success().then_some(text)
}

/// A program, where a shell of root would find it or where Cargo installs it.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .chain(cargo_home.map(|home| home.join("bin")))
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

fn is_root() -> Result<bool> {
    let process = fs::metadata("/proc/self").context("/proc/self")?;
    Ok(process.uid() == 0)
}

/// The command as a user would type it.
fn line(command: &Command) -> String {
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
