#!/usr/bin/env bash
# Has a real Prometheus scrape the functions of examples/metrics, and asks it all queries of
# the dashboard: with classic histograms and with native ones. promtool tests the rules to
# alert by. On Debian and as root it installs Prometheus if it is missing; elsewhere that is an error.
#
#   observe/faasprom/prometheus.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if ! { command -v prometheus && command -v promtool; } >/dev/null; then
	[[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || { echo 'missing: prometheus' >&2; exit 1; }
	apt-get update -qq
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus >/dev/null # RUNLEVEL=1: it must not start its service
fi

promtool check rules alerts.yml
promtool test rules alerts_test.yml
program=$(mktemp)
trap 'rm -f "$program"' EXIT
GOWORK=off go -C ../../examples build -o "$program" ./metrics
"$program" | tail -8
"$program" -native | tail -8
echo "ok: $(prometheus --version 2>&1 | head -1)"
