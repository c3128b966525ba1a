#!/usr/bin/env bash
# Installs what runs the instruction benchmarks under valgrind, once: gungraun's runner, into $MILLRUN_TOOLS (default:
# .tools at the repository's root). It has to be of the very version of the library that the benchmarks are built with.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=${MILLRUN_TOOLS:-$PWD/.tools}
wanted=$(awk '/^name = "gungraun"$/ { getline; gsub(/[^0-9.]/, ""); print }' Cargo.lock)
if [[ -z $wanted ]]; then
    echo "perf.sh: Cargo.lock names no gungraun" >&2
    exit 1
fi
if [[ "$("$tools/bin/gungraun-runner" --version 2>/dev/null)" == *" $wanted" ]]; then
    exit 0
fi
cargo install gungraun-runner --version "=$wanted" --root "$tools" --locked --force --quiet
