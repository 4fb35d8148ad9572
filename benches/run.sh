#!/usr/bin/env bash
# Measures everything that stands in BENCHMARKS.md, and puts it there: tables, budget, plots. About a quarter of an hour on two
# idle cores. The figures stay in target/bench/*.json.
#
#   benches/run.sh                      # everything; a soak of 10 s
#   SOAK_SECONDS=600 benches/run.sh     # with the long soak
#   benches/run.sh build                # builds everything, so that the next takes a quarter of an hour
#   benches/run.sh measure              # everything but building
#   benches/run.sh peers report         # some steps only
#   ROUNDS=1 benches/run.sh             # one round instead of five, to try it
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
    cargo bench --locked --features testing --no-run &&
        cargo build --locked --release --example trading_bot &&
        cargo build --release --manifest-path benches/peers/Cargo.toml --target-dir "$peers" || return
    if ! cargo +nightly build --release --manifest-path benches/peers/Cargo.toml --target-dir "$nightly" --no-default-features --features nightly; then
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
    "$CARGO_TARGET_DIR/release/examples/trading_bot" --repeat 440 --dir "$logs/logs" >/dev/null &&
        bench size -- "$logs/logs"
    local status=$?
    rm -rf "$logs"
    return $status
}

measure=(guard latency pipeline parts peers archive size scale soak report)
steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=(build "${measure[@]}")
[ "${steps[*]}" != measure ] || steps=("${measure[@]}")
one() {
    case $1 in
        build | peers | size) "$1" ;;
        scale) bench scale -- --sites ;;
        soak) bench soak -- --seconds "${SOAK_SECONDS:-10}" ;;
        report) bench report -- --write ;;
        *) bench "$1" ;;
    esac
}

# One that fails keeps the others' figures, and its own from before.
failed=()
for step in "${steps[@]}"; do
    echo "=== $step" >&2
    begin=$SECONDS
    one "$step" || failed+=("$step")
    echo "=== $step: $((SECONDS - begin)) s" >&2
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
