#!/usr/bin/env bash
# Replays every fuzz target's seeds, and whatever it once found, without fuzzing: each file is one test.
#
# The targets are ordinary programs of libFuzzer: given files, they run each once, with no need of a nightly
# compiler. Prints a `test result:` line for the tally.
set -uo pipefail
cd "$(dirname "$0")/../.."

fuzz=tests/fuzz
if [[ ! -e $fuzz/Cargo.toml ]]; then
    echo "no fuzz targets in $fuzz"
    echo "test result: ok. 0 passed; 0 failed; 1 ignored"
    exit 0
fi

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
cargo build --manifest-path $fuzz/Cargo.toml --bins --quiet || exit 1

passed=0 failed=0
for source in "$fuzz"/fuzz_targets/*.rs; do
    name=$(basename "$source" .rs)
    seeds=("$fuzz/corpus/$name"/seed-*)
    if [[ ! -e ${seeds[0]} ]]; then
        echo "$name has no seeds in $fuzz/corpus/$name"
        failed=$((failed + 1))
        continue
    fi
    for seed in "${seeds[@]}"; do
        if "$CARGO_TARGET_DIR/debug/$name" "$seed" >"$CARGO_TARGET_DIR/$name.log" 2>&1; then
            passed=$((passed + 1))
        else
            cat "$CARGO_TARGET_DIR/$name.log"
            echo "$name fails on $seed"
            failed=$((failed + 1))
        fi
    done
    echo "$name: ${#seeds[@]} seeds"
done

if [[ $failed -gt 0 ]]; then verdict=FAILED; else verdict=ok; fi
echo "test result: $verdict. $passed passed; $failed failed; 0 ignored"
[[ $failed -eq 0 ]]
