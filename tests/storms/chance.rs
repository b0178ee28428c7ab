//! Random numbers that come again with the same seed.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }

    /// One of several.
    pub fn one_of<'a, T>(&mut self, several: &'a [T]) -> &'a T {
        let index = self.below(u64::try_from(several.len()).unwrap());
        &several[usize::try_from(index).unwrap()]
    }

    /// The seed of a run: `DROVER_STORM_SEED`, else the one that is given. Printed either way, as a
    /// run that fails must be able to be run again.
    pub fn seed(name: &str, otherwise: u64) -> u64 {
        let told = std::env::var("DROVER_STORM_SEED").ok();
        let seed = told.map_or(otherwise, |text| text.parse().unwrap());
        eprintln!("{name}: DROVER_STORM_SEED={seed}");
        seed
    }
}
