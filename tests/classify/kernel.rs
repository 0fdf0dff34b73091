//! The same frames through the program in the kernel (BPF_PROG_TEST_RUN).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use aya::programs::{TestRun, TestRunOptions};
use harness::bpf::Restoring;
use harness::frames::{
    BROADCAST, Case, Here, Mutations, OURS_V4, OURS_V6, Row, Told, cases, configs, configurations,
    drawn_from, load, table,
};
use harness::namespace::Namespace;
use harness::udp::PATIENCE;
use ikexdp::xdp::{Interface, Program};
use ikexdp::xsk::{Socket, Transfer};
use ikexdp_common::maps::{Config, LOCAL_ADDRESSES};
use ikexdp_common::verdict::{Action, Verdict};

/// What the kernel runs no shorter frame than: an Ethernet header.
const FRAME_MIN: usize = 14;

/// Longer than any frame here.
const ROOM: usize = 4096;

/// Drawn frames of each configuration, unless [`FRAMES`] says otherwise.
const DRAWN: usize = 20_000;

/// How many frames are drawn of each configuration, in the environment.
const FRAMES: &str = "IKEXDP_FRAMES";

/// The program and what its counters must show.
struct Kernel {
    here: Here,
    program: Program,
    expected: BTreeMap<Verdict, u64>,
}

impl Kernel {
    fn load(config: Config) -> Self {
        Self::told(Told {
            config,
            ..Told::default()
        })
    }

    fn told(told: Told) -> Self {
        let program = load(&told);
        Self {
            here: Here::new(told),
            program,
            expected: BTreeMap::new(),
        }
    }

    /// Gives the program a socket on the queue that test runs come from.
    #[must_use]
    fn with_socket(&mut self) -> Socket {
        let interface = Interface::find("here").unwrap();
        // The kernel may not have forgotten the one before yet.
        let socket = Socket::open(&interface, 0, &[Transfer::Copy], PATIENCE).unwrap();
        self.program.set_socket(0, &socket).unwrap();
        socket
    }

    /// Runs a frame, and the same code beside it.
    fn agrees(&mut self, name: &str, frame: &[u8]) {
        let (verdict, became) = self.here.judge(frame);
        self.leaves(verdict, name, frame, &became);
    }

    /// Runs a frame, which the program only looks at.
    fn becomes(&mut self, verdict: Verdict, name: &str, frame: &[u8]) {
        self.leaves(verdict, name, frame, frame);
    }

    fn leaves(&mut self, verdict: Verdict, name: &str, frame: &[u8], expected: &[u8]) {
        let mut out = [0; ROOM];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ..TestRunOptions::new()
        };
        let result = self.program.xdp().unwrap().test_run(options).unwrap();
        // `enum xdp_action` of linux/bpf.h.
        let action = match verdict.action() {
            Action::Drop => 1,
            Action::Pass => 2,
            Action::Reply => 3,
            Action::Redirect => 4,
        };
        assert_eq!(
            result.return_value, action,
            "{name}: {verdict:?}: {frame:02x?}"
        );
        let length = usize::try_from(result.data_size_out).unwrap();
        assert_eq!(&out[..length], expected, "{name}: {verdict:?}");
        *self.expected.entry(verdict).or_default() += 1;
    }

    /// Whether all frames so far were counted, and each where it should be.
    fn counters_agree(&self, name: &str) {
        let counters = self.program.counters().unwrap();
        for verdict in Verdict::ALL {
            let expected = self.expected.get(verdict).copied().unwrap_or_default();
            assert_eq!(counters.total(*verdict), expected, "{name}: {verdict:?}");
        }
    }
}

/// Runs `test` where there is an interface to open a socket on.
fn in_a_namespace(test: impl FnOnce() + Send + 'static) {
    let namespace = Namespace::new("classify");
    namespace.exec("ip link add here type veth peer name there");
    namespace.exec("ip link set here up");
    namespace.run(test);
}

