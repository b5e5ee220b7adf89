#!/usr/bin/env bash
# Calls examples/server through nginx, in nginx's default configuration and in the one
# that the documentation recommends. It checks that no stream which breaks off looks
# whole, and that no page which pretends to be of this host is served.
#
#   nginx.sh 127.0.0.1:9000, a server with -hosts functions.example.com
set -euo pipefail
upstream=${1:?the address of a running server}
work=$(mktemp -d)
nginx=
cleanup() {
	[[ -z $nginx ]] || kill "$nginx" 2>/dev/null || true
	[[ -z $nginx ]] || wait "$nginx" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
plain=127.0.0.1:$(free_port) set_up=127.0.0.1:$(free_port)
as_root=
[[ $(id -u) != 0 ]] || as_root='user root;' # otherwise nginx's workers could not read $work
cat >"$work/nginx.conf" <<CONF
$as_root
daemon off;
error_log $work/error.log;
pid $work/pid;
worker_processes 1;
events {}
http {
	access_log off;
	client_body_temp_path $work/body;
	proxy_temp_path $work/proxy;
	fastcgi_temp_path $work/fastcgi;
	uwsgi_temp_path $work/uwsgi;
	scgi_temp_path $work/scgi;
	server {
		listen $plain;
		location / { proxy_pass http://$upstream; } # speaks HTTP/1.0, and sends the upstream's address as the host
	}
	server {
		listen $set_up;
		location / {
			proxy_pass http://$upstream;
			proxy_http_version 1.1;
			proxy_set_header Host \$host;
		}
	}
}
CONF
PATH=$PATH:/usr/sbin nginx -c "$work/nginx.conf" -p "$work" 2>"$work/start.log" &
nginx=$!
for _ in $(seq 100); do
	(exec 3<>"/dev/tcp/${set_up%:*}/${set_up#*:}") 2>/dev/null && break
	kill -0 "$nginx" 2>/dev/null || { cat "$work/start.log" >&2; exit 1; }
	sleep 0.1
done

fail() { printf 'nginx: %s\n' "$*" >&2; exit 1; }

# call AT HOST FROM [HEADER]: calls countdown; sets $status, $body, and curl's exit code $exit
call() {
	local header=(); [[ -z ${4:-} ]] || header=(-H "$4")
	exit=0
	: >"$work/out"
	status=$(curl -s -o "$work/out" -w '%{http_code}' -m 20 -H "Host: $2" -H 'Content-Type: application/json' \
		"${header[@]}" -d "{\"From\": $3}" "http://$1/fn/countdown") || exit=$?
	body=$(<"$work/out")
}

for at in "$plain" "$set_up"; do
	call "$at" functions.example.com 2
	[[ $exit == 0 && $status == 200 && $body == $'2\n1' ]] || fail "a whole stream: exit $exit, $status, $body"
	call "$at" functions.example.com 50 # runs longer than its timeout; nginx may not have passed on any of it yet
	[[ $exit != 0 || $status == 502 ]] || fail "half a stream looks whole: $status, $body"
done
call "$set_up" evil.example 1 'X-Forwarded-Host: localhost'
[[ $exit == 0 && $status == 403 && $body == *WithHosts* ]] || fail "another host: exit $exit, $status, $body"
call "$set_up" functions.example.com 1 'Origin: http://evil.example'
[[ $exit == 0 && $status == 403 && $body == *WithOrigins* ]] || fail "another site: exit $exit, $status, $body"
call "$set_up" functions.example.com 1 'Origin: http://functions.example.com'
[[ $exit == 0 && $status == 200 ]] || fail "its own site: exit $exit, $status, $body"
