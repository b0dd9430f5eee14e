//! Restart intensity: at most so many restarts in such a period, as a sliding window.
//!
//! Both edges are OTP's: a restart that lies exactly one period back still counts, and a restart is counted when the failure
//! happens, not when a delayed start is due (counted late, `delay * limit > period` could never trip).

use std::collections::VecDeque;
use std::time::Duration;

use crate::Monotonic;

/// At most `max_restarts` restarts within `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// How many restarts are allowed. Zero allows none.
    pub max_restarts: u32,
    /// The length of the sliding window, edge included.
    pub period: Duration,
}

/// What a [`RestartWindow`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// The restart is within the limit and has been counted.
    Admitted,
    /// The restart would exceed the limit. It has not been counted, since it must not happen.
    Exceeded,
}

/// The restarts that an [`Intensity`] has admitted, as far as they still matter.
///
/// Every question is answered in amortised O(1), and memory grows with the restarts that happen, never beyond
/// `max_restarts` entries (OTP keeps a list and walks it on each restart). Together with the restart that is asked about,
/// that is OTP's window of `max_restarts + 1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartWindow {
    intensity: Intensity,
    resolution: Resolution,
    admitted: VecDeque<Monotonic>,
    newest_now: Monotonic,
}

/// How finely a window tells times apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolution {
    Exact,
    WholeSeconds,
}

// === impl Intensity ===

impl Intensity {
    /// At most `max_restarts` restarts within `period`.
    #[must_use]
    pub const fn new(max_restarts: u32, period: Duration) -> Self {
        Self { max_restarts, period }
    }
}

impl Default for Intensity {
    /// OTP's default: 1 restart in 5 s.
    fn default() -> Self {
        Self::new(1, Duration::from_secs(5))
    }
}

// === impl RestartWindow ===

impl RestartWindow {
    /// An empty window with exact times.
    #[must_use]
    pub const fn new(intensity: Intensity) -> Self {
        Self::with_resolution(intensity, Resolution::Exact)
    }

    /// An empty window that truncates every time to whole seconds since the origin, as OTP's supervisor does: a restart
    /// 5.9 s ago may still lie within a period of 5 s.
    #[must_use]
    pub const fn whole_seconds(intensity: Intensity) -> Self {
        Self::with_resolution(intensity, Resolution::WholeSeconds)
    }

    const fn with_resolution(intensity: Intensity, resolution: Resolution) -> Self {
        Self { intensity, resolution, admitted: VecDeque::new(), newest_now: Monotonic::ORIGIN }
    }

    /// Asks for one restart at `now`; counts it if it is within the limit.
    pub fn admit(&mut self, now: Monotonic) -> Admission {
        let now = self.forget_expired(now);
        if self.admitted.len() < self.intensity.max_restarts as usize {
            self.admitted.push_back(now);
            Admission::Admitted
        } else {
            Admission::Exceeded
        }
    }

    /// How many restarts lie within the period that ends at `now`.
    #[must_use]
    pub fn used(&self, now: Monotonic) -> usize {
        let now = self.truncate(now).max(self.newest_now);
        let period = self.period();
        self.admitted.iter().rev().take_while(|&&at| now.saturating_since(at) <= period).count()
    }

