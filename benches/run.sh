#!/usr/bin/env bash
# Measures everything that stands in BENCHMARKS.md, and puts it there: tables, budget, plots. About a quarter of an hour on two
# idle cores. The figures stay in target/bench/*.json.
#
#   benches/run.sh                      # everything; a soak of 10 s
#   SOAK_SECONDS=600 benches/run.sh     # with the long soak
#   benches/run.sh peers report         # some steps only
#
# Steps: build guard latency pipeline parts peers archive size scale soak report. Peers are fetched from crates.io; one of them
# needs a nightly toolchain and is left out where there is none.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
peers="$CARGO_TARGET_DIR/peers"
nightly="$CARGO_TARGET_DIR/peers-nightly"
bench() { cargo bench --locked --features testing --bench "$@"; }

build() {
    cargo bench --locked --features testing --no-run
    cargo build --locked --release --example trading_bot
    cargo build --locked --release --manifest-path benches/peers/Cargo.toml --target-dir "$peers"
    if ! cargo +nightly build --locked --release --manifest-path benches/peers/Cargo.toml --target-dir "$nightly" --no-default-features --features nightly; then
        echo "SKIPPED: zerolog-rs, which needs a nightly toolchain" >&2
        rm -f "$nightly/release/tachograph-peers"
    fi
}

peers() {
    local also=()
    [ ! -x "$nightly/release/tachograph-peers" ] || also=(--also "$nightly/release/tachograph-peers")
    "$peers/release/tachograph-peers" --rounds "${ROUNDS:-5}" --out "$CARGO_TARGET_DIR/bench" "${also[@]}"
}

size() {
    local logs
    logs=$(mktemp -d)
    "$CARGO_TARGET_DIR/release/examples/trading_bot" --repeat 280 --dir "$logs/logs" >/dev/null
    bench size -- "$logs/logs"
    rm -rf "$logs"
}

steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=(build guard latency pipeline parts peers archive size scale soak report)
for step in "${steps[@]}"; do
    echo "=== $step" >&2
    begin=$SECONDS
    case $step in
        build | peers | size) "$step" ;;
        scale) bench scale -- --sites ;;
        soak) bench soak -- --seconds "${SOAK_SECONDS:-10}" ;;
        report) bench report -- --write ;;
        guard) bench guard || echo "the guard is above its budget; see above" >&2 ;;
        *) bench "$step" ;;
    esac
    echo "=== $step: $((SECONDS - begin)) s" >&2
done
