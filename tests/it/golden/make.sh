#!/bin/bash
# Makes the golden data directories of a feature level: make.sh WEIR GUESTS LEVEL
#
# WEIR is a weir whose newest level is LEVEL, built with the feature weir/kill-points; GUESTS is where `cargo xtask guests`
# has put the operators. What it writes is never written again once the level was released: the tests open it for ever.
set -euo pipefail
weir=$(realpath "$1"); guests=$(realpath "$2"); level=$3
here=$(cd "$(dirname "$0")" && pwd); to=$here/level-$level
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir -p "$to"
export RUST_LOG=warn

pack() { # of a job: what a host leaves, without what it may lose
    rm -rf "$work/$1"/data/{compiled,reading,incoming,LOCK} "$work/$1"/data/pipelines/*/live
    # `weir run` keeps its components anew; they lie beside the pipeline file.
    [ -e "$work/$1/data/control.sqlite" ] || rm -rf "$work/$1/data/components"
    tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner -cf "$to/$1.tar" "$1"
}

dies() { # where the point says so, and nowhere else
    local code=0
    WEIR_KILL_AT=$1 "$weir" run pipeline.toml --data-dir data || code=$?
    [ $code = 137 ] || { echo "expected it to die at $1, it ended with $code"; exit 1; }
}

# A pipeline without state that died between a decision and what follows it: the decided files are not published yet.
mkdir "$work/stateless"; cd "$work/stateless"; cp "$guests/prefix.wasm" .
cat > pipeline.toml <<'TOML'
name = "stateless"
parallelism = 2
checkpoint = { interval = "200ms", timeout = "20s" }
[source.made]
kind = "generator"
rate = 1000
count = 2000
partitions = 2
[operator.prefix]
input = "made"
component = "prefix.wasm"
[sink.files]
kind = "files"
input = "prefix"
directory = "files"
TOML
dies after_commit:4
pack stateless

# Counts and windows of event time, their timers pending, and an archive of a savepoint that was made on the way. The
# input is what the test makes too (upgrades.rs, `lines`): each line is a function of its number.
mkdir "$work/keyed"; cd "$work/keyed"; cp "$guests"/{count_by_key,tumbling_sum}.wasm .
cat > pipeline.toml <<'TOML'
name = "keyed"
parallelism = 2
checkpoint = { interval = "200ms", timeout = "20s" }
[source.lines]
kind = "files"
path = "/proc/self/cwd/input.jsonl"   # a file is known by its path as given: this one is the same wherever the test unpacks it
watermarks = "monotonous"
[operator.count]
input = "lines"
component = "count_by_key.wasm"
limits = { batch_rows_max = 1 }     # slow, so that three lives have something to do
[operator.sums]
input = "lines"
component = "tumbling_sum.wasm"
config = { window_ms = 1000 }
[sink.counted]
kind = "blackhole"
input = "count"
[sink.files]
kind = "files"
input = ["sums.sums", "sums.late"]
directory = "files"
TOML
awk 'BEGIN { for (n = 0; n < 300000; n++)
    printf "{\"key\":\"key-%d\",\"value\":\"%d\",\"timestamp\":%.0f}\n", n % 7, n, 1700000000000 + n }' > input.jsonl
dies after_commit:2
"$weir" savepoint create keyed --name before --data-dir data
"$weir" savepoint export keyed before --to before.tar --data-dir data
"$weir" savepoint delete keyed before --data-dir data
rm input.jsonl
pack keyed

# A server with a pipeline that is to run, killed.
mkdir "$work/served"; cd "$work/served"
"$weir" serve --listen 127.0.0.1:0 --data-dir data > serve.out 2> serve.log & server=$!
until grep -q 'listening on' serve.out; do kill -0 $server; sleep 0.1; done
export WEIR_SERVER=http://$(sed -n 's#^listening on \(http://\)\{0,1\}##p' serve.out) WEIR_TOKEN_FILE=data/admin.token
"$weir" operator push --name count-by-key "$guests/count_by_key.wasm"
cat > pipeline.toml <<'TOML'
name = "served"
checkpoint = { interval = "200ms", timeout = "20s" }
[source.made]
kind = "generator"
rate = 500
keys = 20
[operator.count]
input = "made"
component = "count-by-key@1"
[sink.out]
kind = "files"
input = "count"
directory = "served"
TOML
"$weir" apply pipeline.toml
until ls data/files/served/*.jsonl > /dev/null 2>&1; do kill -0 $server; sleep 0.1; done
kill -9 $server; wait $server || true
rm pipeline.toml serve.out serve.log
pack served
ls -l "$to"
