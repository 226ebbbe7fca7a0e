#!/usr/bin/env bash
# A kurs on many machines, each machine a network namespace of this one: venues, PostgreSQL, NATS,
# two Writers, three Readers. Then things break, and the script shows what a Reader serves.
#
#   sudo examples/cluster/namespaces.sh target/release/kurs
#
# Needs root, iproute2, PostgreSQL, nats-server, curl. Everything lives in namespaces of its own and
# is gone when the script ends; nothing outside of them is touched.
set -euo pipefail
set +m

kurs="$(realpath "${1:-target/release/kurs}")"
if [[ "${INSIDE_NAMESPACES:-}" != yes ]]; then
    exec env INSIDE_NAMESPACES=yes unshare --net --mount --pid --fork --kill-child "$0" "$kurs"
fi

work="$(mktemp -d)"
trap 'kill $(jobs -p) 2> /dev/null || true; rm -rf "$work"' EXIT
chmod 755 "$work"
mount -t tmpfs none /run
mkdir -p /run/netns
mount -t proc none /proc

# --- machines ------------------------------------------------------------------------------------
ip link add br0 type bridge
ip link set br0 up
ip addr add 10.77.0.254/24 dev br0
machine() { # name, last number of its address
    ip netns add "$1"
    ip link add "$1" type veth peer name eth0 netns "$1"
    ip link set "$1" master br0 up
    ip -n "$1" addr add "10.77.0.$2/24" dev eth0
    ip -n "$1" link set eth0 up
    ip -n "$1" link set lo up
}
on() { # machine, command...
    local name="$1"
    shift
    ip netns exec "$name" "$@"
}
# The same in the background: the process of the command itself, so that it can be killed.
server_on() {
    local name="$1"
    shift
    exec ip netns exec "$name" "$@"
}
machine venues 10; machine store 11; machine broker 12
machine writer-1 21; machine writer-2 22
machine reader-1 31; machine reader-2 32; machine reader-3 33

# --- servers -------------------------------------------------------------------------------------
server_on venues "$kurs" sim --addr 10.77.0.10:9100 > "$work/venues.env" 2> "$work/sim.log" &

programs="$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)"
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; }
install -d -o postgres "$work/pg"
as_postgres "$programs/initdb" --no-sync --no-instructions --auth=trust -D "$work/pg/data" > "$work/initdb.log"
echo "host all all 10.77.0.0/24 trust" >> "$work/pg/data/pg_hba.conf"
start_store() {
    server_on store setpriv --reuid=postgres --regid=postgres --init-groups -- \
        "$programs/postgres" -D "$work/pg/data" -h 10.77.0.11 -k "$work/pg" >> "$work/postgres.log" 2>&1 &
    store=$!
}
start_store
start_broker() {
    server_on broker nats-server -js -a 10.77.0.12 -sd "$work/nats" >> "$work/nats.log" 2>&1 &
    broker=$!
}
start_broker
until grep -q CBR "$work/venues.env" 2> /dev/null; do sleep 0.1; done
until on store "$programs/pg_isready" -q -h 10.77.0.11; do sleep 0.1; done

export KURS_STORE__URL="postgres://postgres@10.77.0.11/postgres?sslmode=disable"
export KURS_BUS__URL="nats://10.77.0.12:4222"
export KURS_LOG__FORMAT=text
set -a
# shellcheck disable=SC1091
. "$work/venues.env"
set +a

# --- kurs ----------------------------------------------------------------------------------------
(cd "$work" && on writer-1 "$kurs" migrate > "$work/migrate.log" 2>&1) || { cat "$work/migrate.log"; exit 1; }
declare -A pids
start() { # machine, role, last number of its address
    mkdir -p "$work/$1"
    cd "$work/$1"
    KURS_WRITER__NAME="$1" KURS_HTTP__ADDR="10.77.0.$3:8080" \
        server_on "$1" "$kurs" serve --role "$2" >> "$work/$1.log" 2>&1 &
    pids[$1]=$!
    cd - > /dev/null
}
start writer-1 writer 21
start reader-1 reader 31; start reader-2 reader 32; start reader-3 reader 33

