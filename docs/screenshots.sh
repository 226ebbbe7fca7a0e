#!/bin/sh
# Takes the pictures of the documentation from a running `kurs demo`.
# Needs Chromium, tmux, Python and Node.js (`apt-get install chromium tmux python3 nodejs npm`) and a
# built kurs; run it in the repository:
#   docs/screenshots.sh [path of kurs] [browser | charts | watch | page]
set -eu

kurs=${1:-target/release/kurs}
only=${2:-}
docs=$(dirname "$0")
images=$docs/images
address=127.0.0.1:${KURS_SCREENSHOTS_PORT:-18089}
scratch=$(mktemp -d)
"$kurs" demo --http-addr "$address" --log-level ERROR 2> "$scratch/said" &
server=$!
terminal() {
    tmux -S "$scratch/tmux" "$@"
}
trap 'terminal kill-server 2>/dev/null || true; kill "$server" 2>/dev/null || true; rm -rf "$scratch"' EXIT
export KURS_SERVER="http://$address"

# Tries a command for a while.
patiently() {
    tries=0
    until "$@" 2>/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -gt 900 ]; then
            echo "in vain: $*" >&2
            exit 1
        fi
        sleep 0.2
    done
}
wanted() {
    [ -z "$only" ] || [ "$only" = "$1" ]
}
has_seconds() {
    [ "$("$kurs" candles BTC-USD --interval 1s --limit "$1" --plain | wc -l)" -ge "$1" ]
}

patiently "$kurs" health --quiet
mkdir -p "$images"

if wanted browser; then
    chromium --headless --no-sandbox --disable-gpu --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --user-data-dir="$scratch" --hide-scrollbars --window-size=1100,1000 \
        --virtual-time-budget=5000 \
        --screenshot="$scratch/api-browser.png" "http://$address/docs"
    mv "$scratch/api-browser.png" "$images/api-browser.png"
    echo "wrote $images/api-browser.png"
fi

if wanted charts; then
    patiently has_seconds 90
    "$kurs" candles BTC-USD --interval 1s --limit 90 --chart "$images/chart-light.png"
    "$kurs" candles BTC-USD --interval 1s --limit 90 --chart "$images/chart-dark.png" --theme dark
    "$kurs" candles ETH-RUB --interval 1s --limit 90 --chart "$images/chart-line.svg" --line
fi

if wanted watch; then
    export LC_ALL=C.UTF-8
    terminal -f /dev/null -u new-session -d -s watch -x 148 -y 21 "$kurs" watch
    patiently has_seconds 60
    terminal capture-pane -e -p -t watch | python3 "$docs/terminal-picture.py" > "$scratch/watch.svg"
    mv "$scratch/watch.svg" "$images/watch.svg"
    echo "wrote $images/watch.svg"
fi

if wanted page; then
    # The scripts beside their packages, outside of the repository.
    cp "$docs"/../crates/kurs-web/e2e/* "$scratch"
    (cd "$scratch" && npm ci --silent)
    patiently has_seconds 60
    control=$(sed -n 's/^faults on demand: POST \(.*\)\/faults$/\1/p' "$scratch/said")
    node "$scratch/shots.mjs" "$images" "http://$address" "$control"
fi
