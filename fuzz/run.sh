#!/bin/bash
# Builds the fuzz targets and runs each for so many seconds, as many at once as there are processors. A finding is kept in
# fuzz/artifacts/TARGET and makes this fail. Seeds are made anew; what fuzzing adds to them stays in fuzz/corpus.
# usage: fuzz/run.sh SECONDS [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=$1
shift
skipped() {
    echo "SKIPPED fuzz: $*" >&2
    exit 0
}

rustup toolchain list 2>/dev/null | grep -q '^nightly' || skipped "no nightly Rust (rustup toolchain install nightly)"
fuzz=$(command -v cargo-fuzz || echo target/tools/bin/cargo-fuzz)
if [ ! -x "$fuzz" ]; then
    cargo install cargo-fuzz --locked --quiet --root target/tools || skipped "cargo-fuzz cannot be installed"
fi
PATH=$(dirname "$fuzz"):$PATH
if [ $# -gt 0 ]; then
    targets=("$@")
else
    mapfile -t targets < <(sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"/\1/p' fuzz/Cargo.toml)
fi

cargo +nightly fuzz build --target-dir target/fuzz
fuzz/seeds.py fuzz/corpus
mkdir -p target/fuzz/logs

one() { # TARGET
    local target=$1 log=target/fuzz/logs/$1.log
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    # The memory: that of AddressSanitizer's bookkeeping, mostly. An input that takes 20 seconds is a finding.
    if target/fuzz/x86_64-unknown-linux-gnu/release/"$target" "fuzz/corpus/$target" \
        -artifact_prefix="fuzz/artifacts/$target/" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 \
        -max_len=20000 -print_final_stats=1 >"$log" 2>&1; then
        echo "fuzz $target: no finding, $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $seconds s"
    else
        echo "fuzz $target: a finding"
        tail -n 40 "$log"
        return 1
    fi
}
export -f one
export seconds
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'one {}'
