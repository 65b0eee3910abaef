#!/usr/bin/env bash
# Sets up everything that the tests need and runs all of them: `scripts/test.sh` (arguments go to `cargo test`).
# With CROSSFADE_REQUIRE_ENGINES=1 a database server that is missing is a failure instead of a loud message.
set -euo pipefail
cd "$(dirname "$0")/.."

# Properties are tried on the same values each time: what fails here failed because of what changed. To look for more, call
# `PROPTEST_CASES=200000 cargo test --lib` (or another target), which draws anew.
export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-20}

scripts/setup-servers.sh
cargo fmt --check
cargo check --quiet --no-default-features
cargo clippy --quiet --all-targets -- -D warnings
cargo test "$@"
