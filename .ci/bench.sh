#!/usr/bin/env bash
# Every benchmark once, to see that it runs and that what it measures is right; no figure is looked at.
set -euo pipefail

cargo bench --locked --features testing,log,tracing,nats --bench latency --bench pipeline --bench parts --bench archive \
    --bench scale --bench soak --bench report --bench trace --bench facades --bench ship -- --test
