#!/usr/bin/env bash
# The publication protocols (docs/verification.md), in every order that the memory model allows.
set -euo pipefail
: "${CARGO_TARGET_DIR:=$PWD/target}"

# Other flags make another build of everything; a directory of its own keeps both.
RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="$CARGO_TARGET_DIR/loom" cargo test --locked --lib --release models
