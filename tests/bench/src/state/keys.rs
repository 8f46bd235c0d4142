//! Which key a record has: a function of its number, so that every run of every bench sees the same.

use crate::fill::write_digits;

/// Digits of a key, behind its letter.
const DIGITS: usize = 11;
/// How uneven a Zipf distribution is: the n-th most frequent key has a share that is proportional to 1 / n^EXPONENT.
/// This one is that of YCSB.
const EXPONENT: f64 = 0.99;

/// How often keys appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// All equally often.
    Uniform,
    /// A few very often, most of them rarely.
    Zipf,
}

impl Distribution {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Distribution::Uniform => "uniform",
            Distribution::Zipf => "zipf",
        }
    }
}

/// The keys of one input.
#[derive(Debug, Clone)]
pub struct Keys {
    /// How many there are.
    pub count: u64,
    /// How often they appear.
    pub distribution: Distribution,
    zipf: Zipf,
}

impl Keys {
    /// So many keys.
    pub fn new(count: u64, distribution: Distribution) -> Keys {
        let zipf = match distribution {
            Distribution::Uniform => Zipf::default(),
            Distribution::Zipf => Zipf::new(count),
        };
        Keys { count, distribution, zipf }
    }

    /// For names of topics and rows.
    pub fn name(&self) -> String {
        let count = match self.count {
            count if count.is_multiple_of(1_000_000) => format!("{}m", count / 1_000_000),
            count if count.is_multiple_of(1_000) => format!("{}k", count / 1_000),
            count => count.to_string(),
        };
        format!("{count}-{}", self.distribution.name())
    }

    /// The number of a record's key.
    pub fn of(&self, record: u64) -> u64 {
        let random = mixed(record);
        match self.distribution {
            Distribution::Uniform => ((u128::from(random) * u128::from(self.count)) >> 64) as u64,
            Distribution::Zipf => self.zipf.of(random, self.count),
        }
    }

    /// Appends a record's key.
    pub fn write(&self, record: u64, key: &mut Vec<u8>) {
        write_digits(key, b"k", self.of(record), DIGITS);
    }

    /// The number of a key.
    pub fn read(key: &[u8]) -> Option<u64> {
        std::str::from_utf8(key.strip_prefix(b"k")?).ok()?.parse().ok()
    }
}

/// A number that looks random: the last step of SplitMix64.
pub fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Draws from a Zipf distribution as in Gray and others, "Quickly generating billion-record synthetic databases", 1994.
#[derive(Debug, Clone, Default)]
struct Zipf {
    zeta: f64,
    alpha: f64,
    eta: f64,
}

impl Zipf {
    fn new(count: u64) -> Zipf {
        let share = |rank: u64| (rank as f64).powf(-EXPONENT);
        let zeta: f64 = (1..=count).map(share).sum();
        let of_two = 1.0 + share(2);
        let eta = (1.0 - (2.0 / count as f64).powf(1.0 - EXPONENT)) / (1.0 - of_two / zeta);
        Zipf { zeta, alpha: 1.0 / (1.0 - EXPONENT), eta }
    }

    fn of(&self, random: u64, count: u64) -> u64 {
        let unit = (random >> 11) as f64 / (1u64 << 53) as f64;
        let scaled = unit * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5f64.powf(EXPONENT) {
            return 1;
        }
        let rank = count as f64 * (self.eta * unit - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(count - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let (keys, mut key) = (Keys::new(1000, Distribution::Uniform), Vec::new());
        keys.write(42, &mut key);
        assert_eq!((key.len(), Keys::read(&key)), (12, Some(keys.of(42))));
        assert_eq!(Keys::read(b"x00000000042"), None);
    }

    #[test]
    fn uniform_keys_come_equally_often() {
        let keys = Keys::new(10, Distribution::Uniform);
        let mut seen = [0; 10];
        (0..100_000).for_each(|record| seen[keys.of(record) as usize] += 1);
        assert!(seen.iter().all(|count| (9_500..10_500).contains(count)), "{seen:?}");
    }

    #[test]
    fn the_first_key_of_a_zipf_distribution_comes_twice_as_often_as_the_second() {
        let keys = Keys::new(1000, Distribution::Zipf);
        let mut seen = vec![0u32; 1000];
        (0..200_000).for_each(|record| seen[keys.of(record) as usize] += 1);
        let ratio = f64::from(seen[0]) / f64::from(seen[1]);
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
        assert!(seen[999] < seen[0] / 300, "{} {}", seen[999], seen[0]);
    }

    #[test]
    fn a_name_tells_count_and_distribution() {
        assert_eq!(Keys::new(1000, Distribution::Uniform).name(), "1k-uniform");
        assert_eq!(Keys { count: 10_000_000, ..Keys::new(1, Distribution::Zipf) }.name(), "10m-zipf");
    }
}
