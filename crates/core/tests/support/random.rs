//! Numbers that look random and follow from a seed.

#![allow(dead_code, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

/// An xorshift generator.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn of(case: u64, seed: u64) -> Self {
        let mut random =
            Self(case.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed.rotate_left(32) ^ 0x2545_f491_4f6c_dd1d);
        (0..4).for_each(|_| _ = random.next());
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    /// A word that is likely to hurt whoever takes it for a count, an index, a state or an offset.
    pub(crate) fn bad_word(&mut self, was: u64) -> u64 {
        const VALUES: [u64; 14] = [
            0,
            1,
            2,
            3,
            127,
            128,
            255,
            1 << 14,
            1 << 20,
            i32::MAX as u64,
            u32::MAX as u64,
            1 << 63,
            u64::MAX - 1,
            u64::MAX,
        ];
        match self.below(8) {
            0 => self.next(),
            1 => was.wrapping_add(1),
            2 => was.wrapping_sub(1),
            3 | 4 => was ^ 1 << self.below(64),
            // Only half of it: two fields of 32 bits are neighbours.
            5 => was & !0xffff_ffff | self.one_of(&VALUES) & 0xffff_ffff,
            6 => was & 0xffff_ffff | self.one_of(&VALUES) << 32,
            _ => self.one_of(&VALUES),
        }
    }
}
