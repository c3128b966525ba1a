//! Which shard a hash key belongs to.
//!
//! The open shards of a stream part the hash keys, 0 to 2^128 - 1, without gap or overlap. A shard's range never
//! changes: a split or a merge closes shards and opens others. So a map can be incomplete, but not wrong.
//!
//! ```text
//!   0                                                          2^128 - 1
//!   ├── shard 2 ──┼────────── shard 0 ─────────┼──── shard 3 ────┤
//! ```

use std::collections::HashMap;
use std::sync::Arc;

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its id, `shardId-…`.
    pub id: Arc<str>,
    /// Its smallest hash key.
    pub first: u128,
    /// Its largest hash key.
    pub last: u128,
}

impl Shard {
    /// True when the shard takes this hash key.
    #[must_use]
    pub fn takes(&self, hash_key: u128) -> bool {
        (self.first..=self.last).contains(&hash_key)
    }
}

/// The shards don't part the hash keys: the list was read in the middle of a reshard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the open shards leave a gap or overlap at hash key {0}")]
pub struct Incomplete(u128);

/// The open shards, in the order of their hash keys, and what is remembered of closed ones.
#[derive(Clone, Debug, Default)]
pub struct ShardMap {
    open: Vec<Shard>,
    /// Every shard that was ever seen, by id: an answer may come from one that has been closed since.
    seen: HashMap<Arc<str>, Shard>,
    known: bool,
}

impl ShardMap {
    /// A map of a stream of which nothing is known: one nameless shard takes everything.
    #[must_use]
    pub fn unknown() -> Self {
        let all = Shard { id: "".into(), first: 0, last: u128::MAX };
        Self { open: vec![all], seen: HashMap::new(), known: false }
    }

    /// The map of these open shards, which remembers the ones of `earlier`.
    ///
    /// # Errors
    /// [`Incomplete`] when they don't part the hash keys.
    pub fn of(mut open: Vec<Shard>, earlier: &Self) -> Result<Self, Incomplete> {
        open.sort_unstable_by_key(|shard| shard.first);
        let mut next = Some(0);
        for shard in &open {
            if next != Some(shard.first) || shard.last < shard.first {
                return Err(Incomplete(next.unwrap_or(u128::MAX)));
            }
            next = shard.last.checked_add(1);
        }
        if let Some(gap) = next {
            return Err(Incomplete(gap));
        }
        let mut seen = earlier.seen.clone();
        seen.extend(open.iter().map(|shard| (Arc::clone(&shard.id), shard.clone())));
        Ok(Self { open, seen, known: true })
    }

    /// False for the map of [`Self::unknown`].
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// The open shards.
    #[must_use]
    pub fn open(&self) -> &[Shard] {
        &self.open
    }

    /// Index among [`Self::open`] of the shard that takes this hash key.
    #[must_use]
    pub fn find(&self, hash_key: u128) -> usize {
        self.open.partition_point(|shard| shard.first <= hash_key).saturating_sub(1)
    }

    /// A shard by its id, open or closed.
    #[must_use]
    pub fn seen(&self, id: &str) -> Option<&Shard> {
        self.seen.get(id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shard(id: &str, first: u128, last: u128) -> Shard {
        Shard { id: id.into(), first, last }
    }

    const MIDDLE: u128 = 1 << 127;

    #[test]
    fn a_gap_an_overlap_and_an_empty_list_are_refused() {
        let unknown = ShardMap::unknown();
        for open in [
            vec![],
            vec![shard("a", 1, u128::MAX)],
            vec![shard("a", 0, 10)],
            vec![shard("a", 0, MIDDLE), shard("b", MIDDLE, u128::MAX)],
            vec![shard("a", 0, 5), shard("b", 7, u128::MAX)],
            vec![shard("a", 0, u128::MAX), shard("b", 0, u128::MAX)],
        ] {
            assert!(ShardMap::of(open.clone(), &unknown).is_err(), "{open:?}");
        }
    }

    #[test]
    fn closed_shards_are_remembered() {
        let first = ShardMap::of(vec![shard("a", 0, u128::MAX)], &ShardMap::unknown()).unwrap();
        let split = vec![shard("c", MIDDLE, u128::MAX), shard("b", 0, MIDDLE - 1)];
        let second = ShardMap::of(split, &first).unwrap();
        assert_eq!(second.open().len(), 2);
        assert_eq!(second.find(MIDDLE), 1);
        assert!(second.seen("a").unwrap().takes(MIDDLE));
        assert!(!second.seen("c").unwrap().takes(MIDDLE - 1));
        assert!(second.seen("d").is_none());
    }

    #[test]
    fn the_unknown_map_takes_everything_and_knows_no_name() {
        let unknown = ShardMap::unknown();
        assert!(!unknown.is_known() && unknown.seen("").is_none());
        assert_eq!((unknown.find(0), unknown.find(u128::MAX)), (0, 0));
    }

    proptest! {
        #[test]
        fn every_hash_key_has_exactly_one_shard(
            mut cuts in prop::collection::btree_set(1..u128::MAX, 0..20), key in any::<u128>()
        ) {
            cuts.insert(0);
            let firsts: Vec<u128> = cuts.into_iter().collect();
            let mut open: Vec<Shard> = firsts.iter().enumerate().map(|(number, &first)| {
                let last = firsts.get(number + 1).map_or(u128::MAX, |next| next - 1);
                shard(&number.to_string(), first, last)
            }).collect();
            open.reverse();
            let map = ShardMap::of(open, &ShardMap::unknown()).unwrap();
            let taking: Vec<usize> = (0..map.open().len()).filter(|&index| map.open()[index].takes(key)).collect();
            prop_assert_eq!(taking, vec![map.find(key)]);
        }
    }
}
