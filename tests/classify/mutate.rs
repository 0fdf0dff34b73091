//! Frames drawn from a seed: rows of the table, more or less damaged.

use crate::table::Row;

/// Octets into a frame within which headers are.
const HEADERS: usize = 110;

/// Values that sit at the edge of some check.
const EDGES: [u8; 16] = [
    0, 1, 4, 5, 8, 17, 34, 37, 43, 44, 0x20, 0x45, 0x60, 0x7f, 0x80, 0xff,
];

/// An endless sequence of frames, the same for the same seed.
pub(crate) struct Mutations {
    frames: Vec<Vec<u8>>,
    state: u64,
}

impl Mutations {
    pub(crate) fn of(rows: Vec<Row>, seed: u64) -> Self {
        let frames = rows.iter().map(|row| row.packet.build()).collect();
        Self {
            frames,
            state: seed,
        }
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.draw() % limit as u64) as usize
    }

    fn damage(&mut self, frame: &mut Vec<u8>) {
        let place = self.below(frame.len().min(HEADERS));
        match self.below(8) {
            0 => frame[place] = self.draw() as u8,
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
            frame.fill_with(|| self.draw() as u8);
        }
        for _ in 0..self.below(4) {
            self.damage(&mut frame);
        }
        Some(frame)
    }
}
