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
    console: PathBuf,
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
    accelerator: "tcg,thread=multi",
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
        for program in programs {
            image.built(program, &work.join("stripped"))?;
        }
        let mut vm = Self {
            kernel: kernel.image,
            initramfs: work.join("initramfs"),
            console: work.join("console"),
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

    /// Boots the machine, which runs a program and ends.
    ///
    /// `read` gets what the program prints, to either output, while it prints it.
    ///
    /// # Errors
    /// QEMU does not start.
    pub(crate) fn run<T>(&self, line: &str, read: impl FnOnce(ChildStdout) -> T) -> Result<T> {
        let mut qemu = self.start(line, Stdio::inherit())?;
        // One boot in many hangs, under emulation.
        if !ends(&mut qemu, BOOT_LIMIT, || self.says(BEGIN))? {
            eprintln!("the virtual machine hangs in its boot, and is started again");
            qemu = self.start(line, Stdio::inherit())?;
        }
        let stdout = qemu.stdout.take().context("a pipe was asked for")?;
        thread::scope(|scope| {
            let guard = scope.spawn(|| ends(&mut qemu, LIMIT, || false));
            let result = read(stdout);
            guard.join().map_err(|_| anyhow!("watching QEMU fails"))??;
            Ok(result)
        })
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
        // What QEMU has to say of a device that does not work is no news.
        let mut qemu = self.start("/bin/busybox true", Stdio::null())?;
        ends(&mut qemu, PROBE_LIMIT, || false)?;
        Ok(self.code().is_ok())
    }

    /// Whether the console has a line that begins like this.
    fn says(&self, beginning: &str) -> bool {
        let console = fs::read(&self.console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        console.lines().any(|line| line.starts_with(beginning))
    }

    fn start(&self, line: &str, stderr: Stdio) -> Result<Child> {
        // What an earlier machine said.
        let _ = fs::remove_file(&self.console);
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(words(
            "-nodefaults -no-user-config -display none -no-reboot",
        ))
        .args(words("-smp 2 -m 1024 -accel"))
        .arg(self.processor.accelerator)
        .arg("-cpu")
        .arg(self.processor.model)
        .arg("-kernel")
        .arg(&self.kernel)
        .arg("-initrd")
        .arg(&self.initramfs)
        .arg("-serial")
        .arg(format!("file:{}", self.console.display()))
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
