//! What a capture takes, as classic BPF: the kernel runs it on each frame before anything is
//! copied.
//!
//! ```text
//! taken whole:     UDP from or to 500; from or to 4500 with a non-ESP marker (RFC 3948 §2.2)
//!                  all IP fragments of UDP: later ones have no ports, so `sieve` looks further
//!                  ICMP unreachable, too big, time exceeded, about one of those
//! headers only:    ESP, in UDP or not, whose sequence number is one of the first of its SA;
//!                  cut behind that number, so that nothing of what it carries is taken
//! ```
//!
//! IPv6 extension headers other than the fragment header are not followed.

use socket2::SockFilter;

use super::limits::{ESP_PACKETS, FRAME_LEN_MAX};

/// SPI and sequence number (RFC 4303 §2).
const ESP_HEADER: u32 = 8;

/// A UDP header (RFC 768).
const UDP_HEADER: u32 = 8;

/// Where an IP header may begin in a frame of Ethernet: behind no, one or two VLAN tags.
const ETHERNET: [u32; 3] = [14, 18, 22];

/// What frames of an interface begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Ethernet, perhaps with VLAN tags.
    Ethernet,
    /// IP.
    Ip,
}

/// The program for frames that begin so.
pub(super) fn program(link: Link) -> Vec<SockFilter> {
    let mut code = Assembler::default();
    match link {
        Link::Ethernet => code.ethernet(),
        Link::Ip => code.bare_ip(),
    }
    code.finish()
}

// Of <linux/filter.h> and <linux/bpf_common.h>.
const BPF_LD: u16 = 0x00;
const BPF_LDX: u16 = 0x01;
const BPF_ALU: u16 = 0x04;
const BPF_JMP: u16 = 0x05;
const BPF_RET: u16 = 0x06;
const BPF_MISC: u16 = 0x07;
const BPF_W: u16 = 0x00;
const BPF_H: u16 = 0x08;
const BPF_B: u16 = 0x10;
const BPF_IMM: u16 = 0x00;
const BPF_ABS: u16 = 0x20;
const BPF_IND: u16 = 0x40;
const BPF_MSH: u16 = 0xa0;
const BPF_ADD: u16 = 0x00;
const BPF_AND: u16 = 0x50;
const BPF_JA: u16 = 0x00;
const BPF_JEQ: u16 = 0x10;
const BPF_JGT: u16 = 0x20;
const BPF_JGE: u16 = 0x30;
const BPF_JSET: u16 = 0x40;
const BPF_A: u16 = 0x10;
const BPF_TXA: u16 = 0x80;

const UDP: u32 = 17;
const ESP: u32 = 50;
const PORTS: [u32; 2] = [500, 4500];

/// A place to jump to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Label(usize);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// An instruction with its operand.
    Plain(u16, u32),
    /// A comparison, and where to go on.
    Branch(u16, u32, Label, Label),
    Jump(Label),
    Here(Label),
}

#[derive(Debug, Default)]
struct Assembler {
    steps: Vec<Step>,
    labels: usize,
}

impl Assembler {
    fn label(&mut self) -> Label {
        self.labels = self.labels.saturating_add(1);
        Label(self.labels)
    }

    fn here(&mut self, label: Label) {
        self.steps.push(Step::Here(label));
    }

    fn load(&mut self, code: u16, at: u32) {
        self.steps.push(Step::Plain(code, at));
    }

    /// Loads an octet, or two, or four, at a fixed place.
    fn octet(&mut self, at: u32) {
        self.load(BPF_LD | BPF_B | BPF_ABS, at);
    }

    fn half(&mut self, at: u32) {
        self.load(BPF_LD | BPF_H | BPF_ABS, at);
    }

    /// The same behind the IP header, whose length is in X.
    fn octet_behind(&mut self, at: u32) {
        self.load(BPF_LD | BPF_B | BPF_IND, at);
    }

    fn half_behind(&mut self, at: u32) {
        self.load(BPF_LD | BPF_H | BPF_IND, at);
    }

    fn word_behind(&mut self, at: u32) {
        self.load(BPF_LD | BPF_W | BPF_IND, at);
    }

    fn accept(&mut self) {
        self.load(BPF_RET, FRAME_LEN_MAX);
    }

    fn reject(&mut self) {
        self.load(BPF_RET, 0);
    }

    /// Does `then` where a comparison holds, and goes on behind it else.
    fn branch(&mut self, code: u16, operand: u32, holds: bool, then: impl FnOnce(&mut Self)) {
        let (inside, behind) = (self.label(), self.label());
        let (yes, no) = if holds {
            (inside, behind)
        } else {
            (behind, inside)
        };
        self.steps.push(Step::Branch(code, operand, yes, no));
        self.here(inside);
        then(self);
        self.here(behind);
    }

    fn if_equal(&mut self, operand: u32, then: impl FnOnce(&mut Self)) {
        self.branch(BPF_JEQ, operand, true, then);
    }

    fn unless_equal(&mut self, operand: u32, then: impl FnOnce(&mut Self)) {
        self.branch(BPF_JEQ, operand, false, then);
    }

    fn jump(&mut self, label: Label) {
        self.steps.push(Step::Jump(label));
    }

