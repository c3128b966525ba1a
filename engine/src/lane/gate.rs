//! What shards ask before they take a record for a sink: one atomic, no lock.
//!
//! ```text
//!   open_until = 0          the sink works: every request passes
//!   now < open_until        it does not: every request is refused at once
//!   now >= open_until       one request passes as a probe (it pushes open_until on by compare-and-swap,
//!                           so the others are still refused), and the lane decides by its outcome
//! ```

#[cfg(feature = "loom")]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(feature = "loom"))]
use std::sync::atomic::{AtomicU64, Ordering};

/// May a request's records go to this sink?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Pass,
    /// Yes, as the one probe: seal it at once.
    Probe,
    /// No; asking again is of use after this many milliseconds.
    Refused {
        /// At least 1.
        retry_after_ms: u64,
    },
}

/// The breaker's face towards the shards. Times are milliseconds since a start that all threads share.
#[derive(Debug)]
pub struct Gate {
    open_until_ms: AtomicU64,
    probe_ms: u64,
}

impl Gate {
    /// A closed gate: requests pass. While a probe is out, others are refused for `probe_ms` before the next one.
    #[must_use]
    pub fn new(probe_ms: u64) -> Self {
        Self { open_until_ms: AtomicU64::new(0), probe_ms: probe_ms.max(1) }
    }

    /// Asked by a shard for each request.
    pub fn admit(&self, now_ms: u64) -> Admission {
        // Relaxed: the number itself is the whole message, no other memory hangs on it. Whoever changes it does so by
        // read-modify-write, so that of a probe and a verdict in the same moment the later one stands.
        let until = self.open_until_ms.load(Ordering::Relaxed);
        if until == 0 {
            return Admission::Pass;
        }
        if now_ms < until {
            return Admission::Refused { retry_after_ms: until - now_ms };
        }
        let next = now_ms + self.probe_ms;
        match self.open_until_ms.compare_exchange(until, next, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Admission::Probe,
            Err(0) => Admission::Pass,
            Err(until) => Admission::Refused { retry_after_ms: until.saturating_sub(now_ms).max(1) },
        }
    }

    /// Said by the lane: requests pass.
    pub fn close(&self) {
        self.open_until_ms.swap(0, Ordering::AcqRel);
    }

    /// Said by the lane: requests are refused until `until_ms`.
    pub fn open(&self, until_ms: u64) {
        self.open_until_ms.swap(until_ms.max(1), Ordering::AcqRel);
    }

    /// True while requests are refused, for the metrics.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open_until_ms.load(Ordering::Relaxed) != 0
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn an_open_gate_lets_one_probe_through_at_a_time() {
        let gate = Gate::new(500);
        assert_eq!(gate.admit(0), Admission::Pass);
        gate.open(1000);
        assert_eq!(gate.admit(400), Admission::Refused { retry_after_ms: 600 });
        assert_eq!(gate.admit(1000), Admission::Probe);
        assert_eq!(gate.admit(1001), Admission::Refused { retry_after_ms: 499 });
        assert_eq!(
            gate.admit(1500),
            Admission::Probe,
            "a probe that got lost does not close the gate for ever"
        );
        gate.close();
        assert_eq!(gate.admit(1501), Admission::Pass);
    }
}

#[cfg(all(test, feature = "loom"))]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn loom_two_shards_never_both_probe() {
        loom::model(|| {
            let gate = Arc::new(Gate::new(500));
            gate.open(1000);
            let other = {
                let gate = gate.clone();
                thread::spawn(move || gate.admit(1000) == Admission::Probe)
            };
            let mine = gate.admit(1000) == Admission::Probe;
            assert!(mine ^ other.join().unwrap(), "exactly one of them probes");
        });
    }

    #[test]
    fn loom_closing_wins_over_a_probe_in_the_same_moment() {
        loom::model(|| {
            let gate = Arc::new(Gate::new(500));
            gate.open(1000);
            let lane = {
                let gate = gate.clone();
                thread::spawn(move || gate.close())
            };
            let admission = gate.admit(1000);
            lane.join().unwrap();
            assert!(matches!(admission, Admission::Pass | Admission::Probe));
            assert!(!gate.is_open(), "a probe never undoes a close");
        });
    }
}
