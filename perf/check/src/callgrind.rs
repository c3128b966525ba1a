//! Reads the profiles that `valgrind --tool=callgrind` writes ("Callgrind Format Specification" in valgrind's manual).
//! Pure.

use std::collections::BTreeMap;

/// Where allocations are asked for: mimalloc for Rust, the system's allocator for C. Their internals, which they call
/// in turn, are not counted again.
const ALLOCATORS: [&str; 10] = [
    "mi_malloc",
    "mi_malloc_aligned",
    "mi_zalloc",
    "mi_zalloc_aligned",
    "mi_realloc",
    "mi_realloc_aligned",
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
];

/// What a run cost, over all threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// User instructions.
    pub instructions: u64,
    /// Blocks that were asked for.
    pub allocations: u64,
}

/// Why a profile says nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The run did not end well enough to write it.
    #[error("the callgrind profile has no `totals:` line: was the engine killed?")]
    NoTotals,
    /// Every start of the engine allocates, so a profile without is one whose names have changed.
    #[error(
        "the callgrind profile calls none of {ALLOCATORS:?}: is the binary stripped, or its allocator another?"
    )]
    NoAllocator,
}

impl Profile {
    /// Reads a profile that begins with the process's start.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let (instructions, allocations) = sums(text);
        Ok(Self {
            instructions: instructions.ok_or(ProfileError::NoTotals)?,
            allocations: allocations.ok_or(ProfileError::NoAllocator)?,
        })
    }

    /// Reads a later part of one: nothing needs to be allocated in it.
    pub fn parse_part(text: &str) -> Result<Self, ProfileError> {
        let (instructions, allocations) = sums(text);
        Ok(Self {
            instructions: instructions.ok_or(ProfileError::NoTotals)?,
            allocations: allocations.unwrap_or(0),
        })
    }
}

/// Instructions and allocations, where the profile has any.
fn sums(text: &str) -> (Option<u64>, Option<u64>) {
    let mut names = BTreeMap::new();
    let (mut instructions, mut allocations, mut callee) = (None, None, "");
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("cfn=") {
            callee = resolve(name, &mut names);
        } else if let Some(name) = line.strip_prefix("fn=") {
            resolve(name, &mut names);
        } else if let Some(call) = line.strip_prefix("calls=") {
            if ALLOCATORS.contains(&callee) {
                *allocations.get_or_insert(0) += leading_number(call);
            }
        } else if let Some(totals) = line.strip_prefix("totals: ") {
            instructions = Some(leading_number(totals));
        }
    }
    (instructions, allocations)
}

/// A function's name, which the format writes in full only where it comes first: `(12) malloc`, later `(12)`.
fn resolve<'a>(text: &'a str, names: &mut BTreeMap<&'a str, &'a str>) -> &'a str {
    let (id, name) = text.split_once(' ').unwrap_or((text, ""));
    if name.is_empty() { names.get(id).copied().unwrap_or(id) } else { names.entry(id).or_insert(name) }
}

fn leading_number(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
version: 1
events: Ir
summary: 90

fn=(1) main
16 5
cfn=(2) mi_malloc_aligned
calls=3 20
16 30
cfn=(3) work
calls=1 30
16 40

fn=(2)
20 10
cfn=(4) _mi_malloc_generic
calls=2 40
20 10

fn=(3)
cfn=(2)
calls=4 20
30 40
totals: 95
";

    #[test]
    fn calls_of_allocators_are_summed_and_their_internals_are_not() {
        assert_eq!(Profile::parse(PROFILE).unwrap(), Profile { instructions: 95, allocations: 7 });
    }

    #[test]
    fn a_profile_that_can_not_tell_is_refused() {
        let cut = PROFILE.split("totals").next().unwrap();
        assert!(matches!(Profile::parse(cut), Err(ProfileError::NoTotals)));
        let renamed = PROFILE.replace("mi_malloc_aligned", "new_malloc");
        assert!(matches!(Profile::parse(&renamed), Err(ProfileError::NoAllocator)));
    }
}
