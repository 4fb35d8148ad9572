#!/usr/bin/env bash
# What the other steps need besides a Rust toolchain. Where it cannot be installed, they say what they skip.
set -euo pipefail

missing=()
declare -A package=([cc]=gcc [mkfs.ext4]=e2fsprogs [rsyslogd]=rsyslog [promtool]=prometheus [systemd-analyze]=systemd)
for tool in strace gzip cc mkfs.ext4 lnav rsyslogd promtool tmux valgrind systemd-analyze nats-server openssl; do
    command -v "$tool" >/dev/null || missing+=("${package[$tool]:-$tool}")
done
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "${missing[@]}"
    else
        echo "MISSING, and not to be installed here: ${missing[*]}" >&2
    fi
fi
# A receiver of OTLP for the tests of `tacho ship`.
rotel="${CARGO_TARGET_DIR:-target}/tools/rotel"
[ -x "$rotel/rotel/rotel-agent" ] || python3 -m pip install -q --no-deps --target "$rotel" rotel==0.0.1a15 \
    || echo "MISSING, and not to be installed here: rotel" >&2
rustup component add rustfmt clippy 2>/dev/null || true
rustc --version
cargo --version
