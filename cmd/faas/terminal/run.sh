#!/usr/bin/env bash
# Uses the command in terminals of tmux, as its users do, with examples/shop as the host: top and a
# followed log while the host is stopped and started again, names completed by bash, zsh and fish, a
# question, and the way from a release to the audit trail; and without a terminal. If tmux, zsh or fish is absent, it is
# installed on Debian as root; otherwise that is an error.
#
#   cmd/faas/terminal/run.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

need() { # need PACKAGE...
	[[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || { echo "missing: $*" >&2; exit 1; }
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}
absent=()
for program in tmux zsh fish; do
	command -v "$program" >/dev/null || absent+=("$program")
done
((${#absent[@]} == 0)) || need "${absent[@]}"

work=$(mktemp -d)
socket=$work/tmux
shop=
cleanup() {
	tmux -S "$socket" kill-server 2>/dev/null || true
	[[ -z $shop ]] || kill "$shop" 2>/dev/null || true
	until rm -rf "$work" 2>/dev/null; do sleep 0.1; done # its shells write there as they end
}
trap cleanup EXIT

GOWORK=off go -C .. build -o "$work/bin/faas" .
GOWORK=off go -C ../../../examples build -o "$work/shop" ./shop

# The shop opens at a port that is free, and again at that port, which another process may have for a while: a
# port below those that the system gives away by itself, of which Linux has those from 32768.
address=
start() {
	for _ in $(seq 300); do
		if opens "${address:-127.0.0.1:$((10000 + RANDOM % 20000))}"; then return 0; fi
		grep 'address already in use' "$work/shop.log" >/dev/null || break
		sleep 0.2
	done
	cat "$work/shop.log" >&2
	exit 1
}
opens() { # opens ADDRESS: fails if the shop ends
	"$work/shop" -addr "$1" -speed 3 -release 1s >"$work/shop.out" 2>"$work/shop.log" &
	shop=$!
	for _ in $(seq 300); do
		if grep '^the shop is open' "$work/shop.out" >/dev/null; then address=$1; return 0; fi
		kill -0 "$shop" 2>/dev/null || { shop=; return 1; }
		sleep 0.1
	done
	echo 'the shop does not open' >&2
	exit 1
}
stop() {
	kill -TERM "$shop"
	wait "$shop" || true
	shop=
}

echo 'set -g history-limit 100000' >"$work/tmux.conf" # the log of a minute
# Each terminal is a shell that has the command and the address, and no file that users have.
terminal() { # terminal NAME WIDTH SHELL...
	local name=$1 width=$2
	shift 2
	tmux -S "$socket" -f "$work/tmux.conf" new-session -d -s "$name" -x "$width" -y 24 \
		env -i PATH="$work/bin:$PATH" HOME="$work" TERM=screen-256color LC_ALL=C.UTF-8 FAAS_URL="http://$address" PS1='$ ' "$@"
}
screen() { tmux -S "$socket" capture-pane -p -J "${@:2}" -t "$1" | sed 's/ *$//'; } # -J: a line that is wrapped is one
keys() { tmux -S "$socket" send-keys -t "$1" "${@:2}"; }
waits() { # waits COMMAND...: until it holds, for three minutes at least
	for _ in $(seq 1800); do
		if "$@"; then return 0; fi
		sleep 0.1
	done
	return 1
}
shows() { screen "$1" "${@:3}" | grep -E -- "$2" >/dev/null; } # -q would have a screen that is not read to its end fail
sees() { # sees NAME PATTERN [OPTION...]: waits until the terminal shows it
	waits shows "$@" || { printf 'terminal %s does not show: %s\n' "$1" "$2" >&2; screen "$1" >&2; exit 1; }
}
types() { # types NAME LINE PATTERN: runs it, and waits for what it shows
	keys "$1" clear Enter
	sees "$1" '^\$ ?$'
	keys "$1" -l -- "$2"
	keys "$1" Enter
	sees "$1" "$3"
}
faas() { FAAS_URL=http://$address "$work/bin/faas" "$@"; }

start
bash=(bash --norc --noprofile -i)

# A host that goes and comes back.
terminal top80 80 "${bash[@]}"
terminal top120 120 "${bash[@]}"
terminal log 120 "${bash[@]}"
keys top80 'faas top; echo code=$?' Enter
keys top120 'NO_COLOR=1 faas top; echo code=$?' Enter
keys log 'faas logs -f -n 1; echo code=$?' Enter
sees top80 '^shop +[0-9:]+ UTC +8 functions'
sees top80 '^all .*[0-9]'
sees top120 '^FUNCTION +STATE.* DEAD '
sees log 'trigger=http'
sees top80 $'\e\\[1?;?3[1-3]m' -e # the state has a color
if shows top120 $'\e\\[3[1-3]m' -e; then echo 'NO_COLOR has colors' >&2; exit 1; fi
if shows top80 ' DEAD '; then echo '80 columns have room for all' >&2; exit 1; fi
stop
sees top80 '^shop +no connection'
sees top120 '^shop +no connection'
sees log 'waiting for it'
start
sees top80 '^shop +[0-9:]+ UTC +8 functions'
sees top120 '^shop +[0-9:]+ UTC +8 functions'
sees log 'the host is back' -S -
goes_on() { screen log -S - | sed '1,/the host is back/d' | grep 'trigger=http' >/dev/null; }
waits goes_on || { echo 'the log does not go on' >&2; exit 1; }
tmux -S "$socket" resize-window -t top80 -x 120 -y 24
sees top80 '^FUNCTION +STATE.* DEAD '
for name in top80 top120 log; do
	keys "$name" C-c
	sees "$name" 'code=0$' # the terminal has ^C before it
done
if shows top80 FUNCTION; then echo 'top has left its picture behind' >&2; exit 1; fi
echo 'ok: top and logs -f across a restart of the host'

# Tab, in shells that know nothing but the line of the manual.
completes() { # completes SHELL LOAD PROGRAM...
	local shell=$1 load=$2
	shift 2
	terminal "$shell" 120 "$@"
	sees "$shell" '[$>%#]$'
	keys "$shell" -l -- "$load"
	keys "$shell" Enter
	keys "$shell" -l -- 'faas describe res'
	keys "$shell" Tab
	sees "$shell" 'faas describe resize'
	keys "$shell" Enter
	sees "$shell" '^function +resize'
	keys "$shell" -l -- 'faas alias rm resize li'
	keys "$shell" Tab
	sees "$shell" 'faas alias rm resize live'
	keys "$shell" C-u
	keys "$shell" -l -- 'faas invoke resize:li'
	keys "$shell" Tab
	sees "$shell" 'faas invoke resize:live'
	keys "$shell" C-u
	echo "ok: $shell completes live names"
}
completes bash 'source <(faas completion bash)' "${bash[@]}"
completes zsh 'source <(faas completion zsh)' zsh -f -i
completes fish 'faas completion fish | source' fish --no-config

# From a release to the audit trail.
terminal user 120 "${bash[@]}"
types user 'faas alias set resize live 8' 'resize:live: .* → 8 \(revision [0-9]+\)'
some() { [[ -n $(faas "$@" -n 1 -o jsonl) ]]; }
waits some failures resize --outcome Panicked
id=$(faas failures resize --outcome Panicked -n 1 -o csv | sed -n '2s/^[^,]*,\([^,]*\),.*/\1/p')
types user "faas failures show $id | head -12" 'index out of range \[3\] with length 3'
types user "faas failures show $id | tail -4" 'sizes":\[320,640,1280,1920\]'
types user "EDITOR=\"sed -i -e s/1280,/1280/ -e /1920/d\" faas replay $id --edit; echo code=\$?" '^code='
sees user '^OK of resize:8'
sees user '^code=0'
types user 'faas audit -n 5' 'failure.replay +resize .* resize:8: OK +done'
types user 'faas alias set resize live 7; faas audit -n 1' 'alias.set +resize +live .* done'
# A mail without an address is dead at once.
waits some jobs ls --function mail --state succeeded
id=$(faas jobs ls --function mail --state succeeded -n 1 -o csv | sed -n '2s/^[^,]*,\([^,]*\),.*/\1/p')
faas jobs replay "$id" -d '{"to":""}' >/dev/null
waits some jobs ls --state dead
types user 'faas jobs replay --state dead; echo code=$?' 'Replay [0-9,]+ jobs?\? \[y/N\]'
keys user n Enter
sees user '^faas: nothing was done'
sees user '^code=1'
echo 'ok: from a release to the audit trail'

# What the shop has by then, without a terminal.
for command in ls top costs tenants failures 'jobs ls' 'jobs ls --state dead' 'alias ls resize' decisions 'source ls' audit; do
	for width in 80 120; do
		COLUMNS=$width faas $command >"$work/table"
		(($(wc -L <"$work/table") <= width)) || { echo "faas $command is wider than $width columns" >&2; cat "$work/table" >&2; exit 1; }
		if grep $'\e' "$work/table"; then echo "faas $command has colors without a terminal" >&2; exit 1; fi
	done
	faas $command -o json >"$work/json"
	[[ $(head -c 1 "$work/json")$(tail -c 2 "$work/json") == '{}' ]] || { echo "faas $command -o json is no object" >&2; exit 1; }
	faas $command -o csv | head -1 | grep -E '^[a-zA-Z0-9,]+$' >/dev/null || { echo "faas $command -o csv does not name its columns" >&2; exit 1; }
done
echo 'ok: tables fit without a terminal'
