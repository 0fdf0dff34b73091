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
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};

use self::{image::Image, kernel::Kernel};
use crate::{
    command::{root, words},
    setup,
};

/// The tier whose tests run in it.
pub(crate) const TIER: &str = "vm";
/// How long all tests may take, in seconds.
const LIMIT: u32 = 900;
/// How long a guest may take that has nothing to do, on hardware that works, in seconds.
const PROBE_LIMIT: u32 = 5;
/// What the kernel is told: to speak on the first serial port, to end with a panic, and to leave out
/// what costs time here, defences against the processor and the tests of its own cryptography.
const PARAMETERS: &str = "console=ttyS0 panic=-1 mitigations=off cryptomgr.notests=1";
/// How long a boot may take, in seconds.
const BOOT_LIMIT: u32 = 90;
/// What the first process says at its beginning, on the console.
const BEGIN: &str = "init: begins";
/// What the first process says at the end of its program, on the console.
const END: &str = "init: ended with ";
/// How many of the console's last lines tell what went wrong.
const TAIL: usize = 30;

/// A virtual machine that can be started.
#[derive(Debug)]
pub(crate) struct Vm {
    kernel: PathBuf,
    initramfs: PathBuf,
    /// Where each has its console.
    work: PathBuf,
    processor: Processor,
}

/// What runs the guest's instructions, in QEMU's words.
#[derive(Clone, Copy, Debug)]
struct Processor {
    accelerator: &'static str,
    model: &'static str,
}

/// This machine's, where that works.
const REAL: Processor = Processor {
    accelerator: "kvm",
    model: "host",
};
/// An emulated one. To emulate an instruction for AES takes longer than AES without it.
const EMULATED: Processor = Processor {
    accelerator: "tcg",
    model: "max,-aes,-pclmulqdq",
};

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
        let openiked = setup::openiked()?;
        for program in ["ikectl", "iked"] {
            let file = openiked.join("usr/sbin").join(program);
            image.unpacked_program(&openiked, file)?;
        }
        for program in programs {
            image.built(program, &work.join("stripped"))?;
        }
        let mut vm = Self {
            kernel: kernel.image,
            initramfs: work.join("initramfs"),
            work,
            processor: REAL,
        };
        fs::write(&vm.initramfs, image.finish()?)
            .with_context(|| vm.initramfs.display().to_string())?;
        // That there is a device does not mean that a guest runs.
        let has_kvm = fs::exists("/dev/kvm")? && vm.boots()?;
        if !has_kvm {
            vm.processor = EMULATED;
        }
        Ok(vm)
    }

    /// Boots a machine of this `name`, which runs a program and ends; what `read` makes of it, and
    /// the exit code of the program. Several may run at the same time.
    ///
    /// `read` gets what the program prints, to either output, while it prints it.
    ///
    /// # Errors
    /// QEMU does not start.
    pub(crate) fn run<T>(
        &self,
        name: &str,
        line: &str,
        read: impl FnOnce(ChildStdout) -> T,
    ) -> Result<(T, Result<i32>)> {
        let mut qemu = self.start(name, line, Stdio::inherit())?;
        // One boot in many hangs, under emulation.
        if !ends(&mut qemu, BOOT_LIMIT, || self.says(name, BEGIN))? {
            eprintln!("the virtual machine hangs in its boot, and is started again");
            qemu = self.start(name, line, Stdio::inherit())?;
        }
        let stdout = qemu.stdout.take().context("a pipe was asked for")?;
        let result = thread::scope(|scope| {
            let guard = scope.spawn(|| ends(&mut qemu, LIMIT, || false));
            let result = read(stdout);
            guard.join().map_err(|_| anyhow!("watching QEMU fails"))??;
            anyhow::Ok(result)
        })?;
        Ok((result, self.code(name)))
    }

    /// The exit code of the program that ran.
    ///
    /// # Errors
    /// The machine did not come to its end, or was given none.
    fn code(&self, name: &str) -> Result<i32> {
        let file = self.console(name);
        let console = fs::read(&file).context("the virtual machine has no console")?;
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
                file.display(),
                tail.join("\n")
            )
        })
    }

    /// Whether a machine that has nothing to do comes to its end soon.
    fn boots(&self) -> Result<bool> {
        const NAME: &str = "probe";
        // What QEMU has to say of a device that does not work is no news.
        let mut qemu = self.start(NAME, "/bin/busybox true", Stdio::null())?;
        ends(&mut qemu, PROBE_LIMIT, || false)?;
        Ok(self.code(NAME).is_ok())
    }

    fn console(&self, name: &str) -> PathBuf {
        self.work.join(format!("console-{name}"))
    }

    /// Whether the console has a line that begins like this.
    fn says(&self, name: &str, beginning: &str) -> bool {
        let console = fs::read(self.console(name)).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        console.lines().any(|line| line.starts_with(beginning))
    }

    fn start(&self, name: &str, line: &str, stderr: Stdio) -> Result<Child> {
        let console = self.console(name);
        // What an earlier machine said.
        let _ = fs::remove_file(&console);
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(words(
            "-nodefaults -no-user-config -display none -no-reboot",
        ))
        // One processor: with two, the emulation now and then locks one of them up.
        .args(words("-smp 1 -m 1024 -accel"))
        .arg(self.processor.accelerator)
        .arg("-cpu")
        .arg(self.processor.model)
        .arg("-kernel")
        .arg(&self.kernel)
        .arg("-initrd")
        .arg(&self.initramfs)
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .args(words("-serial stdio -append"))
        .arg(format!("{PARAMETERS} -- {line}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr);
        qemu.spawn().with_context(|| format!("{qemu:?}"))
    }
}

/// Waits until the process ends or `enough`, but so many seconds at most, and ends it then; whether
/// it did not come to that.
fn ends(process: &mut Child, seconds: u32, enough: impl Fn() -> bool) -> Result<bool> {
    const LOOK: Duration = Duration::from_millis(100);
    for _ in 0..seconds.saturating_mul(10) {
        if process.try_wait()?.is_some() || enough() {
            return Ok(true);
        }
        thread::sleep(LOOK);
    }
    process.kill()?;
    process.wait()?;
    Ok(false)
}
