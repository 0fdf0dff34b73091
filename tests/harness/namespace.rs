//! One machine of a lab: a network namespace and a mount namespace with no name.
//!
//! A thread holds both. Everything in them, interfaces, mounts, sockets under `/run`, ends with that
//! thread and the processes it started, and the kernel ends those with the thread: nothing is left
//! over, however the test process came to its end.

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::{self, Child, Command, Output, Stdio},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::{Pid, gettid},
};

type Task = Box<dyn FnOnce() + Send>;

/// A handle of the machine; the machine ends with the last of its clones.
#[derive(Clone, Debug)]
pub struct Namespace(Arc<Holder>);

#[derive(Debug)]
struct Holder {
    name: String,
    thread_id: Pid,
    tasks: Option<mpsc::Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Namespace {
    /// A machine with an interface `lo` and `/run` and `/sys` of its own.
    ///
    /// `name` is the name of the thread that holds it, at most 15 bytes: `nsenter --net --mount
    /// --target TID` looks into it.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let (tasks, queue) = mpsc::channel::<Task>();
        let (ready, is_ready) = mpsc::channel();
        let hold = move || {
            leave_the_host(CloneFlags::CLONE_NEWNET);
            ready.send(gettid()).unwrap();
            for task in queue {
                task();
            }
        };
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(hold)
            .unwrap();
        let thread_id = is_ready
            .recv()
            .expect("a namespace needs root: run this test by `cargo xtask test`");
        let namespace = Self(Arc::new(Holder {
            name: name.to_owned(),
            thread_id,
            tasks: Some(tasks),
            thread: Some(thread),
        }));
        namespace.mount("sysfs", "/sys");
        namespace.mount("tmpfs", "/run");
        namespace.exec("ip link set lo up");
        // Addresses can be used at once: no duplicate address detection (RFC 4862 §5.4).
        namespace.write("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
        namespace
    }

    /// The name given to `new`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Runs `task` on the thread that lives in the namespace, and hands its panic on.
    ///
    /// A socket opened by the task stays in the namespace wherever it is used. A task must be
    /// short: others wait for it.
    pub fn run<R: Send + 'static>(&self, task: impl FnOnce() -> R + Send + 'static) -> R {
        let (done, result) = mpsc::channel();
        let task = move || {
            let result = panic::catch_unwind(AssertUnwindSafe(task));
            // The caller waits for this below, so it is there to take it.
            done.send(result).unwrap();
        };
        let tasks = self
            .0
            .tasks
            .as_ref()
            .expect("the thread takes tasks until the handle is dropped");
        tasks.send(Box::new(task)).unwrap();
        result
            .recv()
            .unwrap()
            .unwrap_or_else(|panic| panic::resume_unwind(panic))
    }

    /// Starts a command made by [`command`] in the namespace.
    #[must_use]
    pub fn spawn(&self, mut command: Command) -> Child {
        self.run(move || {
            command
                .spawn()
                .unwrap_or_else(|error| panic!("{command:?}: {error}"))
        })
    }

    /// Runs a command made by [`command`] to its end and collects what it prints.
    #[must_use]
    pub fn output(&self, mut command: Command) -> Output {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.spawn(command).wait_with_output().unwrap()
    }

    /// Runs a command line, split at white space, that must succeed; its standard output.
    #[expect(
        clippy::must_use_candidate,
        reason = "most command lines are run for what they do"
    )]
    pub fn exec(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let mut program = command(words.next().expect("a command line has a program"));
        program.args(words);
        let output = self.output(program);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{}: `{line}`: {}: {stderr}",
            self.0.name,
            output.status
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether `ip link` shows an XDP program on the interface.
    #[must_use]
    pub fn has_xdp(&self, interface: &str) -> bool {
        self.exec(&format!("ip link show {interface}"))
            .contains("prog/xdp")
    }

    /// Mounts a new file system, which hides what was there, for this namespace only.
    pub fn mount(&self, kind: &'static str, target: &'static str) {
        self.run(move || {
            mount(
                Some(kind),
                target,
                Some(kind),
                MsFlags::empty(),
                None::<&str>,
            )
            .unwrap_or_else(|error| panic!("mount {kind} on {target}: {error}"));
        });
    }

    /// Writes a file as the namespace sees it, and the directories above.
    pub fn write(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) {
        let (path, contents) = (path.as_ref().to_owned(), contents.as_ref().to_owned());
        self.run(move || {
            let directory = path.parent().expect("the path of a file");
            fs::create_dir_all(directory)
                .and_then(|()| fs::write(&path, contents))
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        });
    }

    /// The file by which `ip link set … netns FILE` names this namespace.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        format!("/proc/{}/task/{}/ns/net", process::id(), self.0.thread_id).into()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.tasks.take());
        if let Some(thread) = self.thread.take() {
            // A task's panic was handed to its caller; the thread itself has none to report.
            let _ = thread.join();
        }
    }
}

/// A command that the kernel kills when the thread that starts it ends.
#[must_use]
pub fn command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// Moves this thread into a mount namespace of its own, and into such `others`.
pub(crate) fn leave_the_host(others: CloneFlags) {
    unshare(CloneFlags::CLONE_NEWNS | others).expect("unshare");
    // Else what is mounted in here would appear on the host.
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .expect("mount --make-rprivate /");
}
