#!/usr/bin/env bash
# Each fuzz target, and the canary, which must be caught.
#
# Without a variable set this does the same each time: so many runs from one seed (FUZZ_SEED, default 1) over the committed
# corpus alone, so that a change which touches none of it does not fail by a discovery. To explore, FUZZ_SECONDS=600 runs
# each target for that long, from another seed each time unless FUZZ_SEED is set, and keeps what it learns in
# $CARGO_TARGET_DIR/fuzz-found; what it finds there is reduced and committed to fuzz/corpus. FUZZ_TARGETS names some targets.
set -euo pipefail
: "${CARGO_TARGET_DIR:=$PWD/target}"

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "SKIPPED: fuzzing needs a nightly toolchain (rustup toolchain install nightly --profile minimal)" >&2
    exit 0
fi
tools="$CARGO_TARGET_DIR/tools"
export PATH="$tools/bin:$PATH"
command -v cargo-fuzz >/dev/null || CARGO_TARGET_DIR="$tools/build" cargo install --locked --root "$tools" cargo-fuzz

# Runs that take 10 to 20 s each where nothing else runs.
declare -A runs=([format_spec]=200000 [record_decode]=100000 [segment_scan]=8000 [segment_pack]=5000 [segment_recover]=2500 [rotation]=3500
    [view_cursor]=50000 [control_page]=1500 [simulator]=300)
found="$CARGO_TARGET_DIR/fuzz-found"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
run() {
    # New inputs go to the first directory, which is not the committed corpus.
    learned="$found/$1/corpus"
    [ -n "${FUZZ_SECONDS:-}" ] || learned="$fresh/$1"
    mkdir -p "$learned" "$found/$1/artifacts"
    CARGO_TARGET_DIR="$CARGO_TARGET_DIR/fuzz" cargo +nightly fuzz run --fuzz-dir fuzz "$1" \
        "$learned" "fuzz/corpus/$1" -- \
        -artifact_prefix="$found/$1/artifacts/" -rss_limit_mb=1024 -timeout=60 "${@:2}"
}

echo "--- canary, which must fail"
mkdir -p "$found"
if run canary -seed=1 -max_total_time=60 >"$found-canary.log" 2>&1; then
    echo "the fuzzer did not find the canary, so it finds nothing" >&2
    exit 1
fi
if ! grep -q "the canary sings" "$found-canary.log"; then
    tail -n 40 "$found-canary.log" >&2
    exit 1
fi
for target in ${FUZZ_TARGETS:-format_spec record_decode segment_scan segment_pack segment_recover rotation view_cursor control_page simulator}; do
    if [ -n "${FUZZ_SECONDS:-}" ]; then
        # 0 is libFuzzer's word for any seed.
        echo "--- $target, $FUZZ_SECONDS s"
        much=(-seed="${FUZZ_SEED:-0}" -max_total_time="$FUZZ_SECONDS")
    else
        echo "--- $target, ${runs[$target]} runs"
        much=(-seed="${FUZZ_SEED:-1}" -runs="${runs[$target]}")
    fi
    run "$target" "${much[@]}" -max_len=4096 2>&1 | tail -n 3
done
