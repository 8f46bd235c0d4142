//! Random moments out of a seed: Marsaglia's xorshift, good enough for moments, and the same everywhere.

/// The numbers of one seed.
#[derive(Debug)]
pub struct Moments(u64);

impl Moments {
    /// A seed is at least 1.
    pub fn new(seed: u64) -> Moments {
        Moments(seed.max(1))
    }

    /// The next number, below this one.
    pub fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}
