#!/usr/bin/env bash
# The tests as the README runs them, with the corpora of the fuzz targets among them. All of them are run, also after
# one failed: the list of failures is worth more than the minutes.
set -euo pipefail

cargo test --locked --workspace --no-fail-fast

# What a feature adds.
cargo test --locked --features rust_decimal --test trading
cargo test --locked --features log,tracing --test facades
# The documents of the facades, and the guide to migrating, are examples that compile.
cargo test --locked --features log,tracing --doc
