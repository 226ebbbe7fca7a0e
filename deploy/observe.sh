#!/bin/sh
# Prometheus on the files of this folder, for a kurs on this machine: sh deploy/observe.sh [PORT]
# Needs the package prometheus of Debian. Data lies in a temporary folder that goes with it.
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
port="${1:-9090}"
data="$(mktemp -d)"
trap 'rm -rf "$data"' EXIT
echo "Prometheus: http://127.0.0.1:$port/alerts   (kurs: http://127.0.0.1:8080)" >&2
prometheus --config.file="$here/prometheus/prometheus.yml" --storage.tsdb.path="$data" \
    --web.listen-address="127.0.0.1:$port" --log.level=warn
