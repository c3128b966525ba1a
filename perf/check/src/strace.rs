//! Reads the summary that `strace -c` writes. Pure.
//!
//! ```text
//! % time     seconds  usecs/call     calls    errors syscall
//! ------ ----------- ----------- --------- --------- ----------------
//!  60.00    0.001200           1      1000       100 recvfrom
//! ------ ----------- ----------- --------- --------- ----------------
//! 100.00    0.002000           1      1500       100 total
//! ```

use std::collections::BTreeMap;

/// Calls by name of the system call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    by_name: BTreeMap<String, u64>,
}

impl Calls {
    /// Reads a summary; `None` while it is not complete.
    pub fn parse(text: &str) -> Option<Self> {
        let mut by_name = BTreeMap::new();
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let [percent, _, _, calls, .., name] = words[..] else { continue };
            if percent.parse::<f64>().is_err() {
                continue;
            }
            let calls = calls.parse().ok()?;
            if name == "total" {
                return Some(Self { by_name });
            }
            by_name.insert(name.to_owned(), calls);
        }
        None
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.by_name.values().sum()
    }

    /// Those of one name.
    pub fn of(&self, name: &str) -> u64 {
        self.by_name.get(name).copied().unwrap_or(0)
    }

    /// The names, with how many more of each `other` has, most first.
    pub fn grown(&self, other: &Self) -> Vec<(String, u64)> {
        let more = |(name, calls): (&String, &u64)| (name.clone(), calls.saturating_sub(self.of(name)));
        let mut grown: Vec<_> = other.by_name.iter().map(more).filter(|(_, more)| *more > 0).collect();
        grown.sort_by_key(|(_, more)| std::cmp::Reverse(*more));
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.001200           1      1000       100 recvfrom
 40.00    0.000800           1       500           futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.002000           1      1500       100 total
";

    #[test]
    fn calls_are_read_with_and_without_errors() {
        let calls = Calls::parse(SUMMARY).unwrap();
        assert_eq!(
            (calls.total(), calls.of("recvfrom"), calls.of("futex"), calls.of("read")),
            (1500, 1000, 500, 0)
        );
        assert_eq!(
            Calls::default().grown(&calls),
            [("recvfrom".to_owned(), 1000), ("futex".to_owned(), 500)]
        );
    }

    #[test]
    fn half_a_summary_is_none() {
        assert_eq!(Calls::parse(SUMMARY.split("100.00").next().unwrap()), None);
        assert_eq!(Calls::parse(""), None);
    }
}