#[test]
#[ignore = "needs CAP_BPF"]
fn the_kernel_agrees_on_every_row_however_cut() {
    in_a_namespace(|| {
        for config in configs() {
            let mut kernel = Kernel::load(config);
            let _socket = kernel.with_socket();
            for Row { name, packet, .. } in table(config) {
                let frame = packet.build();
                for length in FRAME_MIN..=frame.len() {
                    kernel.agrees(name, &frame[..length]);
                    kernel.counters_agree(name);
                }
            }
        }
    });
}

#[test]
#[ignore = "needs CAP_BPF"]
fn the_kernel_agrees_on_every_sequence() {
    in_a_namespace(|| {
        for Case { name, told, frames } in cases() {
            let mut kernel = Kernel::told(told);
            let _socket = kernel.with_socket();
            for (packet, _) in frames {
                kernel.agrees(name, &packet.build());
                kernel.counters_agree(name);
            }
        }
    });
}

#[test]
#[ignore = "needs CAP_BPF"]
fn the_kernel_agrees_on_drawn_frames() {
    let frames = std::env::var(FRAMES)
        .ok()
        .and_then(|text| text.parse().ok());
    let frames = frames.unwrap_or(DRAWN);
    in_a_namespace(move || {
        let plain = configs().map(|config| Told {
            config,
            ..Told::default()
        });
        let configurations: Vec<_> = plain.into_iter().chain(configurations()).collect();
        let all = configurations.len();
        for (seed, told) in (1..).zip(configurations) {
            let mut kernel = Kernel::told(told);
            let _socket = kernel.with_socket();
            let drawn = Mutations::of(drawn_from(), seed).take(frames).enumerate();
            for (number, frame) in drawn {
                let name = format!("seed {seed}, frame {number}");
                kernel.agrees(&name, &frame);
                // Now and then, because it is forty system calls.
                if number % 1000 == 999 {
                    kernel.counters_agree(&name);
                }
            }
        }
        println!("{frames} frames in each of {all} configurations: no difference");
    });
}

#[test]
#[ignore = "needs CAP_BPF"]
fn without_a_socket_ike_is_passed() {
    let config = configs()[0];
    let mut kernel = Kernel::load(config);
    for Row {
        name,
        packet,
        verdict,
    } in table(config)
    {
        let verdict = match verdict.action() {
            Action::Redirect => Verdict::PassNoSocket,
            _ => verdict,
        };
        kernel.becomes(verdict, name, &packet.build());
    }
    kernel.counters_agree("the table");
}

#[test]
#[ignore = "needs CAP_BPF"]
fn a_frame_too_long_for_the_socket_is_passed() {
    in_a_namespace(|| {
        let redirected = |row: &Row| row.verdict.action() == Action::Redirect;
        for Row {
            name,
            packet,
            verdict,
        } in table(configs()[0]).into_iter().filter(redirected)
        {
            let frame = packet.build();
            let length = u16::try_from(frame.len()).unwrap();
            for (frame_max, verdict) in [(length, verdict), (length - 1, Verdict::PassTooLong)] {
                let mut kernel = Kernel::load(Config {
                    frame_max,
                    ..configs()[0]
                });
                let _socket = kernel.with_socket();
                kernel.becomes(verdict, name, &frame);
                kernel.counters_agree(name);
            }
        }
    });
}

/// Nothing else changes: what is dropped and answered stays so.
#[test]
#[ignore = "needs CAP_BPF"]
fn while_a_capture_looks_ike_is_passed() {
    in_a_namespace(|| {
        let config = Config {
            observed: true,
            ..configs()[0]
        };
        let mut kernel = Kernel::load(config);
        let _socket = kernel.with_socket();
        for Row {
            name,
            packet,
            verdict,
        } in table(config)
        {
            let verdict = match verdict.action() {
                Action::Redirect => Verdict::PassObserved,
                _ => verdict,
            };
            kernel.becomes(verdict, name, &packet.build());
        }
        kernel.counters_agree("the table");
    });
}

