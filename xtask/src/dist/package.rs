//! What is in the package, and how it is packed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::tree::Tree;
use crate::command::{output, root, run, words};

/// The version of the project, and the first package of it.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "-1");
/// What administrators edit, and upgrades leave alone.
const CONFIGURATION: &str = "etc/ikexdp/ikexdp.toml";

/// What is put where as it is.
const FILES: [(&str, &str, u32); 8] = [
    ("dist/ikexdp.toml", CONFIGURATION, 0o640),
    (
        "dist/systemd/ikexdp.service",
        "usr/lib/systemd/system/ikexdp.service",
        0o644,
    ),
    (
        "dist/systemd/ikexdp.socket",
        "usr/lib/systemd/system/ikexdp.socket",
        0o644,
    ),
    (
        "dist/systemd/ikexdp.sysusers",
        "usr/lib/sysusers.d/ikexdp.conf",
        0o644,
    ),
    (
        "dist/grafana/ikexdp.json",
        "usr/share/ikexdp/grafana/ikexdp.json",
        0o644,
    ),
    (
        "dist/prometheus/ikexdp.rules.yml",
        "usr/share/ikexdp/prometheus/ikexdp.rules.yml",
        0o644,
    ),
    (
        "dist/debian/lintian-overrides",
        "usr/share/lintian/overrides/ikexdp",
        0o644,
    ),
    (
        "docs/configuration.md",
        "usr/share/doc/ikexdp/configuration.md",
        0o644,
    ),
];
/// Where shells look for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    (
        "ikexdp.bash",
        "usr/share/bash-completion/completions/ikexdp",
    ),
    ("_ikexdp", "usr/share/zsh/vendor-completions/_ikexdp"),
    (
        "ikexdp.fish",
        "usr/share/fish/vendor_completions.d/ikexdp.fish",
    ),
];
/// What dpkg runs.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// A package to be made.
#[derive(Debug)]
pub(super) struct Package<'a> {
    /// The daemon.
    pub(super) program: &'a Path,
    /// What writes the manual.
    pub(super) manual: &'a Path,
    /// Where everything happens.
    pub(super) directory: &'a Path,
}

impl Package<'_> {
    /// Makes it, and says where it is.
    ///
    /// # Errors
    /// A file is missing, or a program fails.
    pub(super) fn build(&self) -> Result<PathBuf> {
        let seconds = last_change()?;
        let mut tree = Tree::new(self.directory.join("tree"));
        let program = "usr/sbin/ikexdp";
        tree.copy(self.program, program, 0o755)?;
        run(Command::new("strip")
            .arg("--strip-unneeded")
            .arg(tree.root().join(program)))?;
        for (source, place, mode) in FILES {
            tree.copy(&root().join(source), place, mode)?;
        }
        self.write_manual(&mut tree, &seconds)?;
        write_documents(&mut tree, &seconds)?;
        let architecture = output(Command::new("dpkg").arg("--print-architecture"));
        let architecture = architecture.context("dpkg does not say the architecture")?;
        let depends = self.libraries(&tree.root().join(program))?;
        write_control(&mut tree, &architecture, &depends)?;

        let file = self
            .directory
            .join(format!("ikexdp_{VERSION}_{architecture}.deb"));
        run(Command::new("dpkg-deb")
            .args(words("--root-owner-group -Zxz --build"))
            .args([tree.root(), &file])
            .env("SOURCE_DATE_EPOCH", &seconds))?;
        Ok(file)
    }

    /// Manual pages and completions.
    fn write_manual(&self, tree: &mut Tree, seconds: &str) -> Result<()> {
        let generated = self.directory.join("manual");
        fs::create_dir(&generated).with_context(|| generated.display().to_string())?;
        run(Command::new(self.manual)
            .arg(&generated)
            .arg(date(seconds, "+%F")?))?;
        for (name, place) in COMPLETIONS {
            tree.copy(&generated.join(name), place, 0o644)?;
        }
        let mut files = fs::read_dir(&generated)?.collect::<Result<Vec<_>, _>>()?;
        files.sort_by_key(fs::DirEntry::file_name);
        for file in files {
            let (name, path) = (file.file_name(), file.path());
            let name = name.to_string_lossy();
            if let Some(section @ ("5" | "8")) = name.rsplit('.').next() {
                let place = format!("usr/share/man/man{section}/{name}");
                tree.compress(&place, fs::read(path)?)?;
            }
        }
        Ok(())
    }

    /// The packages with the libraries that the program is linked to.
    fn libraries(&self, program: &Path) -> Result<String> {
        // It wants to see the source of a package.
        let source = self.directory.join("debian");
        fs::create_dir(&source)
            .and_then(|()| {
                fs::write(
                    source.join("control"),
                    "Source: ikexdp\n\nPackage: ikexdp\nArchitecture: any\n",
                )
            })
            .with_context(|| source.display().to_string())?;
        let libraries = output(
            Command::new("dpkg-shlibdeps")
                .arg("-O")
                .arg(program)
                .current_dir(self.directory),
        );
        let libraries = libraries.context("dpkg-shlibdeps")?;
        let libraries = libraries.strip_prefix("shlibs:Depends=");
        Ok(libraries
            .context("dpkg-shlibdeps names no library")?
            .to_owned())
    }
}

