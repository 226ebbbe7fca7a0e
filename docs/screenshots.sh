#!/bin/sh
# Takes the pictures of the documentation from a running `kurs demo`.
# Needs Chromium (`apt-get install chromium`) and a built kurs; run it in the repository:
#   docs/screenshots.sh [path of kurs]
set -eu

kurs=${1:-target/release/kurs}
images=$(dirname "$0")/images
address=127.0.0.1:18089
scratch=$(mktemp -d)
"$kurs" demo --http-addr "$address" --log-level ERROR &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$scratch"' EXIT

tries=0
until "$kurs" health --quiet --server "http://$address" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 50 ]; then
        echo "kurs demo did not become ready on $address" >&2
        exit 1
    fi
    sleep 0.2
done

mkdir -p "$images"
chromium --headless --no-sandbox --disable-gpu --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync \
    --user-data-dir="$scratch" --hide-scrollbars --window-size=1100,1000 \
    --virtual-time-budget=5000 \
    --screenshot="$scratch/api-browser.png" "http://$address/docs"
mv "$scratch/api-browser.png" "$images/api-browser.png"
echo "wrote $images/api-browser.png"
