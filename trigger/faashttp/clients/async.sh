#!/usr/bin/env bash
# Makes calls of examples/server later, with curl: Prefer: respond-async, and what the Location says.
#
#   async.sh http://127.0.0.1:9000
set -euo pipefail
url=${1:?the URL of a running server}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

fail() { printf 'async: %s\n' "$*" >&2; exit 1; }

# later NAME BODY: makes a call later; sets $at to the URL of its job
later() {
	curl -sS -m 20 -o /dev/null -D "$out" -H 'Prefer: respond-async' -d "$2" "$url/fn/$1"
	grep -q '^HTTP/1.1 202 ' "$out" || fail "$1: $(<"$out")"
	grep -qi '^preference-applied: respond-async' "$out" || fail "$1: the preference is not applied: $(<"$out")"
	at=$url$(sed -n 's/^[Ll]ocation: \(.*[^[:space:]]\)[[:space:]]*$/\1/p' "$out")
}

# ends PATTERN: waits until the job's document has that pattern
ends() {
	for _ in $(seq 100); do
		body=$(curl -sS -m 20 "$at")
		# shellcheck disable=SC2053 # the right side is a pattern
		[[ $body != $1 ]] || return 0
		sleep 0.1
	done
	fail "got $body, want $1"
}

status() { curl -sS -m 20 -o /dev/null -w '%{http_code}' "$@"; }

later echo '{"a": 1}'
ends '*"state":"Succeeded","condition":"Success"*"result":{"a":1}}'
[[ $(status -X DELETE "$at") == 409 ]] || fail 'a job that has ended is canceled'
[[ $(status "${at%?}x") == 404 ]] || fail 'another id'
[[ $(status "${at/echo/slow}") == 404 ]] || fail 'at another function'
later fail '1'
ends '*"state":"Dead","condition":"RetriesExhausted"*"attempts":3*"problem":{*"status":500*"reason":"failed"*'
[[ $body != *boom* ]] || fail "the error of the handler is told: $body"
later slow '"no number"'
ends '*"state":"Dead","condition":"Invalid"*"attempts":0*"status":400*"reason":"input"*'
later slow '900'
[[ $(status -X DELETE "$at") == 204 ]] || fail 'it is not canceled'
ends '*"state":"Canceled"*'
[[ $(status -H 'Prefer: wait=10, handling=lenient' -d 1 "$url/fn/echo") == 200 ]] || fail 'another preference makes a job'
[[ $(status -H 'Prefer: respond-async' -d '{"From": 1}' "$url/fn/countdown") == 200 ]] || fail 'a stream is a job'
[[ $(status -H 'Prefer: respond-async' -d 1 "$url/fn/nobody") == 404 ]] || fail 'an unknown function has jobs'
