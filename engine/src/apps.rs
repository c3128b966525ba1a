//! Which apps a route takes events of, changed while it serves.
//!
//! ```text
//!   main thread, on SIGHUP ──▶ LiveApps ──▶ each shard's own copy, looked at ten times a second ──▶ every request
//! ```
//!
//! A request is judged by its shard's copy: no lock, nothing shared. So a change is in force on every shard a tenth of a second
//! later.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Settings;
use crate::protocol::query::Parameters;

/// Longest id of an app, in bytes.
pub const APP_ID_BYTES_MAX: usize = 256;

/// The apps of one route. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppIds(Box<[Box<[u8]>]>);

impl AppIds {
    /// From the configuration.
    #[must_use]
    pub fn new(ids: &[String]) -> Self {
        let mut ids: Vec<Box<[u8]>> = ids.iter().map(|id| id.as_bytes().into()).collect();
        ids.sort_unstable();
        Self(ids.into())
    }

    /// Whether an event with this query is taken: by its `appId`, read and decoded as for its record.
    #[must_use]
    pub fn takes(&self, query: Option<&[u8]>) -> bool {
        self.0.is_empty() || query.is_some_and(|query| self.has(query))
    }

    fn has(&self, query: &[u8]) -> bool {
        let Some(id) = Parameters::parse(query).app_id else { return false };
        let mut decoded = [0; APP_ID_BYTES_MAX];
        let mut len = 0;
        for byte in id.bytes() {
            let Some(place) = decoded.get_mut(len) else { return false };
            *place = byte;
            len += 1;
        }
        self.0.binary_search_by(|known| (**known).cmp(&decoded[..len])).is_ok()
    }
}

/// The apps of every route, in the order of the configuration.
pub type Table = Arc<[AppIds]>;

/// What the apps of every route are now.
#[derive(Debug)]
pub struct LiveApps {
    /// How often they were changed.
    changes: AtomicU64,
    table: Mutex<Table>,
}

impl LiveApps {
    /// As the configuration has them.
    #[must_use]
    pub fn new(settings: &Settings) -> Arc<Self> {
        Arc::new(Self { changes: AtomicU64::new(0), table: Mutex::new(table(settings)) })
    }

    /// Other settings with the same routes are in force from now on.
    pub fn replace(&self, settings: &Settings) {
        *self.table.lock().unwrap_or_else(PoisonError::into_inner) = table(settings);
        // Behind the table: who sees the new number finds the new table, or a newer one.
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// What is in force, if it was changed since `seen`, which then is up to date.
    pub fn changed(&self, seen: &mut u64) -> Option<Table> {
        let changes = self.changes.load(Ordering::Acquire);
        (std::mem::replace(seen, changes) != changes).then(|| self.table())
    }

    /// What is in force.
    pub fn table(&self) -> Table {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn table(settings: &Settings) -> Table {
    settings.routes.iter().map(|route| AppIds::new(&route.app_ids)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_known_as_its_record_would_name_it() {
        let apps = AppIds::new(&["web".to_owned(), "phone".to_owned(), "a b".to_owned()]);
        for (query, taken) in [
            (&b"appId=web"[..], true),
            (b"x=1&appId=phone&y=", true),
            (b"appId=%77eb", true),
            (b"appId=a+b", true),
            (b"appId=web&appId=other", false),
            (b"appId=other&appId=web", true),
            (b"appId=we", false),
            (b"appId=webb", false),
            (b"appid=web", false),
            (b"appId=", false),
            (b"appId", false),
            (b"", false),
        ] {
            assert_eq!(apps.takes(Some(query)), taken, "{}", String::from_utf8_lossy(query));
        }
        assert!(!apps.takes(None));
        let long = [b"appId=", &[b'a'; 1000][..]].concat();
        assert!(!apps.takes(Some(&long)));
        assert!(AppIds::default().takes(None) && AppIds::default().takes(Some(b"appId=any")));
    }
}
