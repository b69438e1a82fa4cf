//! The corpus' own source of randomness: `SplitMix64`, nine lines that give the same numbers on
//! every machine, for ever.
//!
//! A library generator may change its stream with a release; a corpus must not, since its bytes are
//! compared. `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
//! 2014) passes the usual statistical batteries and can be *forked*: each batch of the corpus gets
//! a stream of its own, so batches can be made in any order by any thread. It is no source of
//! secrets.
//!
//! Only integers are used, floating point nowhere, so that rounding cannot make two machines
//! differ.

/// A stream of pseudorandom numbers.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

/// 2⁶⁴ divided by the golden ratio, made odd: the step of the sequence.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    /// The stream of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The stream numbered `label` below this one; does not move this one.
    pub(super) fn fork(&self, label: u64) -> Self {
        Self(mix(self.0 ^ mix(label.wrapping_add(STEP))))
    }

    /// Any number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number less than `bound`, which is positive.
    ///
    /// Multiplies instead of taking the remainder (Lemire); the bias is below 2⁻³² for the small
    /// bounds used here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("the upper half of a 128-bit product")
    }

    /// An index into a list of `length`, which is positive.
    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("less than the length, a usize")
    }

    /// One of `items`, which are not empty, each as likely.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// Whether an event happens that happens `times` in `of`.
    pub(super) fn happens(&mut self, times: u64, of: u64) -> bool {
        self.below(of) < times
    }

    /// Sixteen bytes.
    pub(super) fn bytes16(&mut self) -> [u8; 16] {
        let (high, low) = (self.next(), self.next());
        ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
    }
}

/// The finalizer of `SplitMix64`: every bit of the input decides about every bit of the output.
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A choice among `0..n` by weight: a table of running sums, searched by bisection.
#[derive(Clone, Debug)]
pub(super) struct Weighted(Vec<u64>);

impl Weighted {
    /// The choice with these weights, at least one of which is positive.
    pub(super) fn new(weights: impl IntoIterator<Item = u64>) -> Self {
        let running = weights.into_iter().scan(0u64, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self(running.collect())
    }

    /// Zipf's law: the item ranked `r` weighs 1/(r+1), as words in a text, and keys in a company,
    /// do.
    pub(super) fn zipf(items: usize) -> Self {
        /// Large enough that the smallest of 2³² ranks still weighs something, small enough that
        /// their sum fits.
        const SCALE: u64 = 1 << 36;
        Self::new((1..=items as u64).map(|rank| SCALE / rank))
    }

    /// Draws an index.
    pub(super) fn draw(&self, random: &mut Random) -> usize {
        self.at(random.below(self.total()))
    }

    /// The index whose share of the running sum holds `position`, which is less than
    /// [`Weighted::total`].
    pub(super) fn at(&self, position: u64) -> usize {
        self.0.partition_point(|&sum| sum <= position)
    }

    /// The running sum before and after an item.
    pub(super) fn range(&self, index: usize) -> (u64, u64) {
        (index.checked_sub(1).map_or(0, |before| self.0[before]), self.0[index])
    }

    /// The sum of all weights.
    pub(super) fn total(&self) -> u64 {
        self.0.last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        // First outputs for seed 1234567, as in the reference implementation
        // (prng.di.unimi.it/splitmix64.c).
        let mut random = Random::new(1_234_567);
        let seen: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(
            seen,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn forks_differ_from_each_other_and_leave_the_parent_alone() {
        let mut parent = Random::new(7);
        let (mut one, mut two) = (parent.fork(1), parent.fork(2));
        assert_ne!(one.next(), two.next());
        assert_eq!(parent.next(), Random::new(7).next());
    }

    #[test]
    fn a_weighted_choice_follows_its_weights() {
        let choice = Weighted::new([3, 0, 1]);
        assert_eq!((0..choice.total()).map(|at| choice.at(at)).collect::<Vec<_>>(), [0, 0, 0, 2]);
        let zipf = Weighted::zipf(100);
        let mut random = Random::new(1);
        let mut counts = [0u32; 100];
        (0..100_000).for_each(|_| counts[zipf.draw(&mut random)] += 1);
        // H(100) = 5.187: the first gets 19.3 %, the tenth a tenth of that.
        assert!((18_800..19_800).contains(&counts[0]), "{}", counts[0]);
        assert!((1_700..2_200).contains(&counts[9]), "{}", counts[9]);
    }
}
