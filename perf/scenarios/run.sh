#!/usr/bin/env bash
# Records scenarios: perf/scenarios/run.sh NAME… (all of them without a name). Each goes to perf/runs/<date>-<name>/ with
# the command, the raw JSON and the pages; the reading of it is written by hand. Needs release builds of millrun,
# bench-harness and bare, and nginx; the kafka ones start a broker from .tools/kafka. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
harness=$root/target/release/bench-harness
work=$(mktemp -d)
broker=
finish() {
    if [ -n "$broker" ]; then kill "$broker" && wait "$broker" || true; fi
    rm -rf "$work"
}
trap finish EXIT

# record NAME COMMAND…: runs it in this directory with OUT set to where its results go.
record() {
    OUT=$root/perf/runs/$(date -u +%F)-$1
    mkdir -p "$OUT"
    echo "== $1"
    shift
    {
        echo "# millrun $(git -C "$root" rev-parse --short HEAD), in perf/scenarios:"
        printf '%q ' "${@//$OUT/OUT}" | sed "s#$root/##g"
        echo
    } >>"$OUT/command"
    "$@" 2>"$OUT/progress" | tee "$OUT/table" || { cat "$OUT/progress"; return 1; }
    rm -f "$OUT/progress"
}

# pair NAME A B OPTIONS…
pair() {
    local name=$1 a=$2 b=$3
    shift 3
    OUT=$root/perf/runs/$(date -u +%F)-$name
    rm -rf "$OUT"
    mkdir -p "$OUT"
    record "$name" "$harness" compare "target-$a.toml" "target-$b.toml" "$@" --json "$OUT/result.json"
    sed -i "s#$root/##g; s#perf/scenarios/../../##g" "$OUT/result.json" "$OUT/table"
    gzip -9n "$OUT/result.json"
}

# A live load of 2,000 requests/s by itself, and beside 10,000 connections that have nearly nothing to say.
idle() {
    OUT=$root/perf/runs/$(date -u +%F)-idle
    rm -rf "$OUT"
    mkdir -p "$OUT"
    echo "== idle"
    MILLRUN_LIMITS__CONNECTIONS_MAX=12000 taskset -c 0 "$root/target/release/millrun" --config null.toml &
    local engine=$! url=http://127.0.0.1:18088/collect
    until curl -sf -o /dev/null http://127.0.0.1:18088/health; do sleep 0.05; done
    rss() { awk -v what="$1" '/VmRSS/ { print what, $2, "KiB resident" }' "/proc/$engine/status" | tee -a "$OUT/table"; }
    live() { "$harness" load --target $url --rate 2000 --connections 64 --seconds 10 --cpus 1 --json "$OUT/$1.json"; }
    echo "# millrun $(git -C "$root" rev-parse --short HEAD): run.sh idle" >"$OUT/command"
    live alone
    rss "64 connections:"
    "$harness" load --target $url --steps 1500,50,50,50,50 --connections 10000 --seconds 50 --cpus 1 --json "$OUT/idle.json" &
    local idle=$!
    sleep 20
    live beside
    rss "10,064 connections:"
    wait $idle
    kill $engine && wait $engine || true
    sed -i "s#$root/##g" "$OUT"/*.json
    gzip -9n "$OUT"/*.json
}

start_broker() {
    [ -z "$broker" ] || return 0
    cat >"$work/broker.properties" <<P
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:19093
listeners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093
advertised.listeners=PLAINTEXT://127.0.0.1:19092
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$work/broker
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
P
    java -cp "$root/.tools/kafka/*" kafka.tools.StorageTool format -t millrun-perf-runs-00001 \
        -c "$work/broker.properties" >"$work/format.log" 2>&1
    taskset -c 1 java -Xmx1g -cp "$root/.tools/kafka/*" kafka.Kafka "$work/broker.properties" >"$work/broker.log" 2>&1 &
    broker=$!
    for _ in $(seq 100); do
        # Producing to it makes it: the broker's default.
        if echo first | kcat -P -b 127.0.0.1:19092 -t perf >"$work/topic.log" 2>&1; then return 0; fi
        sleep 0.2
    done
    cat "$work/broker.log" "$work/topic.log"
    return 1
}

closed=(--closed --rounds 6 --seconds 3)
scenario() {
    case $1 in
    bare) pair bare bare null "${closed[@]}" ;;
    nginx) pair nginx nginx null "${closed[@]}" ;;
    drivers) pair drivers null-epoll null "${closed[@]}" ;;
    idle) idle ;;
    shards) pair shards shards-1 shards-2 "${closed[@]}" --threads 2 --cpus 0,1 --connections 128 ;;
    kafka-64) start_broker && pair kafka-64 nginx kafka "${closed[@]}" --connections 64 ;;
    kafka-256) start_broker && pair kafka-256 nginx kafka "${closed[@]}" --connections 256 ;;
    kafka-1000 | kafka-5000 | kafka-10000)
        start_broker && pair "$1" null kafka --rate "${1#kafka-}" --rounds 5 --seconds 5
        ;;
    *) echo "run.sh: no scenario $1" >&2 && exit 2 ;;
    esac
}
[ $# -gt 0 ] || set -- bare nginx drivers shards idle kafka-64 kafka-256 kafka-1000 kafka-5000 kafka-10000
for name in "$@"; do scenario "$name"; done
