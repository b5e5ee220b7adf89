#!/usr/bin/env bash
# Calls the tools of trigger/faasmcp with a client of another project: the TypeScript
# SDK of MCP, from npm by package-lock.json. If Node.js or npm is absent, it is
# installed on Debian as root; otherwise that is an error.
#
#   trigger/faasmcp/clients/run.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

need() { # need PACKAGE...
	[[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || { echo "missing: $*" >&2; exit 1; }
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	need nodejs npm
fi

work=$(mktemp -d)
server=
cleanup() {
	[[ -z $server ]] || kill "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

cp package.json package-lock.json client.mjs "$work"
(cd "$work" && npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error >/dev/null)
GOWORK=off go -C .. build -o "$work/server" ./clients/server
"$work/server" -http 127.0.0.1:0 2>"$work/log" &
server=$!
for _ in $(seq 100); do
	url=$(sed -n 's/^listening on //p' "$work/log")
	[[ -z $url ]] || break
	kill -0 "$server" || { cat "$work/log" >&2; exit 1; }
	sleep 0.1
done
[[ -n $url ]] || { echo 'the server does not listen' >&2; exit 1; }

(cd "$work" && timeout 120 node client.mjs "$work/server" "$url")
kill -TERM "$server"
wait "$server"
server=
echo "ok: @modelcontextprotocol/sdk $(sed -n 's/.*"@modelcontextprotocol\/sdk": "\(.*\)".*/\1/p' package.json), node $(node --version)"