/// What dpkg wants to know.
fn write_control(tree: &mut Tree, architecture: &str, depends: &str) -> Result<()> {
    let control = read("dist/debian/control")?
        .replace("@VERSION@", VERSION)
        .replace("@ARCHITECTURE@", architecture)
        .replace("@DEPENDS@", depends)
        // In KiB.
        .replace("@SIZE@", &tree.size()?.div_ceil(1024).to_string());
    let sums = output(
        Command::new("md5sum")
            .args(tree.files())
            .current_dir(tree.root()),
    );
    tree.write("DEBIAN/md5sums", sums.context("md5sum")? + "\n", 0o644)?;
    tree.write("DEBIAN/control", control, 0o644)?;
    tree.write("DEBIAN/conffiles", format!("/{CONFIGURATION}\n"), 0o644)?;
    for script in SCRIPTS {
        let source = format!("dist/debian/{script}");
        tree.copy(&root().join(source), &format!("DEBIAN/{script}"), 0o755)?;
    }
    Ok(())
}

/// Licence and changes.
fn write_documents(tree: &mut Tree, seconds: &str) -> Result<()> {
    let copyright = read("dist/debian/copyright")? + &read("LICENSE-MIT")?;
    tree.write("usr/share/doc/ikexdp/copyright", copyright, 0o644)?;
    tree.compress("usr/share/doc/ikexdp/changelog", read("CHANGELOG.md")?)?;
    let changes = format!(
        "ikexdp ({VERSION}) unstable; urgency=medium\n\n  * What changed is in changelog.gz.\n\n \
         -- ikexdp <ikexdp@packages.invalid>  {}\n",
        date(seconds, "+%a, %d %b %Y %T %z")?
    );
    tree.compress("usr/share/doc/ikexdp/changelog.Debian", changes)
}

/// A file of the project.
fn read(file: &str) -> Result<String> {
    fs::read_to_string(root().join(file)).with_context(|| file.to_owned())
}

/// When the project was last changed, in seconds of Unix time: the same source makes the same package.
fn last_change() -> Result<String> {
    if let Ok(seconds) = env::var("SOURCE_DATE_EPOCH") {
        return Ok(seconds);
    }
    let mut git = Command::new("git");
    // The clone may be another user's.
    git.args(["-c", "safe.directory=*"])
        .args(words("log -1 --format=%ct"));
    output(git.current_dir(root()))
        .context("git does not say of when this is; hint: set SOURCE_DATE_EPOCH")
}

fn date(seconds: &str, format: &str) -> Result<String> {
    let mut date = Command::new("date");
    date.args(["--utc", "--date", &format!("@{seconds}"), format])
        .env("LC_ALL", "C");
    output(&mut date).with_context(|| format!("not a time: {seconds}"))
}