    /// The admitted restarts that may still matter, oldest first.
    pub fn admitted(&self) -> impl Iterator<Item = Monotonic> + '_ {
        self.admitted.iter().copied()
    }

    /// Forgets every restart.
    pub fn clear(&mut self) {
        self.admitted.clear();
    }

    /// Keeps another limit from now on. What has been admitted stays counted; what lay outside the old period is forgotten.
    pub const fn set_intensity(&mut self, intensity: Intensity) {
        self.intensity = intensity;
    }

    /// The limit that this window keeps.
    #[must_use]
    pub const fn intensity(&self) -> Intensity {
        self.intensity
    }

    /// Drops what lies further back than one period; answers `now` at this window's resolution. A clock that steps back
    /// is held at the newest time seen, so the entries stay in order.
    fn forget_expired(&mut self, now: Monotonic) -> Monotonic {
        self.newest_now = self.truncate(now).max(self.newest_now);
        let period = self.period();
        while let Some(&oldest) = self.admitted.front() {
            if self.newest_now.saturating_since(oldest) <= period {
                break;
            }
            self.admitted.pop_front();
        }
        self.newest_now
    }

    fn truncate(&self, at: Monotonic) -> Monotonic {
        match self.resolution {
            Resolution::Exact => at,
            Resolution::WholeSeconds => Monotonic::new(Duration::from_secs(at.since_origin().as_secs())),
        }
    }

    fn period(&self) -> Duration {
        match self.resolution {
            Resolution::Exact => self.intensity.period,
            Resolution::WholeSeconds => Duration::from_secs(self.intensity.period.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Monotonic {
        Monotonic::new(Duration::from_millis(millis))
    }

    fn five_in_300_s() -> RestartWindow {
        RestartWindow::new(Intensity::new(5, Duration::from_secs(300)))
    }

    #[test]
    fn the_sixth_restart_within_the_period_exceeds_a_limit_of_five() {
        let mut window = five_in_300_s();
        for second in 1..=5 {
            assert_eq!(window.admit(at(second * 1000)), Admission::Admitted);
        }
        assert_eq!(window.admit(at(6000)), Admission::Exceeded);
        assert_eq!(window.used(at(6000)), 5);
    }

    #[test]
    fn a_restart_exactly_one_period_back_still_counts() {
        let mut window = five_in_300_s();
        for _ in 0..5 {
            assert_eq!(window.admit(at(0)), Admission::Admitted);
        }
        assert_eq!(window.admit(at(300_000)), Admission::Exceeded);
        assert_eq!(window.admit(at(300_001)), Admission::Admitted);
    }

    #[test]
    fn whole_seconds_keep_a_restart_for_up_to_a_second_longer() {
        let limit = Intensity::new(1, Duration::from_secs(5));
        let (mut exact, mut whole) = (RestartWindow::new(limit), RestartWindow::whole_seconds(limit));
        for window in [&mut exact, &mut whole] {
            assert_eq!(window.admit(at(0)), Admission::Admitted);
        }
        assert_eq!(exact.admit(at(5900)), Admission::Admitted);
        assert_eq!(whole.admit(at(5900)), Admission::Exceeded);
        assert_eq!(whole.admit(at(6000)), Admission::Admitted);
    }

    #[test]
    fn whole_seconds_can_also_forget_a_restart_earlier_than_the_exact_form() {
        let limit = Intensity::new(1, Duration::from_secs(5));
        let mut whole = RestartWindow::whole_seconds(limit);
        assert_eq!(whole.admit(at(900)), Admission::Admitted);
        // 5.1 s later, but six whole seconds apart.
        assert_eq!(whole.admit(at(6000)), Admission::Admitted);
    }

    #[test]
    fn an_intensity_of_zero_admits_nothing() {
        let mut window = RestartWindow::new(Intensity::new(0, Duration::from_secs(5)));
        assert_eq!(window.admit(at(0)), Admission::Exceeded);
    }

    #[test]
    fn a_huge_limit_takes_no_memory_before_it_is_used() {
        let mut window = RestartWindow::new(Intensity::new(u32::MAX, Duration::from_secs(1)));
        assert_eq!(window.admitted.capacity(), 0);
        for second in 0..10_000 {
            assert_eq!(window.admit(at(second * 1000)), Admission::Admitted);
        }
        assert!(window.admitted.len() <= 2);
    }

    #[test]
    fn a_clock_that_steps_back_frees_nothing_and_breaks_nothing() {
        let mut window = RestartWindow::new(Intensity::new(2, Duration::from_secs(5)));
        assert_eq!(window.admit(at(10_000)), Admission::Admitted);
        assert_eq!(window.admit(at(1000)), Admission::Admitted);
        assert_eq!(window.admit(at(2000)), Admission::Exceeded);
        assert_eq!(window.admit(at(15_000)), Admission::Exceeded);
        assert_eq!(window.admit(at(15_001)), Admission::Admitted);
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_the_limit(
            max in 0_u32..6, period in 0_u64..5000, gaps in prop::collection::vec(0_u64..3000, 0..60),
        ) {
            let mut window = RestartWindow::new(Intensity::new(max, Duration::from_millis(period)));
            let (mut now, mut admitted) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                if window.admit(at(now)) == Admission::Admitted {
                    admitted.push(now);
                } else {
                    // Nothing is refused that the limit would allow.
                    let within = admitted.iter().filter(|&&then| now - then <= period).count();
                    prop_assert!(within >= max as usize);
                }
                prop_assert!(window.admitted.len() <= max as usize);
            }
            for (i, &end) in admitted.iter().enumerate() {
                let within = admitted[..=i].iter().filter(|&&then| end - then <= period).count();
                prop_assert!(within <= max as usize);
            }
        }

        /// OTP's `add_restart`, word for word.
        #[test]
        fn whole_seconds_agree_with_otps_list(
            max in 0_usize..5, period in 1_u64..8, gaps in prop::collection::vec(0_u64..4000, 0..60),
        ) {
            let mut window = RestartWindow::whole_seconds(Intensity::new(max as u32, Duration::from_secs(period)));
            let (mut now, mut list): (u64, Vec<u64>) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                let seconds = now / 1000;
                list.retain(|&then| then + period >= seconds);
                list.push(seconds);
                let exceeded = list.len() > max;
                prop_assert_eq!(window.admit(at(now)) == Admission::Exceeded, exceeded);
                if exceeded {
                    break; // OTP's supervisor is gone now.
                }
            }
        }
    }
}