    /// The type of what follows, behind each number of VLAN tags.
    fn ethernet(&mut self) {
        let sections = ETHERNET.map(|start| (start, self.label(), self.label()));
        for (start, v4, v6) in sections {
            let behind_tag = self.label();
            self.half(start.saturating_sub(2));
            self.if_equal(0x0800, |code| code.jump(v4));
            self.if_equal(0x86dd, |code| code.jump(v6));
            for tag in [0x8100, 0x88a8, 0x9100] {
                self.if_equal(tag, |code| code.jump(behind_tag));
            }
            self.reject();
            self.here(behind_tag);
        }
        // More tags than that.
        self.reject();
        for (start, v4, v6) in sections {
            self.here(v4);
            self.ipv4(start);
            self.here(v6);
            self.ipv6(start);
        }
    }

    fn bare_ip(&mut self) {
        let v6 = self.label();
        self.octet(0);
        self.load(BPF_ALU | BPF_AND, 0xf0);
        self.if_equal(0x60, |code| code.jump(v6));
        self.unless_equal(0x40, Self::reject);
        self.ipv4(0);
        self.here(v6);
        self.ipv6(0);
    }

    /// RFC 791.
    fn ipv4(&mut self, start: u32) {
        let at = |field: u32| start.saturating_add(field);
        // The offset, or that more follow.
        self.half(at(6));
        self.branch(BPF_JSET, 0x3fff, true, |code| {
            code.octet(at(9));
            code.if_equal(UDP, Self::accept);
            code.reject();
        });
        self.load(BPF_LDX | BPF_B | BPF_MSH, start);
        self.octet(at(9));
        self.if_equal(UDP, |code| code.udp(start));
        self.if_equal(ESP, |code| code.esp(start));
        self.unless_equal(1, Self::reject);
        // Unreachable, and with it too big; time exceeded, and with it reassembly's.
        self.octet_behind(start);
        for kind in [3, 11] {
            self.if_equal(kind, |code| {
                code.octet_behind(at(8 + 9));
                code.unless_equal(UDP, Self::reject);
                code.half_behind(at(8 + 6));
                code.branch(BPF_JSET, 0x1fff, true, Self::accept);
                code.ports(at(8 + 20));
                code.reject();
            });
        }
        self.reject();
    }

    /// RFC 8200.
    fn ipv6(&mut self, start: u32) {
        let at = |field: u32| start.saturating_add(field);
        self.load(BPF_LDX | BPF_IMM, 40);
        self.octet(at(6));
        self.if_equal(UDP, |code| code.udp(start));
        self.if_equal(44, |code| {
            code.octet(at(40));
            code.if_equal(UDP, Self::accept);
            code.reject();
        });
        self.if_equal(ESP, |code| code.esp(start));
        self.unless_equal(58, Self::reject);
        self.octet_behind(start);
        for kind in [1, 2, 3] {
            self.if_equal(kind, |code| {
                code.octet_behind(at(8 + 6));
                code.if_equal(44, |code| {
                    code.octet_behind(at(8 + 40));
                    code.if_equal(UDP, Self::accept);
                    code.reject();
                });
                code.unless_equal(UDP, Self::reject);
                code.ports(at(8 + 40));
                code.reject();
            });
        }
        self.reject();
    }

    /// RFC 768, RFC 3948.
    fn udp(&mut self, start: u32) {
        let at = |field: u32| start.saturating_add(field);
        let nat = self.label();
        for field in [0, 2] {
            self.half_behind(at(field));
            self.if_equal(500, Self::accept);
            self.if_equal(4500, |code| code.jump(nat));
        }
        self.reject();
        self.here(nat);
        // Else a keepalive, and what is no ESP either.
        self.half_behind(at(4));
        self.branch(BPF_JGE, 16, false, Self::reject);
        self.word_behind(at(8));
        self.if_equal(0, Self::accept);
        self.esp(at(UDP_HEADER));
    }

    /// RFC 4303; the sequence number tells how long an SA has been in use.
    fn esp(&mut self, start: u32) {
        self.word_behind(start.saturating_add(4));
        self.branch(BPF_JGT, ESP_PACKETS, true, Self::reject);
        self.load(BPF_MISC | BPF_TXA, 0);
        let behind = start.saturating_add(ESP_HEADER);
        self.load(BPF_ALU | BPF_ADD, behind);
        self.load(BPF_RET | BPF_A, 0);
    }

    /// Accepts what is from or to a port of IKE.
    fn ports(&mut self, udp: u32) {
        for field in [0, 2] {
            self.half_behind(udp.saturating_add(field));
            for port in PORTS {
                self.if_equal(port, Self::accept);
            }
        }
    }

    fn finish(self) -> Vec<SockFilter> {
        let place = |label: Label| {
            let before = self
                .steps
                .iter()
                .take_while(|step| !matches!(step, Step::Here(it) if *it == label));
            before.filter(|step| !matches!(step, Step::Here(_))).count()
        };
        let instructions = self.steps.iter();
        let instructions = instructions.filter(|step| !matches!(step, Step::Here(_)));
        let mut program = Vec::new();
        for (number, step) in (1_usize..).zip(instructions) {
            let distance = |label| place(label).saturating_sub(number);
            // A branch is never longer than a section, which `branches_are_short` tests.
            let short = |label| u8::try_from(distance(label)).unwrap_or(u8::MAX);
            program.push(match *step {
                Step::Plain(code, operand) => SockFilter::new(code, 0, 0, operand),
                Step::Branch(code, operand, yes, no) => {
                    SockFilter::new(BPF_JMP | code, short(yes), short(no), operand)
                }
                Step::Jump(label) => {
                    let distance = u32::try_from(distance(label)).unwrap_or(u32::MAX);
                    SockFilter::new(BPF_JMP | BPF_JA, 0, 0, distance)
                }
                Step::Here(_) => continue,
            });
        }
        program
    }
}

#[cfg(test)]
mod tests;
