//! Frames drawn from a seed: rows of the table, more or less damaged.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};

/// Octets into a frame within which headers are, and those of payloads.
const HEADERS: usize = 150;

/// Values that sit at the edge of some check.
const EDGES: [u8; 16] = [
    0, 1, 4, 5, 8, 17, 34, 37, 43, 44, 0x20, 0x45, 0x60, 0x7f, 0x80, 0xff,
];

/// An endless sequence of frames, the same for the same seed.
pub struct Mutations {
    frames: Vec<Vec<u8>>,
    random: ChaCha8Rng,
}

impl Mutations {
    /// Those of a seed.
    #[must_use]
    pub fn of(frames: Vec<Vec<u8>>, seed: u64) -> Self {
        Self {
            frames,
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.random.next_u64() % limit as u64) as usize
    }

    fn damage(&mut self, frame: &mut Vec<u8>) {
        let place = self.below(frame.len().min(HEADERS));
        match self.below(8) {
            0 => frame[place] = self.random.next_u32() as u8,
            1 => frame[place] ^= 1 << self.below(8),
            2 | 3 => frame[place] = EDGES[self.below(EDGES.len())],
            4 => frame[place] = frame[place].wrapping_add(1),
            5 => frame[place] = frame[place].wrapping_sub(1),
            6 => frame.truncate(14 + self.below(frame.len() - 13)),
            _ => frame.resize(frame.len() + self.below(32), 0),
        }
    }
}

impl Iterator for Mutations {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let chosen = self.below(self.frames.len());
        let mut frame = self.frames[chosen].clone();
        if self.below(50) == 0 {
            self.random.fill_bytes(&mut frame);
        }
        for _ in 0..self.below(4) {
            self.damage(&mut frame);
        }
        Some(frame)
    }
}
