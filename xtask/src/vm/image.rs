//! The guest's file system: programs of this machine, each under the path that it has here, and the
//! modules of the guest's kernel.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::archive::Archive;
use crate::command::{find, output};

/// What the harness runs.
const PROGRAMS: [&str; 13] = [
    "certutil",
    "charon-systemd",
    "chmod",
    "ethtool",
    "freeradius",
    "ip",
    "nft",
    "openssl",
    "ping",
    "pk12util",
    "setpriv",
    "swanctl",
    "tcpdump",
];
/// strongSwan's plug-ins, which it loads by name.
const PLUGINS: &str = "/usr/lib/ipsec/plugins";
/// FreeRADIUS's modules, those that the harness configures, which it loads by name.
const MODULES: [&str; 7] = [
    "rlm_detail.so",
    "rlm_eap.so",
    "rlm_eap_md5.so",
    "rlm_eap_mschapv2.so",
    "rlm_files.so",
    "rlm_mschap.so",
    "rlm_pap.so",
];
const MODULES_DIRECTORY: &str = "/usr/lib/freeradius";
/// What FreeRADIUS knows attributes by.
const DICTIONARIES: &str = "/usr/share/freeradius";
/// Parts of NSS, Libreswan's cryptography, and of OpenSSL, FreeRADIUS's, which they load by name.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/libfreeblpriv3.so",
    "/usr/lib/x86_64-linux-gnu/libsoftokn3.so",
    "/usr/lib/x86_64-linux-gnu/ossl-modules/legacy.so",
];
/// What programs read.
const FILES: [&str; 3] = [
    "/etc/protocols",
    "/etc/ssl/openssl.cnf",
    "/etc/strongswan.conf",
];
/// Where file systems are mounted, and where programs write.
const DIRECTORIES: [&str; 10] = [
    "/dev",
    "/etc/iked",
    "/etc/strongswan.d",
    "/etc/swanctl",
    "/proc",
    "/run",
    "/sys",
    "/tmp",
    "/var/lib/ipsec",
    "/var/lib/openiked/empty",
];
/// Who runs programs: OpenIKED's processes are another's, in his home, as its package would have it.
const USERS: &str = "root:x:0:0::/:/bin/sh
_iked:x:100:100::/var/lib/openiked/empty:/bin/false
";

/// The file system in the making.
#[derive(Debug, Default)]
pub(super) struct Image {
    archive: Archive,
    /// Programs and plug-ins, whose libraries are needed as well.
    programs: Vec<PathBuf>,
}

impl Image {
    /// All that is not the project's: what the first process needs, and what the tests run.
    ///
    /// # Errors
    /// Something is not on this machine.
    pub(super) fn new() -> Result<Self> {
        let mut image = Self::default();
        for directory in DIRECTORIES {
            image.archive.directory(directory);
        }
        for file in FILES {
            image.copy(Path::new(file), Path::new(file))?;
        }
        image.archive.file("/init", include_bytes!("init.sh"));
        image.archive.file("/etc/passwd", USERS.as_bytes());
        image.archive.link("/var/run", "/run");
        image.copy(&program("busybox")?, Path::new("/bin/busybox"))?;
        // The kernel asks it for modules.
        image.archive.link("/sbin/modprobe", "/bin/busybox");
        for name in PROGRAMS {
            image.program(program(name)?)?;
        }
        for plugin in fs::read_dir(PLUGINS).context(PLUGINS)? {
            image.program(plugin?.path())?;
        }
        for module in MODULES {
            image.program(Path::new(MODULES_DIRECTORY).join(module))?;
        }
        for dictionary in fs::read_dir(DICTIONARIES).context(DICTIONARIES)? {
            let dictionary = dictionary?.path();
            image.copy(&dictionary, &dictionary)?;
        }
        for library in LIBRARIES {
            image.program(library.into())?;
        }
        Ok(image)
    }

    /// Adds a file of an unpacked package, where the package has it.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn unpacked(&mut self, package: &Path, file: &Path) -> Result<()> {
        let path = file.strip_prefix(package).unwrap_or(file);
        self.copy(file, &Path::new("/").join(path))
    }

    /// Adds a program of an unpacked package, where the package has it.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn unpacked_program(&mut self, package: &Path, file: PathBuf) -> Result<()> {
        self.unpacked(package, &file)?;
        self.programs.push(file);
        Ok(())
    }

    /// Adds a program that Cargo has built, without debugging information, which is nine tenths of
    /// it.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn built(&mut self, program: &Path, scratch: &Path) -> Result<()> {
        let mut strip = Command::new("strip");
        strip
            .arg("--strip-debug")
            .arg("-o")
            .args([scratch, program]);
        output(&mut strip).with_context(|| format!("{strip:?}; hint: install binutils"))?;
        self.copy(scratch, program)?;
        self.programs.push(program.to_owned());
        Ok(())
    }

    /// The archive that the kernel unpacks, with the libraries of all programs.
    ///
    /// # Errors
    /// A library is not on this machine.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        let mut ldd = Command::new("ldd");
        let listed = output(ldd.args(&self.programs)).context("ldd fails")?;
        // "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)", and the loader without an arrow
        for line in listed.lines().filter_map(|line| line.strip_prefix('\t')) {
            let (name, library) = line.split_once(" => ").unwrap_or((line, line));
            let library = library.split(" (").next().unwrap_or_default();
            if library.starts_with('/') {
                self.copy(Path::new(library), Path::new(library))?;
            } else if library == "not found" {
                bail!("no library {name}; hint: `cargo xtask setup`");
            }
        }
        Ok(self.archive.finish())
    }

    fn program(&mut self, file: PathBuf) -> Result<()> {
        self.copy(&file, &file)?;
        self.programs.push(file);
        Ok(())
    }

    fn copy(&mut self, file: &Path, path: &Path) -> Result<()> {
        let contents = fs::read(file).with_context(|| file.display().to_string())?;
        self.archive.file(path, &contents);
        Ok(())
    }
}

fn program(name: &str) -> Result<PathBuf> {
    find(name).with_context(|| format!("no program {name}; hint: `cargo xtask setup`"))
}