# --- what is seen --------------------------------------------------------------------------------
rate() { # number of the Reader: value, state, epoch-seq
    curl -s -m 2 "http://10.77.0.3$1:8080/api/v1/rates/BTC/USDT?allow_stale=true" |
        sed -n 's/.*"value":"\([^"]*\)".*"state":"\([a-z]*\)".*"epoch":\([0-9]*\),"seq":\([0-9]*\).*/\1 \2 \3-\4/p'
}
lease() {
    as_postgres psql -h "$work/pg" -At -c \
        "SELECT writer || ' epoch ' || epoch FROM lease WHERE shard = 0"
}
now_ms() { date +%s%3N; }
show() {
    printf '  %-22s %s\n' "lease" "$(lease 2> /dev/null || echo 'the store is away')"
    for reader in 1 2 3; do
        printf '  %-22s %s\n' "reader-$reader" "$(rate $reader || true)"
    done
}
fresh() { [[ "$(rate "$1" || true)" == *" fresh "* ]]; }
all_fresh() { fresh 1 && fresh 2 && fresh 3; }
watch_fresh() { # seconds: counts looks that find a rate that is not fresh
    local end=$((SECONDS + $1)) looks=0 stale=0
    while ((SECONDS < end)); do
        for reader in 1 2 3; do
            looks=$((looks + 1))
            fresh $reader || stale=$((stale + 1))
        done
        sleep 0.1
    done
    echo "  $looks looks, $stale not fresh"
}
say() { printf '\n%s\n' "$*"; }

until all_fresh; do sleep 0.2; done
start writer-2 writer 22
until as_postgres psql -h "$work/pg" -At -c "SELECT 1 FROM writers WHERE name = 'writer-2' AND is_ready" | grep -q 1; do sleep 0.2; done
say "Two Writers, three Readers, each on a machine of its own."
show

say "1. The Writer's machine dies: kill -9 of writer-1."
began=$(now_ms)
kill -9 "${pids[writer-1]}" 2> /dev/null || true
until [[ "$(rate 1)" == *" fresh 2-"* ]]; do sleep 0.02; done
echo "  writer-2 publishes after $(($(now_ms) - began)) ms"
show
start writer-1 writer 21

say "2. reader-2 is cut off from everything but its clients for 10 s."
ip -n reader-2 route add blackhole 10.77.0.11/32
ip -n reader-2 route add blackhole 10.77.0.12/32
sleep 10
show
ip -n reader-2 route del blackhole 10.77.0.11/32
ip -n reader-2 route del blackhole 10.77.0.12/32
began=$(now_ms)
until fresh 2; do sleep 0.02; done
echo "  healed: fresh again after $(($(now_ms) - began)) ms"

say "3. The broker dies for 10 s."
kill -9 "$broker"
watch_fresh 10
show
start_broker
began=$(now_ms)
until grep -q "the bus is heard again" "$work/reader-1.log"; do sleep 0.05; done
echo "  the flow is back after $(($(now_ms) - began)) ms"

say "4. PostgreSQL dies for 10 s."
kill -QUIT "$store"
watch_fresh 10
show
start_store
until on store "$programs/pg_isready" -q -h 10.77.0.11; do sleep 0.1; done
sleep 4
show

say "5. 200 ms of delay and 5 % loss between the Writer that leads and the broker."
leader="$(lease | cut -d' ' -f1)"
if ip netns exec "$leader" tc qdisc add dev eth0 root netem delay 200ms loss 5% 2> /dev/null; then
    watch_fresh 10
    show
    ip netns exec "$leader" tc qdisc del dev eth0 root
else
    echo "  this kernel has no netem: left out"
fi

say "6. The Writer that leads ends in order."
began=$(now_ms)
epoch="$(lease | grep -o '[0-9]*$')"
kill -TERM "${pids[$leader]}" 2> /dev/null || true
until [[ "$(lease)" == *" epoch $((epoch + 1))" ]] && all_fresh; do sleep 0.02; done
echo "  the other one leads after $(($(now_ms) - began)) ms"
show
