#!/usr/bin/env bash
# Compares the HTTP front with a bare handler of net/http under wrk, in turn: for a
# function on a worker and for an inline one, by requests per second and by the
# server's processor time for each request. Then it drives a function into overload.
# Needs wrk; on Debian and as root it installs it if it is missing.
#
#   trigger/faashttp/load.sh [PAIRS [SECONDS]]
#
# The figures hold for one machine and one run; only ratios can be compared between
# machines. On a machine that does other work, trust the ratios of processor time, and
# take many short pairs, for example 12 of 1 second.
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

ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$server/stat"; }
hz=$(getconf CLK_TCK)

run() { # run PATH: requests per second, and microseconds of processor for each
	local before
	before=$(ticks)
	wrk -t2 -c64 -d"${seconds}s" -s "$work/post.lua" "http://$addr$1" >"$work/out"
	! grep -q 'Non-2xx' "$work/out" || { cat "$work/out" >&2; exit 1; }
	awk -v t="$(($(ticks) - before))" -v hz="$hz" '/requests in/ { n = $1 } /^Requests\/sec/ { print $2, t / hz / n * 1e6 }' "$work/out"
}
for path in /bare/more /fn/more /fn/inline; do run $path >/dev/null; done # a first round that is not counted
printf '%12s%10s |%12s%10s%8s%8s |%12s%10s%8s%8s\n' bare/s CPU front/s CPU ratio of-CPU inline/s CPU ratio of-CPU
for _ in $(seq "$pairs"); do
	echo "$(run /bare/more) $(run /fn/more) $(run /fn/inline)" |
		awk '{ printf "%12.0f%7.1f µs |%12.0f%7.1f µs%8.3f%8.3f |%12.0f%7.1f µs%8.3f%8.3f\n", $1, $2, $3, $4, $3/$1, $2/$4, $5, $6, $5/$1, $2/$6 }' |
		tee -a "$work/pairs"
done
range() { # range COLUMN: median, least and most
	awk -v n="$1" '{ print $n }' "$work/pairs" | sort -n | awk '{ r[NR] = $1 } END { printf "%.2f (%.2f–%.2f)", r[int((NR + 1) / 2)], r[1], r[NR] }'
}
printf 'front:  %s of bare by requests, %s by processor time\n' "$(range 8)" "$(range 9)"
printf 'inline: %s of bare by requests, %s by processor time\n\n' "$(range 14)" "$(range 15)"
"$work/front" overload "http://$addr"
