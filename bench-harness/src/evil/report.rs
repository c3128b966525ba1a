//! The result of `bench-harness evil`, as JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conduct::Conduct;
use super::resources::Resources;
use super::verdict::Verdict;
use crate::host::Host;
use crate::result::LoadResult;

/// The version this code writes.
pub const VERSION: u32 = 1;

/// Attacks on one target, one after another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvilResult {
    /// [`VERSION`].
    pub version: u32,
    /// `bench-harness` and its version.
    pub tool: String,
    /// The exact command line.
    pub command: Vec<String>,
    /// When it began: RFC 3339, UTC.
    pub started_at: String,
    /// The machine it ran on.
    pub host: Host,
    /// The target's URL.
    pub target: String,
    /// Attackers at once.
    pub attackers: u32,
    /// In the order in which they were run.
    pub attacks: Vec<AttackResult>,
}

/// One attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttackResult {
    /// Its name.
    pub attack: String,
    /// What its clients do.
    pub description: String,
    /// What the well-behaved noticed.
    pub verdict: Verdict,
    /// p50 during the attack, as a multiple of that before.
    pub p50_ratio: f64,
    /// p99 during the attack, as a multiple of that before.
    pub p99_ratio: f64,
    /// Well-behaved requests that were due and were not answered 2xx, before.
    pub failed_before: u64,
    /// During.
    pub failed_during: u64,
    /// After.
    pub failed_after: u64,
    /// What the target did to the attackers, by variant of the attack.
    pub conduct: Vec<Conduct>,
    /// CPU time of the attackers' thread as a share of the attack's length, 0 to 1.
    pub attackers_busy_share: f64,
    /// 99 % of the turns of the attackers' thread through all that was due took no longer, in µs: the times until the
    /// target cut a connection are known no better than that.
    pub attackers_turn_us_p99: u64,
    /// What the target used, when its process was given.
    pub resources: Option<Resources>,
    /// What a reader must know to judge the numbers.
    pub notes: Vec<String>,
    /// The well-behaved load alone, in full.
    pub before: LoadResult,
    /// Beside the attack.
    pub during: LoadResult,
    /// From when the attack ended, half as long.
    pub after: LoadResult,
}

impl EvilResult {
    /// Whether well-behaved requests failed in any of the attacks.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.attacks.iter().any(|attack| attack.verdict.is_failure())
    }
}
