#!/usr/bin/env bash
# Builds the engine and becomes it: Ctrl-C and SIGTERM go to the engine, which drains.
#
# The release profile, although it takes minutes the first time: what a person tries first should be as fast as
# what they would deploy.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
if [[ ! -x $target/release/millrun ]]; then
    echo "Building the engine with all optimisations; the first time this takes some minutes."
fi
cargo build --release --package millrun --bin millrun
# The tests' own variables are none of the engine's: it refuses those that it does not know.
exec env -u MILLRUN_TOOLS "$target/release/millrun" run "$@"
