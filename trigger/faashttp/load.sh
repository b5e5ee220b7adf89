#!/usr/bin/env bash
# Compares the HTTP front with a bare handler of net/http under wrk, in turn, for
# a function on a worker and one that is inline, and drives a function into overload. Needs wrk; installs it where it is
# absent, this is Debian and we are root.
#
#   trigger/faashttp/load.sh [PAIRS [SECONDS]]
#
# Figures belong to one machine and one run; only ratios travel.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
pairs=${1:-5} seconds=${2:-5}

if ! command -v wrk >/dev/null; then
	[[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || { echo 'missing: wrk' >&2; exit 1; }
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq wrk >/dev/null
fi

work=$(mktemp -d)
server=
cleanup() {
	[[ -z $server ]] || kill "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
cat >"$work/post.lua" <<'LUA'
wrk.method = "POST"
wrk.body = '{"name":"tea","count":3,"tags":["green","loose","organic"]}'
wrk.headers["Content-Type"] = "application/json"
LUA
GOWORK=off go -C bench build -o "$work/front" ./cmd/front
addr=127.0.0.1:${PORT:-9137}
"$work/front" serve "$addr" &
server=$!
for _ in $(seq 100); do
	(exec 3<>"/dev/tcp/${addr%:*}/${addr#*:}") 2>/dev/null && break
	sleep 0.1
done

rate() { # rate PATH: requests per second
	wrk -t2 -c64 -d"${seconds}s" -s "$work/post.lua" "http://$addr$1" >"$work/out"
	! grep -q 'Non-2xx' "$work/out" || { cat "$work/out" >&2; exit 1; }
	sed -n 's/^Requests\/sec: *//p' "$work/out"
}
for path in /bare /fn/more /fn/inline; do rate $path >/dev/null; done # once before it counts
printf '%12s %12s %8s %12s %8s\n' 'bare, req/s' 'front, req/s' ratio inline ratio
for _ in $(seq "$pairs"); do
	b=$(rate /bare)
	f=$(rate /fn/more)
	i=$(rate /fn/inline)
	awk -v b="$b" -v f="$f" -v i="$i" 'BEGIN { printf "%12.0f %12.0f %8.3f %12.0f %8.3f\n", b, f, f / b, i, i / b }' | tee -a "$work/pairs"
done
median() { awk -v n="$1" '{ print $n }' "$work/pairs" | sort -n | awk '{ r[NR] = $1 } END { print r[int((NR + 1) / 2)] }'; }
printf 'median ratios: front %s, inline %s\n\n' "$(median 3)" "$(median 5)"
"$work/front" overload "http://$addr"
