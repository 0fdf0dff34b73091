//! A virtual machine for tests that need what the kernel of this one may not have: ESP.
//!
//! Debian's kernel for virtual machines boots into a file system in memory, with the programs of
//! this machine. It is as good as always QEMU's emulation that runs it: that needs neither root nor
//! hardware, and a boot takes four seconds.

mod archive;
mod image;
mod kernel;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};

use self::{image::Image, kernel::Kernel};
use crate::{
    command::{root, words},
    setup,
};

/// The tier whose tests run in it.
pub(crate) const TIER: &str = "vm";
/// How long all tests may take, in seconds.
const LIMIT: u32 = 600;
/// How long a guest may take that has nothing to do, on hardware that works, in seconds.
const PROBE_LIMIT: u32 = 5;
/// What the kernel is told: to speak on the first serial port, to end with a panic, and to leave out
/// what costs time here, defences against the processor and the tests of its own cryptography.
const PARAMETERS: &str = "console=ttyS0 panic=-1 mitigations=off cryptomgr.notests=1";
/// What the first process says at the end of its program, on the console.
const END: &str = "init: ended with ";
/// How many of the console's last lines tell what went wrong.
const TAIL: usize = 30;

/// A virtual machine that can be started.
#[derive(Debug)]
pub(crate) struct Vm {
    kernel: PathBuf,
    initramfs: PathBuf,
    console: PathBuf,
    /// QEMU's name of what runs the guest's instructions.
    accelerator: &'static str,
}

impl Vm {
    /// Makes a machine in which these programs are, under the paths that they have here.
    ///
    /// # Errors
    /// Something that belongs into it is not there.
    pub(crate) fn new(programs: &[&Path]) -> Result<Self> {
        let work = root().join("target/vm");
        let package = setup::kernel()?;
        let kernel = Kernel::find(&package)?;
        let mut image = Image::new()?;
        for file in &kernel.modules {
            image.unpacked(&package, file)?;
        }
        let libreswan = setup::libreswan()?;
        for program in ["addconn", "pluto"] {
            let file = libreswan.join("usr/libexec/ipsec").join(program);
            image.unpacked_program(&libreswan, file)?;
        }
        for program in programs {
            image.built(program, &work.join("stripped"))?;
        }
        let mut vm = Self {
            kernel: kernel.image,
            initramfs: work.join("initramfs"),
            console: work.join("console"),
            accelerator: "kvm",
        };
        fs::write(&vm.initramfs, image.finish()?)
            .with_context(|| vm.initramfs.display().to_string())?;
        // That there is a device does not mean that a guest runs.
        let has_kvm = fs::exists("/dev/kvm")? && vm.boots()?;
        if !has_kvm {
            vm.accelerator = "tcg,thread=multi";
        }
        Ok(vm)
    }

    /// Boots the machine, which runs a program and ends.
    ///
    /// What the program prints, to either output, QEMU prints to its standard output, a pipe.
    ///
    /// # Errors
    /// QEMU does not start.
    pub(crate) fn start(&self, line: &str) -> Result<Child> {
        let mut qemu = self.qemu(LIMIT, line);
        qemu.spawn().with_context(|| format!("{qemu:?}"))
    }

    /// The exit code of the program that ran.
    ///
    /// # Errors
    /// The machine did not come to its end, or was given none.
    pub(crate) fn code(&self) -> Result<i32> {
        let console = fs::read(&self.console).context("the virtual machine has no console")?;
        let console = String::from_utf8_lossy(&console);
        let code = console
            .lines()
            .find_map(|line| line.trim_end().strip_prefix(END)?.parse().ok());
        code.with_context(|| {
            let lines: Vec<_> = console.lines().collect();
            let tail = lines
                .get(lines.len().saturating_sub(TAIL)..)
                .unwrap_or_default();
            format!(
                "the virtual machine crashed, or ran for more than {LIMIT} s; the end of {}:\n{}",
                self.console.display(),
                tail.join("\n")
            )
        })
    }

    /// Whether a machine that has nothing to do comes to its end soon.
    fn boots(&self) -> Result<bool> {
        let mut qemu = self.qemu(PROBE_LIMIT, "/bin/busybox true");
        // What QEMU has to say of a device that does not work is no news.
        let started = qemu.output().with_context(|| format!("{qemu:?}"))?;
        Ok(started.status.success() && self.code().is_ok())
    }

    fn qemu(&self, seconds: u32, line: &str) -> Command {
        // What an earlier machine said.
        let _ = fs::remove_file(&self.console);
        let mut qemu = Command::new("timeout");
        qemu.args(words("--foreground --kill-after 5"))
            .arg(seconds.to_string())
            .arg("qemu-system-x86_64")
            .args(words(
                "-nodefaults -no-user-config -display none -no-reboot",
            ))
            .args(words("-cpu max -smp 2 -m 1024 -accel"))
            .arg(self.accelerator)
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initramfs)
            .arg("-serial")
            .arg(format!("file:{}", self.console.display()))
            .args(words("-serial stdio -append"))
            .arg(format!("{PARAMETERS} -- {line}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        qemu
    }
}
