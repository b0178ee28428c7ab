//! Chance that can be repeated: the same seed gives the same run on every machine.

use std::f64::consts::TAU;

/// A stream of random numbers (xoshiro256++, Blackman and Vigna).
#[derive(Clone, Debug)]
pub struct Random([u64; 4]);

impl Random {
    /// Stream number `stream` of a seed. Streams do not touch each other: pod 7 is the same pod
    /// in every fleet, however many numbers others have drawn.
    pub fn new(seed: u64, stream: u64) -> Self {
        // Splitmix64, as its authors say to seed it.
        let mut state = seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95);
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Self([next(), next(), next(), next()])
    }

    fn bits(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in 0..1.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From the standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }

    /// Log-normal around a median of 1.
    pub fn log_normal(&mut self, sigma: f64) -> f64 {
        (sigma * self.normal()).exp()
    }

    /// A count of independent events of which `mean` are expected.
    pub fn poisson(&mut self, mean: f64) -> u32 {
        if mean <= 0.0 {
            return 0;
        }
        if mean > 30.0 {
            // The normal distribution is near enough here.
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u32;
        }
        self.poisson_from((-mean).exp())
    }

    /// The same, with `exp(-mean)` known.
    pub fn poisson_from(&mut self, exp_minus_mean: f64) -> u32 {
        let mut product = self.uniform();
        let mut count = 0;
        while product > exp_minus_mean {
            count += 1;
            product *= self.uniform();
        }
        count
    }

    /// How many of `tries` succeed, each with chance `p`.
    pub fn binomial(&mut self, tries: u32, p: f64) -> u32 {
        let p = p.clamp(0.0, 1.0);
        let mean = f64::from(tries) * p;
        let variance = mean * (1.0 - p);
        if variance > 30.0 {
            let drawn = (mean + variance.sqrt() * self.normal()).round();
            return drawn.clamp(0.0, f64::from(tries)) as u32;
        }
        (0..tries).filter(|_| self.uniform() < p).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and variance of many draws.
    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let draws: Vec<f64> = (0..50_000).map(|_| draw()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let square = |x: &f64| (x - mean).powi(2);
        let variance = draws.iter().map(square).sum::<f64>() / draws.len() as f64;
        (mean, variance)
    }

    #[test]
    fn counts_have_the_mean_and_the_variance_of_their_distribution() {
        let mut random = Random::new(7, 1);
        for expected in [0.2, 3.0, 25.0, 400.0] {
            let (mean, variance) = moments(|| f64::from(random.poisson(expected)));
            assert!((mean / expected - 1.0).abs() < 0.03, "{expected}: {mean}");
            assert!(
                (variance / expected - 1.0).abs() < 0.05,
                "{expected}: {variance}"
            );
        }
        for (tries, p) in [(20, 0.3), (3000, 0.02), (3000, 0.5)] {
            let (mean, variance) = moments(|| f64::from(random.binomial(tries, p)));
            let expected = f64::from(tries) * p;
            assert!((mean / expected - 1.0).abs() < 0.03, "{tries}: {mean}");
            let expected = expected * (1.0 - p);
            assert!((variance / expected - 1.0).abs() < 0.05, "{variance}");
        }
    }

    #[test]
    fn streams_of_a_seed_differ_and_each_can_be_repeated() {
        let draw = |seed, stream| Random::new(seed, stream).uniform();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }
}
