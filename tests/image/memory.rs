//! A limit of memory: the sum that is made at the start keeps to it, or the engine does not start and shows the sum.

use support::load::{Load, LoadOptions};

use super::container::{Container, Options, Seccomp};

/// Enough for everything that is fixed with two shards, and not for as many connections as are configured.
const TIGHT_BYTES: u64 = 300 << 20;

#[test]
fn the_sum_keeps_to_the_limit_and_so_does_the_engine() {
    let container = Container::start(&Options::new(Seccomp::Ours).memory_bytes(TIGHT_BYTES));
    let lowered = container.logged("limits.connections_max = 65536 is lowered to");
    assert!(
        lowered["message"]
            .as_str()
            .unwrap()
            .ends_with(&format!("the cgroup's memory limit is {TIGHT_BYTES} bytes")),
        "{lowered}"
    );
    let line = container.logged("memory: at most ");
    let sum = line["message"].as_str().unwrap().split(' ').nth(3).unwrap().parse::<u64>().unwrap();
    assert!(sum <= TIGHT_BYTES, "{sum}");

    let load = LoadOptions { connections: 16, events_max: 3000, ..LoadOptions::default() };
    let ledger = Load::start(container.address(), load).finish();
    assert_eq!(ledger.stored(), 3000, "{}", ledger.summary());
    assert_eq!(container.stop(), 0, "and the kernel had nothing against it");
}

#[test]
fn a_limit_that_is_too_low_is_refused_with_the_arithmetic() {
    const LOW_BYTES: u64 = 128 << 20;
    let output = Container::run(&Options::new(Seccomp::Default).memory_bytes(LOW_BYTES));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains(&format!("but the cgroup's memory limit allows {LOW_BYTES}")), "{errors}");
    let (_, rest) = errors.split_once("the configuration needs ").unwrap_or_else(|| panic!("{errors}"));
    let needed: u64 = rest.split(' ').next().unwrap().parse().unwrap();
    assert!(needed > LOW_BYTES, "{errors}");
    // The addends, a line each, and then the 64 connections without which it would be of no use.
    let addends: Vec<u64> = errors
        .lines()
        .filter_map(|line| line.strip_prefix("   ")?.split_whitespace().next()?.parse().ok())
        .collect();
    assert!(addends.len() >= 4, "{errors}");
    assert_eq!(addends.iter().sum::<u64>() + 64 * (4096 + 3072), needed, "{errors}");
}
