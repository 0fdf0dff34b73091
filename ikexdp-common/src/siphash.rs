//! SipHash-2-4 with a 64-bit result (Aumasson and Bernstein, 2012), by words: in
//! the kernel's BPF machine nothing else is simple enough to be verified.

/// A 128-bit key.
pub type Secret = [u64; 2];

/// A hash under way.
pub(crate) struct SipHash24 {
    v: [u64; 4],
}

impl SipHash24 {
    #[inline(always)]
    pub(crate) const fn new([k0, k1]: Secret) -> Self {
        Self {
            v: [
                k0 ^ 0x736f_6d65_7073_6575,
                k1 ^ 0x646f_7261_6e64_6f6d,
                k0 ^ 0x6c79_6765_6e65_7261,
                k1 ^ 0x7465_6462_7974_6573,
            ],
        }
    }

    /// Takes the next 8 octets, the first one lowest.
    #[inline(always)]
    pub(crate) const fn word(&mut self, word: u64) {
        let [v0, v1, v2, v3] = self.v;
        self.v = [v0, v1, v2, v3 ^ word];
        self.round();
        self.round();
        let [v0, v1, v2, v3] = self.v;
        self.v = [v0 ^ word, v1, v2, v3];
    }

    /// The hash of all words and the up to 7 octets in `tail`, the first one
    /// lowest and zeros above; they are `length` octets in all.
    #[inline(always)]
    pub(crate) const fn finish(mut self, tail: u64, length: usize) -> u64 {
        // Only the lowest eight bits of the length count.
        self.word(tail | (length as u64) << 56);
        let [v0, v1, v2, v3] = self.v;
        self.v = [v0, v1, v2 ^ 0xff, v3];
        self.round();
        self.round();
        self.round();
        self.round();
        let [v0, v1, v2, v3] = self.v;
        v0 ^ v1 ^ v2 ^ v3
    }

    #[inline(always)]
    const fn round(&mut self) {
        let [mut v0, mut v1, mut v2, mut v3] = self.v;
        v0 = v0.wrapping_add(v1);
        v1 = v1.rotate_left(13) ^ v0;
        v0 = v0.rotate_left(32);
        v2 = v2.wrapping_add(v3);
        v3 = v3.rotate_left(16) ^ v2;
        v0 = v0.wrapping_add(v3);
        v3 = v3.rotate_left(21) ^ v0;
        v2 = v2.wrapping_add(v1);
        v1 = v1.rotate_left(17) ^ v2;
        v2 = v2.rotate_left(32);
        self.v = [v0, v1, v2, v3];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the reference implementation: key 00..0f, input 00..n.
    #[test]
    fn siphash_matches_the_reference() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        for (length, expected) in [
            (0, 0x726f_db47_dd0e_0e31),
            (1, 0x74f8_39c5_93dc_67fd),
            (7, 0xab02_00f5_8b01_d137),
            (8, 0x93f5_f579_9a93_2462),
            (15, 0xa129_ca61_49be_45e5),
        ] {
            let mut input = [0; 16];
            for (octet, value) in input[..length].iter_mut().zip(0..) {
                *octet = value;
            }
            let (words, _) = input.as_chunks::<8>();
            let mut hash = SipHash24::new(key);
            let whole = length / 8;
            for word in &words[..whole] {
                hash.word(u64::from_le_bytes(*word));
            }
            let tail = u64::from_le_bytes(words[whole]);
            assert_eq!(hash.finish(tail, length), expected, "{length} octets");
        }
    }
}
