//! Small XDP programs of the tests' own, written out by instructions: what the product's program is
//! measured against, and what a veth asks of its other end.

mod code;

use aya::{
    Ebpf,
    maps::{Array, MapData, ProgramArray},
    programs::{Xdp, XdpMode, xdp::XdpLink},
};

use self::code::{Code, FRAME, NEXT, Register::*};

/// What a program is called, in its object and in the kernel.
const NAME: &str = "plain";

// `enum xdp_action`, and numbers of helpers, of linux/bpf.h.
const XDP_ABORTED: i32 = 0;
const XDP_PASS: i32 = 2;
const MAP_LOOKUP_ELEM: i32 = 1;
const TAIL_CALL: i32 = 12;
const XDP_ADJUST_TAIL: i32 = 65;
const XDP_STORE_BYTES: i32 = 190;

// Offsets into `struct xdp_md`.
const DATA: i16 = 0;
const DATA_END: i16 = 4;

/// Octets of a [`Restoring`]'s frame at most.
pub const FRAME_MAX: usize = 1514;

/// The program that does nothing but pass.
#[derive(Debug)]
pub struct Pass(Ebpf);

impl Pass {
    /// Loads it.
    #[must_use]
    pub fn load() -> Self {
        let mut code = Code::default();
        code.set(R0, XDP_PASS).exit();
        Self(load(&code))
    }

    /// The program itself.
    pub fn xdp(&mut self) -> &mut Xdp {
        program(&mut self.0)
    }

    /// Attaches it to an interface of this thread's network namespace, in the driver. A veth takes
    /// what the other end sends by XDP_TX only if there is a program.
    #[must_use]
    pub fn attach(mut self, interface: &str) -> XdpLink {
        let program = self.xdp();
        let link = program.attach(interface, XdpMode::Driver).unwrap();
        program.take_link(link).unwrap()
    }
}

/// A program that makes the frame again what it was, and goes on as another program: test runs repeat
/// themselves on what the run before has left.
pub struct Restoring {
    ebpf: Ebpf,
    next: ProgramArray<MapData>,
    frame: Array<MapData, [u8; FRAME_MAX]>,
}

impl Restoring {
    /// Loads it for frames of so many octets.
    #[must_use]
    pub fn load(octets: usize) -> Self {
        let octets = i32::try_from(octets).unwrap();
        let mut code = Code::default();
        code.copy(R6, R1)
            // Its length, whatever that is.
            .load_word(R7, R6, DATA_END)
            .load_word(R8, R6, DATA)
            .subtract(R7, R8)
            .set(R2, octets)
            .subtract(R2, R7)
            .copy(R1, R6)
            .call(XDP_ADJUST_TAIL)
            // Its octets.
            .store_word(R10, -4, 0)
            .copy(R2, R10)
            .add(R2, -4)
            .load_map(R1, FRAME)
            .call(MAP_LOOKUP_ELEM)
            .skip_if_zero(R0, 10)
            .copy(R3, R0)
            .copy(R1, R6)
            .set(R2, 0)
            .set(R4, octets)
            .call(XDP_STORE_BYTES)
            // The other program, from which there is no return.
            .copy(R1, R6)
            .load_map(R2, NEXT)
            .set(R3, 0)
            .call(TAIL_CALL)
            .set(R0, XDP_ABORTED)
            .exit();
        let mut ebpf = load(&code);
        let next = ebpf.take_map(NEXT).expect("it has this map");
        let frame = ebpf.take_map(FRAME).expect("it has this map");
        Self {
            next: next.try_into().unwrap(),
            frame: frame.try_into().unwrap(),
            ebpf,
        }
    }

    /// The program itself, which restores `frame` and goes on as `next`.
    pub fn before(&mut self, frame: &[u8], next: &Xdp) -> &mut Xdp {
        let mut octets = [0; FRAME_MAX];
        octets[..frame.len()].copy_from_slice(frame);
        self.frame.set(0, octets, 0).unwrap();
        self.next.set(0, next.fd().unwrap(), 0).unwrap();
        program(&mut self.ebpf)
    }
}

fn load(code: &Code) -> Ebpf {
    let mut ebpf = Ebpf::load(&code.object(NAME)).unwrap();
    program(&mut ebpf).load().unwrap();
    ebpf
}

fn program(ebpf: &mut Ebpf) -> &mut Xdp {
    let program = ebpf.program_mut(NAME).expect("it has this program");
    program.try_into().unwrap()
}
