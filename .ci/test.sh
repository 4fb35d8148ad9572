#!/usr/bin/env bash
# The tests as the README runs them, with the corpora of the fuzz targets among them. All of them are run, also after
# one failed: the list of failures is worth more than the minutes.
set -euo pipefail

# The same cases each time: a change is judged by what it changes. Exploring is done apart, see docs/verification.md.
export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-1}"

cargo test --locked --workspace --no-fail-fast

# What features add, in one build.
cargo test --locked --no-fail-fast --features rust_decimal,log,tracing,nats,zstd \
    --test trading --test facades --test ship --test zstd
# The documents of the facades, and the guide to migrating, are examples that compile.
cargo test --locked --features log,tracing --doc
