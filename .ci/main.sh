#!/usr/bin/env bash
# The README's first commands, and what they must leave behind.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cargo run --locked --release --example trading_bot -- --dir "$dir/logs"
cargo run --locked --release --bin tacho -- --dir "$dir/logs" cat >"$dir/cat"

logs=("$dir"/logs/*.log)
if grep -lP '\x00' "${logs[@]}"; then
    echo "views have NUL bytes" >&2
    exit 1
fi
lines=$(cat "${logs[@]}" | wc -l)
records=$(wc -l <"$dir/cat")
echo "$lines lines in ${#logs[@]} views, $records records in the journal"
[ "$lines" -gt 1000 ] && [ "$lines" = "$records" ]
