#!/usr/bin/env bash
# Instructions of the hot path and bytes of a call site, against benches/guard/budget.txt. Where the change is wanted:
# cargo bench --bench guard -- --write
set -euo pipefail

cargo bench --locked --features testing --bench guard
