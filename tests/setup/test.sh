#!/usr/bin/env bash
# Runs the named groups of tests one after another, all of them even when one fails, and closes with one line:
#
#   N passed, N failed, N skipped
#
# A group is a log file; `tally.awk` counts its tests. A runner that ends badly without naming a failed test (a
# build error, a crash) counts as one failure, so that nothing can end well by not running.
set -uo pipefail
cd "$(dirname "$0")/../.."

export CARGO_TERM_COLOR=never
target=${CARGO_TARGET_DIR:-target}
logs=$target/test-logs
mkdir -p "$logs"

passed=0 failed=0 skipped=0

# count NAME EXIT_CODE: adds what the log of NAME says to the sums.
count() {
    local p f s
    read -r p f s < <(awk -v count_filtered="${count_filtered:-0}" -f tests/setup/tally.awk "$logs/$1.log")
    if [[ $2 -ne 0 && $f -eq 0 ]]; then
        echo "-- $1 ended with exit code $2" >&2
        f=1
    fi
    if [[ $((p + f + s)) -eq 0 ]]; then
        echo "-- $1 ran no test at all" >&2
        f=1
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

# tests NAME COMMAND...: a runner that prints `test result:` lines.
tests() {
    local name=$1 code
    shift
    echo "== $name: $*"
    "$@" 2>&1 | tee "$logs/$name.log"
    code=${PIPESTATUS[0]}
    count "$name" "$code"
}

# check NAME COMMAND...: a command that passes or fails as a whole.
check() {
    local name=$1
    shift
    echo "== $name: $*"
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

fmt() { check fmt cargo fmt --all --check; }

lint() { check lint cargo clippy --workspace --all-targets --quiet -- -D warnings; }

# Everything in one build with one set of features: the units, the end-to-end tests and the binary they start.
build() { cargo build --workspace --all-targets --quiet; }

unit() {
    check build build
    tests unit cargo test --workspace --exclude millrun-tests --exclude millrun-image-tests --no-fail-fast
    tests support cargo test --package millrun-tests --lib --no-fail-fast
}

# Loom's atomics replace ours by a feature of the package, in tests whose names begin with `loom_`.
loom() {
    LOOM_MAX_PREEMPTIONS=${LOOM_MAX_PREEMPTIONS:-3} \
        tests loom cargo test --package millrun --lib --features loom --no-fail-fast loom_
}

# The tests come in two variants, one for each I/O driver. Where the kernel forbids io_uring those variants fail,
# loudly, unless MILLRUN_TEST_NO_IO_URING=1 says that this is known: then they count as skipped.
e2e() {
    check build-e2e build
    local filter=()
    if [[ ${MILLRUN_TEST_NO_IO_URING:-} == 1 ]]; then filter=(-- --skip on_io_uring); fi
    count_filtered=1 tests e2e cargo test --package millrun-tests --test '*' --no-fail-fast "${filter[@]}"
}

fuzz-seeds() { tests fuzz-seeds tests/setup/fuzz-seeds.sh; }

# The release binary, since that is what is deployed. Counts, not times: see perf/README.md.
perf() {
    check build-perf cargo build --release --package millrun --bin millrun --quiet
    tests perf cargo run --package perf-check --quiet -- --binary "$target/release/millrun"
}

# The release binary in its container image. Where containers can't be run these fail, one by one.
image() {
    check build-image-engine cargo build --release --package millrun --bin millrun --quiet
    local storage
    storage=$(realpath --canonicalize-missing "$target/image")
    check build-image env MILLRUN_TEST_IMAGE_STORAGE="$storage" tests/setup/image.sh build "$target/release/millrun"
    MILLRUN_TEST_IMAGE_STORAGE=$storage tests image cargo test --package millrun-image-tests --no-fail-fast
}

# The templates for AWS: their tests need no account. What the engine is told there, it is asked about.
deploy() {
    check build-deploy cargo build --package millrun --bin millrun --quiet
    MILLRUN_BIN=$target/debug/millrun tests deploy npm --prefix deploy/cdk --silent test
}

for group in "$@"; do
    case "$group" in
        fmt | lint | unit | loom | e2e | fuzz-seeds | perf | image | deploy) "$group" ;;
        *) echo "test.sh: no group is named '$group'" >&2; exit 2 ;;
    esac
done

echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed -eq 0 ]]
