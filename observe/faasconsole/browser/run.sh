#!/usr/bin/env bash
# Walks through the console of examples/shop, and of the host in stage, with Debian's chromium. If chromium or Node.js is
# absent, it is installed on Debian as root; otherwise that is an error.
#
#   observe/faasconsole/browser/run.sh               the walks and checks
#   observe/faasconsole/browser/run.sh pictures DIR  only takes pictures, into DIR
#   observe/faasconsole/browser/run.sh budget [MIN]  measures against the budgets, and memory for MIN minutes (30)
#   observe/faasconsole/browser/run.sh memory [MIN] [BYTES]  measures memory only; BYTES of each call are leaked, which it has to find
set -euo pipefail
from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

need() { # need PACKAGE...
	[[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || { echo "missing: $*" >&2; exit 1; }
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}
absent=()
command -v node >/dev/null && command -v npm >/dev/null || absent+=(nodejs npm)
command -v chromium >/dev/null || absent+=(chromium)
[[ ${1:-} != pictures || $(fc-list Inter 2>/dev/null) ]] || absent+=(fonts-inter)
((${#absent[@]} == 0)) || need "${absent[@]}"

work=$(mktemp -d)
cleanup() { rm -rf "$work"; }
trap cleanup EXIT

cp package.json package-lock.json *.mjs ../static/js/rows.js "$work"
(cd "$work" && npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error >/dev/null)
go -C ../../../examples build -o "$work/shop" ./shop
go -C .. build -o "$work/stage" ./browser/stage
go -C .. build -o "$work/load" ./browser/load
run() { (cd "$work" && timeout "$1" node "$2.mjs" "$work" "${@:3}"); }
case ${1:-walk} in
walk)
	run 900 walk
	run 300 tabs
	run 120 budget
	;;
budget) run 10800 budget nightly "${2:-30}" ;;
memory) run 10800 budget memory "${2:-30}" "${3:-0}" ;;
*) dir=$(cd "$from" && mkdir -p "$2" && cd "$2" && pwd) && run 900 "$1" "$dir" ;; # DIR may be relative to where this was started
esac
