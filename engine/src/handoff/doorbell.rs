//! Wakes a sleeper at most once for any number of things that were put down for it.
//!
//! ```text
//!  ringer                               sleeper
//!  1  put the thing down                4  woken by the byte
//!  2  rung: false → true ?              5  answer(): rung → false
//!  3  yes: send one byte                6  pick up everything that lies there
//! ```
//!
//! Nothing is left lying: a ringer that finds `rung` already true put its thing down before step 5 of the turn
//! that is still to come (both touch `rung` by read-modify-write, so 1 happens before 6); one that comes after
//! step 5 finds it false and sends a byte of its own. It is the order 5 before 6 that makes this true.

#[cfg(feature = "loom")]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(feature = "loom"))]
use std::sync::atomic::{AtomicBool, Ordering};

/// The flag of the protocol above. What the byte is and where it goes is the caller's.
#[derive(Debug)]
pub struct Doorbell {
    rung: AtomicBool,
}

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
    }
}

impl Doorbell {
    /// A doorbell that nobody has rung.
    #[must_use]
    pub fn new() -> Self {
        Self { rung: AtomicBool::new(false) }
    }

    /// Says that something was put down. True: the caller has to send the byte.
    #[must_use = "true means that the sleeper must be sent its byte"]
    pub fn ring(&self) -> bool {
        !self.rung.swap(true, Ordering::AcqRel)
    }

    /// The sleeper is awake and is about to pick up. Call it before looking.
    pub fn answer(&self) {
        // A swap and not a store: it has to read what the last ringer wrote to be ordered behind it.
        self.rung.swap(false, Ordering::AcqRel);
    }
}

#[cfg(all(test, feature = "loom"))]
mod tests {
    use super::*;
    use loom::sync::atomic::AtomicUsize;
    use loom::sync::{Arc, mpsc};
    use loom::thread;

    /// Two ringers, three things: the sleeper gets all of them or loom reports a deadlock.
    #[test]
    fn loom_no_ring_is_lost() {
        loom::model(|| {
            let bell = Arc::new(Doorbell::new());
            let (wire, shard_end) = mpsc::channel();
            // Relaxed on purpose: the bell alone has to order the things before the pick-up.
            let things = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)]);
            let ringers: Vec<_> = [vec![0], vec![1, 2]]
                .into_iter()
                .map(|mine| {
                    let (bell, wire, things) = (bell.clone(), wire.clone(), things.clone());
                    thread::spawn(move || {
                        for index in mine {
                            things[index].store(1, Ordering::Relaxed);
                            if bell.ring() {
                                wire.send(()).unwrap();
                            }
                        }
                    })
                })
                .collect();
            let mut picked_up = 0;
            while picked_up < 3 {
                shard_end.recv().unwrap();
                bell.answer();
                picked_up = things.iter().map(|thing| thing.load(Ordering::Relaxed)).sum();
            }
            for ringer in ringers {
                ringer.join().unwrap();
            }
        });
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_ring_of_a_turn_sends_a_byte() {
        let bell = Doorbell::new();
        assert!(bell.ring());
        assert!(!bell.ring());
        bell.answer();
        assert!(bell.ring());
    }
}
