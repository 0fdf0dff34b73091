//! A responder that runs, and what it takes of the machine.

use std::{fs, time::Duration};

use harness::{
    cpu, gateway::Gateway, libreswan::Libreswan, openiked::Openiked, strongswan::Strongswan,
};

/// A responder; it ends when this is dropped.
pub(crate) enum Running {
    Ikexdp(Gateway),
    Strongswan(Box<Strongswan>),
    Libreswan(Libreswan),
    Openiked(Openiked),
}

/// Time of a responder on a CPU, as far as it went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// All of it.
    pub(crate) all: Duration,
    /// Ticks in user space and in the kernel, by samples: how it divides.
    pub(crate) ticks: [f64; 2],
}

impl Running {
    /// The numbers of its processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        match self {
            Self::Ikexdp(gateway) => vec![gateway.pid()],
            Self::Strongswan(strongswan) => vec![strongswan.pid()],
            Self::Libreswan(libreswan) => vec![libreswan.pid()],
            Self::Openiked(openiked) => openiked.pids(),
        }
    }

    /// What it has used of CPUs since it was started.
    pub(crate) fn used(&self) -> Used {
        let mut used = Used {
            all: Duration::ZERO,
            ticks: [0.0; 2],
        };
        for pid in self.pids() {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            let (_, fields) = stat.rsplit_once(')').expect("a name");
            let field = |number: usize| -> f64 {
                // The first behind the name is the third.
                let mut fields = fields.split_whitespace().skip(number - 3);
                fields.next().expect("a field").parse().expect("a number")
            };
            used.all += cpu::time(pid, None);
            used.ticks[0] += field(14);
            used.ticks[1] += field(15);
        }
        used
    }

    /// The memory that it has in use, in octets; what several of its processes share counts for each.
    pub(crate) fn resident(&self) -> u64 {
        self.pids().into_iter().map(resident).sum()
    }
}

/// The memory that a process has in use, in octets.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mut lines = status.lines();
    let size = lines.find_map(|line| line.strip_prefix("VmRSS:"));
    let size = size.expect("a process that runs").trim();
    let kibibytes = size.strip_suffix(" kB").expect("the kernel's own unit");
    kibibytes.parse::<u64>().expect("a number") * 1024
}
