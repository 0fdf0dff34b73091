//! A responder that runs, and what it takes of the machine.

use std::{fs, time::Duration};

use harness::{cpu, gateway::Gateway, libreswan::Libreswan, strongswan::Strongswan};

/// A responder; it ends when this is dropped.
pub(crate) enum Running {
    Ikexdp(Gateway),
    Strongswan(Box<Strongswan>),
    Libreswan(Libreswan),
}

/// Time of a process on a CPU, as far as it went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// All of it.
    pub(crate) all: Duration,
    /// Ticks in user space and in the kernel, by samples: how it divides.
    pub(crate) ticks: [f64; 2],
}

impl Running {
    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        match self {
            Self::Ikexdp(gateway) => gateway.pid(),
            Self::Strongswan(strongswan) => strongswan.pid(),
            Self::Libreswan(libreswan) => libreswan.pid(),
        }
    }

    /// What it has used of CPUs since it was started.
    pub(crate) fn used(&self) -> Used {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let field = |number: usize| -> f64 {
            // The first behind the name is the third.
            let mut fields = fields.split_whitespace().skip(number - 3);
            fields.next().expect("a field").parse().expect("a number")
        };
        Used {
            all: cpu::time(self.pid(), None),
            ticks: [14, 15].map(field),
        }
    }

    /// The memory that it has in use, in octets.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let mut lines = status.lines();
        let size = lines.find_map(|line| line.strip_prefix("VmRSS:"));
        let size = size.expect("a process that runs").trim();
        let kibibytes = size.strip_suffix(" kB").expect("the kernel's own unit");
        kibibytes.parse::<u64>().expect("a number") * 1024
    }
}
