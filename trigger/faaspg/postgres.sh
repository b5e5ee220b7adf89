#!/usr/bin/env bash
# A PostgreSQL server for the tests of this module, which start it themselves:
#
#   postgres.sh DIR
#
# DIR gets the data and the socket; the server listens on no port. When it takes
# connections this prints "ready". A line "kill" on the standard input kills the server
# as kill -9 does, and starts it again: "ready" is printed once more. At the end of the
# input the server is ended and DIR removed: so it does not outlive the tests.
#
# PostgreSQL is that of Debian. If it is absent it is installed, as root; otherwise that
# is an error. It refuses to run as root, and runs as postgres then.
set -euo pipefail
dir=$1

programs() { # programs: where initdb and pg_ctl are
	local at
	for at in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) "$(dirname "$(command -v initdb || echo /none/initdb)")"; do
		[[ ! -x $at/initdb || ! -x $at/pg_ctl ]] || { echo "$at"; return; }
	done
}

as=()
if [[ $(id -u) == 0 ]]; then
	if [[ -z $(programs) ]]; then
		command -v apt-get >/dev/null || { echo 'missing: postgresql' >&2; exit 1; }
		apt-get update -qq >&2
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >&2
	fi
	as=(runuser -u postgres --)
	chown postgres "$dir"
fi
bin=$(programs)
[[ -n $bin ]] || { echo 'missing: postgresql (initdb and pg_ctl)' >&2; exit 1; }
cd "$dir" # postgres may not enter where the tests are

pid() { head -n 1 "$dir/data/postmaster.pid" 2>/dev/null || true; }

start() { # after a kill its children need a moment to go
	local i
	for i in $(seq 150); do
		if "${as[@]}" "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 120 start >/dev/null 2>&1 </dev/null; then
			echo ready
			return
		fi
		sleep 0.2
	done
	tail -n 50 "$dir/log" >&2
	exit 1
}

finish() {
	"${as[@]}" "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1 </dev/null || true
	rm -rf "$dir"
}
trap finish EXIT

"${as[@]}" "$bin/initdb" -D "$dir/data" -A trust -U faas -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null </dev/null
cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$dir'
max_connections = 200
fsync = ${FAASPG_FSYNC:-off}
CONF
start
while read -r line; do
	[[ $line == kill ]] || continue
	kill -9 "$(pid)"
	start
done