#[test]
#[ignore = "needs CAP_BPF"]
fn an_address_that_is_gone_is_not_ours() {
    let mut kernel = Kernel::load(configs()[0]);
    let frames: Vec<_> = table(configs()[0])
        .into_iter()
        .filter(|row| row.name == "IKE over IPv4" || row.name == "IKE over IPv6")
        .map(|row| row.packet.build())
        .collect();
    let [v4, v6] = frames.as_slice() else {
        panic!("one row per family")
    };
    kernel.becomes(Verdict::PassNoSocket, "IPv4", v4);
    kernel.becomes(Verdict::PassNoSocket, "IPv6", v6);
    kernel
        .program
        .set_addresses(&[OURS_V6.into()].into())
        .unwrap();
    kernel.becomes(Verdict::PassTransit, "IPv4, removed", v4);
    kernel.becomes(Verdict::PassNoSocket, "IPv6, kept", v6);
    kernel
        .program
        .set_addresses(&[OURS_V4.into()].into())
        .unwrap();
    kernel.becomes(Verdict::PassNoSocket, "IPv4, back", v4);
    kernel.becomes(Verdict::PassTransit, "IPv6, removed", v6);
    kernel.counters_agree("addresses");
}

/// They are told one after the other: neither makes the program forget the other.
#[test]
#[ignore = "needs CAP_BPF"]
fn broadcast_addresses_stay_while_addresses_change() {
    let mut kernel = Kernel::load(configs()[0]);
    let request = |source: Ipv4Addr| {
        let rows = table(configs()[0]);
        let row = rows.into_iter().find(|row| row.name == "IKE over IPv4");
        row.unwrap().packet.ip(12, source.octets()).build()
    };
    kernel.becomes(Verdict::PassMartian, "broadcast", &request(BROADCAST));
    for addresses in [vec![OURS_V4.into(), OURS_V6.into()], vec![OURS_V4.into()]] {
        let addresses: BTreeSet<IpAddr> = addresses.into_iter().collect();
        kernel.program.set_addresses(&addresses).unwrap();
        kernel.becomes(Verdict::PassMartian, "broadcast", &request(BROADCAST));
    }
    kernel.program.set_broadcasts(&BTreeSet::new()).unwrap();
    kernel.becomes(
        Verdict::PassNoSocket,
        "broadcast no more",
        &request(BROADCAST),
    );
    kernel.program.set_broadcasts(&[BROADCAST].into()).unwrap();
    kernel.becomes(Verdict::PassMartian, "broadcast", &request(BROADCAST));
}

#[test]
#[ignore = "needs CAP_BPF"]
fn addresses_beyond_the_limit_are_left_out() {
    let mut kernel = Kernel::load(configs()[0]);
    let many = |count: usize| -> BTreeSet<IpAddr> {
        (0..count as u32)
            .map(|bits| Ipv4Addr::from_bits(bits).into())
            .collect()
    };
    for more in [0, 1] {
        let addresses = many(LOCAL_ADDRESSES + more);
        assert_eq!(kernel.program.set_addresses(&addresses).unwrap(), more);
    }
    // And it goes on from there.
    kernel
        .program
        .set_addresses(&[OURS_V4.into()].into())
        .unwrap();
    let ike = table(configs()[0]).swap_remove(0);
    kernel.becomes(Verdict::PassNoSocket, ike.name, &ike.packet.build());
}

/// The bench measures answers like that: each run must see the request, not the answer before.
#[test]
#[ignore = "needs CAP_BPF"]
fn a_restored_frame_is_answered_again_and_again() {
    const RUNS: u32 = 1000;
    let Case { told, frames, .. } = cases().swap_remove(0);
    for (packet, verdict) in frames {
        let frame = packet.build();
        let (_, answer) = Here::new(told.clone()).judge(&frame);
        let mut program = load(&told);
        let mut out = [0; ROOM];
        let options = TestRunOptions {
            data_in: Some(&frame),
            data_out: Some(&mut out),
            repeat: RUNS,
            ..TestRunOptions::new()
        };
        let mut restoring = Restoring::load(frame.len());
        let restoring = restoring.before(&frame, program.xdp().unwrap());
        let result = restoring.test_run(options).unwrap();
        let length = usize::try_from(result.data_size_out).unwrap();
        assert_eq!(out[..length], answer);
        let counted = program.counters().unwrap().total(verdict);
        assert_eq!(counted, u64::from(RUNS), "{verdict:?}");
    }
}
