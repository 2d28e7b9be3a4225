//! Where everything random comes from that a client can see: with a seed, two runs of one story are alike.

use uuid::Uuid;

/// A generator of pseudo-random numbers (SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014). Nothing secret may come from it.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The same seed gives the same numbers; without one they differ from run to run.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0))
    }

    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A new guid, in the form of a random one.
    pub(crate) fn guid(&mut self) -> Uuid {
        let bytes = (u128::from(self.number()) << 64 | u128::from(self.number())).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// True in `probability` of all cases.
    pub(crate) fn hits(&mut self, probability: f64) -> bool {
        // The upper 53 bits are what a double holds exactly.
        let fraction = (self.number() >> 11) as f64 / (1_u64 << 53) as f64;
        fraction < probability
    }

    /// A number from `low` to `high`, both possible.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        let width = high.saturating_sub(low).saturating_add(1);
        low.saturating_add(self.number() % width)
    }
}

impl Default for Dice {
    fn default() -> Self {
        Self::new(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything() {
        let draw = |seed| {
            let mut dice = Dice::new(seed);
            (dice.guid(), dice.between(5, 7), dice.hits(0.5))
        };
        assert_eq!(draw(Some(1)), draw(Some(1)));
        assert_ne!(draw(Some(1)).0, draw(Some(2)).0);
        assert_ne!(draw(None).0, draw(None).0);
    }

    #[test]
    fn probabilities_are_met() {
        let mut dice = Dice::new(Some(1));
        let hits = (0..10_000).filter(|_| dice.hits(0.2)).count();
        assert!((1_900..2_100).contains(&hits), "{hits}");
        assert!(!dice.hits(0.0) && dice.hits(1.0));
        assert!((0..100).all(|_| (3..=4).contains(&dice.between(3, 4))));
    }
}
