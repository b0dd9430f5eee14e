//! Where chance comes from: a seed that the caller gives.

/// Where the jitter of the delays begins. The same seed gives the same delays; without jitter it does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JitterSeed(pub u64);

// === impl JitterSeed ===

impl JitterSeed {
    /// The next number in 0..1 (SplitMix64: enough to keep restarts apart, which is all that jitter is for).
    pub(crate) fn next_unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        // 53 bits are what an f64 holds exactly.
        (z >> 11) as f64 / (1_u64 << 53) as f64
    }
}
