#!/usr/bin/env bash
# Calls examples/server with clients that are not of this repository: boto3, the AWS command line,
# the AWS SDK for JavaScript (from npm, at the versions of package-lock.json), and curl
# through nginx. On Debian and as root it installs what is missing; elsewhere a missing
# client is an error.
#
#   trigger/faashttp/clients/run.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
here=$PWD

# A python that has boto3: the one in PATH, or the system's.
find_python() {
	local p
	for p in python3 /usr/bin/python3; do
		if command -v "$p" >/dev/null && "$p" -c 'import boto3' 2>/dev/null; then
			printf '%s\n' "$p"
			return
		fi
	done
	return 1
}

need() { # need PACKAGE...
	[[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || { echo "missing: $*" >&2; exit 1; }
	apt-get update -qq
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null # RUNLEVEL=1: packages must not start their services
}

find_python >/dev/null || need python3-boto3
find_aws() {
	local a
	for a in aws /usr/bin/aws; do
		if command -v "$a" >/dev/null && "$a" --version >/dev/null 2>&1; then
			printf '%s\n' "$a"
			return
		fi
	done
	return 1
}
find_aws >/dev/null || need awscli
{ command -v node && command -v npm; } >/dev/null || need nodejs npm
PATH=$PATH:/usr/sbin command -v nginx >/dev/null || need nginx-light
command -v curl >/dev/null || need curl
python=$(find_python)
export AWS_CLI
AWS_CLI=$(find_aws)

work=$(mktemp -d)
server=
cleanup() {
	[[ -z $server ]] || kill "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

GOWORK=off go -C "$here/../../../examples" build -o "$work/server" ./server
"$work/server" -addr 127.0.0.1:0 -hosts functions.example.com >"$work/log" 2>&1 &
server=$!
for _ in $(seq 100); do
	url=$(sed -n 's/^listening on //p' "$work/log")
	[[ -z $url ]] || break
	kill -0 "$server" || { cat "$work/log" >&2; exit 1; }
	sleep 0.1
done
[[ -n $url ]] || { echo 'the server does not listen' >&2; exit 1; }

export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL
export LOG=$work/log
"$python" "$here/boto3_test.py" "$url"
bash "$here/awscli.sh" "$url"
bash "$here/async.sh" "$url"
cp package.json package-lock.json lambda.mjs "$work"
(cd "$work" && npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error >/dev/null)
(cd "$work" && URL=$url timeout 120 node --test --test-reporter spec lambda.mjs)
bash "$here/nginx.sh" "${url#http://}"

kill -TERM "$server"
wait "$server"
server=
grep -q '^drained: ' "$work/log" || { echo 'the server did not drain' >&2; exit 1; }
echo "ok: $("$python" -c 'import boto3; print("boto3", boto3.__version__)'), $("$AWS_CLI" --version 2>&1 | cut -d' ' -f1)," \
	"@aws-sdk/client-lambda $(sed -n 's/.*client-lambda": "\(.*\)".*/\1/p' package.json), node $(node --version)," \
	"$(PATH=$PATH:/usr/sbin nginx -v 2>&1 | sed 's/.*: //')"
