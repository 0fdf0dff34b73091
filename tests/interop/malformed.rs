//! Messages that are wrong in every way, and a flood of them.

use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use harness::{packet::ike_sa_init, udp::receive};

/// Datagrams between two questions to the gateway: fewer than wait for it in a ring.
const BURST: usize = 256;

/// Bursts between two half-open SAs, so that there always is one to attack.
const BURSTS_PER_HALF_OPEN: usize = 64;

/// Values that sit at the edge of some check.
const EDGES: [u8; 12] = [0, 1, 2, 4, 8, 33, 46, 53, 0x20, 0x7f, 0x80, 0xff];

// Octets of an IKE header, and of an Encrypted Fragment behind it (RFC 7296 §3.1, RFC 7383 §2.5).
const SPI_I: std::ops::Range<usize> = 0..8;
const SPIS: std::ops::Range<usize> = 0..16;
const NEXT_PAYLOAD: usize = 16;
const VERSION: usize = 17;
const MESSAGE_ID: usize = 20;
const LENGTH: std::ops::Range<usize> = 24..28;
const HEADER: usize = 28;
/// Bytes of the answer to a later major version: a notify with one byte of data. There is none to
/// what is shorter.
const ANSWER: usize = HEADER + 9;
const FRAGMENT_NUMBER: usize = 32;
const FRAGMENT_HEADER: usize = 36;

/// The number of the Notify payload (RFC 7296 §3.2).
const NOTIFY: u8 = 41;

/// Both SPIs of an IKE SA, as they are sent.
pub(crate) type Spis = [u8; 16];

/// Draws messages from a seed.
struct Malformed {
    /// Requests of an honest client, IKE_SA_INIT first.
    genuine: Vec<Vec<u8>>,
    random: ChaCha8Rng,
}

impl Malformed {
    /// One of noise, of noise behind a header, and else a genuine message with new SPIs and some
    /// damage, which in three of four is not to be told by its length.
    fn draw(&mut self, spis: &[Spis]) -> Vec<u8> {
        let mut message = match self.below(8) {
            0 => {
                let length = self.below(1400);
                return self.noise(length);
            }
            1 => {
                let length = HEADER + self.below(600);
                let mut message = self.noise(length);
                message[VERSION] = 0x20;
                message[VERSION + 1] = 34 + (message[VERSION + 1] & 3);
                message
            }
            _ => self.genuine(spis),
        };
        for _ in 0..self.below(4) {
            self.damage(&mut message);
        }
        if message.len() >= HEADER && self.below(4) > 0 {
            set_length(&mut message);
        }
        message
    }

    /// A message as a client would send it, for one of the SAs or for a new one.
    fn genuine(&mut self, spis: &[Spis]) -> Vec<u8> {
        let chosen = self.below(self.genuine.len());
        let mut message = self.genuine[chosen].clone();
        if chosen == 0 {
            self.random.fill_bytes(&mut message[SPI_I]);
        } else {
            message[SPIS].copy_from_slice(&spis[self.below(spis.len())]);
        }
        message
    }

    fn damage(&mut self, message: &mut Vec<u8>) {
        if message.len() < FRAGMENT_HEADER {
            return;
        }
        let anywhere = self.below(message.len());
        match self.below(8) {
            0 => message[anywhere] ^= 1 << self.below(8),
            1 => message[anywhere] = self.edge(),
            2 => message[NEXT_PAYLOAD + self.below(FRAGMENT_HEADER - NEXT_PAYLOAD)] = self.edge(),
            3 => message[MESSAGE_ID + 3] = self.below(4) as u8,
            4 => message[FRAGMENT_NUMBER + 1] = self.below(8) as u8,
            5 => message[FRAGMENT_NUMBER + 3] = self.below(8) as u8,
            6 => message.truncate(anywhere),
            _ => message.extend([0x5a; 20]),
        }
    }

    fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut noise = vec![0; length];
        self.random.fill_bytes(&mut noise);
        noise
    }

    fn edge(&mut self) -> u8 {
        EDGES[self.below(EDGES.len())]
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.random.next_u64() % limit as u64) as usize
    }
}

/// Somebody who sends them.
pub(crate) struct Flood {
    socket: UdpSocket,
    gateway: IpAddr,
    malformed: Malformed,
    /// An established SA of somebody else, and a half-open one of our own.
    established: Arc<Mutex<Spis>>,
    half_open: Spis,
    questions: u64,
}

impl Flood {
    /// `genuine` are the requests of an honest client, IKE_SA_INIT first, and `established` an SA
    /// that it has, which may change.
    pub(crate) fn new(
        socket: UdpSocket,
        gateway: IpAddr,
        genuine: Vec<Vec<u8>>,
        established: Arc<Mutex<Spis>>,
    ) -> Self {
        Self {
            socket,
            gateway,
            malformed: Malformed {
                genuine,
                random: ChaCha8Rng::seed_from_u64(7383),
            },
            established,
            half_open: [0; 16],
            questions: 0,
        }
    }

    /// Sends so many datagrams, which the gateway has handled when this returns.
    pub(crate) fn send(&mut self, datagrams: usize) {
        for burst in 0..datagrams.div_ceil(BURST) {
            if burst % BURSTS_PER_HALF_OPEN == 0 {
                self.open_half();
            }
            let spis = [*self.established.lock().unwrap(), self.half_open];
            for _ in 1..BURST {
                let message = self.malformed.draw(&spis);
                match self.malformed.below(16) {
                    0..8 => self.send_to(500, &message),
                    // Without the marker, it is ESP or too short to be anything.
                    8 => self.send_to(4500, &message),
                    _ => self.send_to(4500, &[&[0; 4], &message[..]].concat()),
                }
            }
            self.catch_up();
        }
    }

    fn send_to(&self, port: u16, payload: &[u8]) {
        self.socket.send_to(payload, (self.gateway, port)).unwrap();
    }

    /// Waits until the gateway has handled all that was sent: it answers every message of a later
    /// major version without looking further (RFC 7296 §2.5).
    fn catch_up(&mut self) {
        self.questions += 1;
        let mut question = ike_sa_init(ANSWER);
        question[VERSION] = 0x30;
        question[SPI_I].copy_from_slice(&self.questions.to_be_bytes());
        self.ask(&question);
    }

    /// Leaves a handshake half-open, with a cookie if the gateway wants one (RFC 7296 §2.6).
    fn open_half(&mut self) {
        let mut request = self.malformed.genuine[0].clone();
        self.malformed.random.fill_bytes(&mut request[SPI_I]);
        let mut answer = self.ask(&request);
        if answer[8..16] == [0; 8] {
            // The notify comes first, and what was first comes behind it.
            let cookie = &mut answer[HEADER..];
            cookie[0] = std::mem::replace(&mut request[NEXT_PAYLOAD], NOTIFY);
            request.splice(HEADER..HEADER, cookie.iter().copied());
            set_length(&mut request);
            answer = self.ask(&request);
        }
        self.half_open = answer[SPIS].try_into().unwrap();
        assert_ne!(self.half_open[8..], [0; 8], "the gateway takes its cookie");
    }

    /// The answer to a request on port 500; there are others in between.
    fn ask(&self, request: &[u8]) -> Vec<u8> {
        self.send_to(500, request);
        loop {
            let (answer, _) = receive(&self.socket);
            if answer[SPI_I] == request[SPI_I] {
                return answer;
            }
        }
    }
}

/// Makes the length in the header that of the message.
fn set_length(message: &mut [u8]) {
    let length = u32::try_from(message.len()).unwrap();
    message[LENGTH].copy_from_slice(&length.to_be_bytes());
}
