//! What the admin plane knows.

use std::sync::{Arc, Mutex};

use crate::observe::{Metrics, PhaseCell};

/// Everything that the admin plane answers from.
#[derive(Debug)]
pub struct State {
    /// All counters.
    pub metrics: Arc<Metrics>,
    /// Where the process is in its life; the main thread advances it.
    pub phase: Arc<PhaseCell>,
    /// The effective configuration as TOML, replaced when it is read again. Whoever makes it hides the secrets: it is
    /// shown as it is.
    pub config: Arc<Mutex<String>>,
    /// URL that takes a first event, such as `http://127.0.0.1:8088/collect`, for the live page; empty: none.
    pub event_url: String,
}

impl State {
    /// The state of the process whose phase is `phase`.
    #[must_use]
    pub fn new(
        metrics: Arc<Metrics>,
        phase: Arc<PhaseCell>,
        config: Arc<Mutex<String>>,
        event_url: String,
    ) -> Arc<Self> {
        Arc::new(Self { metrics, phase, config, event_url })
    }
}
