#!/usr/bin/env bash
# What the other steps need besides a Rust toolchain. Where it cannot be installed, they say what they skip.
set -euo pipefail

missing=()
declare -A package=([cc]=gcc [mkfs.ext4]=e2fsprogs [rsyslogd]=rsyslog [promtool]=prometheus [systemd-analyze]=systemd)
for tool in strace gzip cc mkfs.ext4 lnav rsyslogd promtool tmux valgrind systemd-analyze; do
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
rustup component add rustfmt clippy 2>/dev/null || true
rustc --version
cargo --version
