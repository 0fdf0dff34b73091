//! On what it is measured.

use std::path::Path;

use harness::{namespace::command, strongswan::Esp};

use super::{case::Case, responder::Responder};

/// The CPU of the clients, and of everything else but the responder.
pub(super) const CLIENTS: &str = "0";
/// The responder's CPU.
pub(super) const RESPONDER: &str = "1";

/// A kind of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// This one, with two CPUs. Its kernel may have no ESP: nobody makes CHILD SAs (RFC 6023).
    Host,
    /// A virtual one with one CPU, which is emulated, whose kernel has ESP.
    Guest,
}

impl Place {
    /// Who serves here, first the one that the others are compared with.
    pub(super) const fn responders(self) -> &'static [Responder] {
        match self {
            Self::Host => &[Responder::Strongswan, Responder::Udp, Responder::Xdp],
            Self::Guest => &[
                Responder::Strongswan,
                Responder::Libreswan,
                Responder::Openiked,
                Responder::Udp,
                Responder::Xdp,
            ],
        }
    }

    /// How many handshakes there are before those that count, and in a sample: some seconds' work for
    /// the slowest. Guests have addresses for 250 clients.
    pub(super) const fn handshakes(self, case: Case) -> (u32, u32) {
        match (self, case) {
            (Self::Host, Case::Psk) => (200, 4000),
            (Self::Host, Case::EcdsaP256) => (200, 2000),
            (Self::Host, Case::Rsa2048) => (200, 1500),
            (Self::Host, Case::Rsa4096) => (50, 400),
            (Self::Guest, Case::Rsa4096) => (5, 30),
            (Self::Guest, _) => (10, 100),
        }
    }

    /// What strongSwan makes CHILD SAs with.
    pub(super) const fn esp(self) -> Esp {
        match self {
            Self::Host => Esp::None,
            Self::Guest => Esp::Kernel,
        }
    }

    /// What ikexdp makes them with.
    pub(super) const fn data_plane(self) -> &'static str {
        match self {
            Self::Host => "none",
            Self::Guest => "xfrm",
        }
    }

    /// A command that runs a program on a CPU of its own, if there is one.
    pub(super) fn on(self, cpu: &str, program: &Path) -> std::process::Command {
        let program = program.to_str().expect("a path in UTF-8");
        if self == Self::Guest {
            return command(program);
        }
        let mut on_its_cpu = command("taskset");
        on_its_cpu.args(["--cpu-list", cpu, program]);
        on_its_cpu
    }
}
