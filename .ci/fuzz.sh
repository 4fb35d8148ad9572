#!/usr/bin/env bash
# Each fuzz target for FUZZ_SECONDS (default 20), and the canary, which must be caught.
set -euo pipefail
: "${CARGO_TARGET_DIR:=$PWD/target}"

seconds="${FUZZ_SECONDS:-20}"
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "SKIPPED: fuzzing needs a nightly toolchain (rustup toolchain install nightly --profile minimal)" >&2
    exit 0
fi
tools="$CARGO_TARGET_DIR/tools"
export PATH="$tools/bin:$PATH"
command -v cargo-fuzz >/dev/null || CARGO_TARGET_DIR="$tools/build" cargo install --locked --root "$tools" cargo-fuzz

found="$CARGO_TARGET_DIR/fuzz-found"
run() {
    # New inputs go to the first directory, which is not the committed corpus.
    mkdir -p "$found/$1/corpus" "$found/$1/artifacts"
    CARGO_TARGET_DIR="$CARGO_TARGET_DIR/fuzz" cargo +nightly fuzz run --fuzz-dir fuzz "$1" \
        "$found/$1/corpus" "fuzz/corpus/$1" -- \
        -artifact_prefix="$found/$1/artifacts/" -rss_limit_mb=1024 -timeout=10 "${@:2}"
}

echo "--- canary, which must fail"
if run canary -max_total_time=60 >"$found-canary.log" 2>&1; then
    echo "the fuzzer did not find the canary, so it finds nothing" >&2
    exit 1
fi
if ! grep -q "the canary sings" "$found-canary.log"; then
    tail -n 40 "$found-canary.log" >&2
    exit 1
fi
for target in format_spec record_decode segment_scan segment_pack segment_recover rotation view_cursor control_page simulator; do
    echo "--- $target, $seconds s"
    run "$target" -max_total_time="$seconds" -max_len=4096 2>&1 | tail -n 3
done
