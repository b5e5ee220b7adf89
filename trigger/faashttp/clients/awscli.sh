#!/usr/bin/env bash
# Calls examples/server with the AWS command line, as a user would.
#
#   awscli.sh http://127.0.0.1:9000
set -euo pipefail
url=${1:?the URL of a running server}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# Version 1 takes payloads as they are. Version 2 takes base64, unless it is told to take them raw.
raw=()
[[ $("${AWS_CLI:-aws}" --version 2>&1) == aws-cli/1.* ]] || raw=(--cli-binary-format raw-in-base64-out)
lambda() { AWS_MAX_ATTEMPTS=1 "${AWS_CLI:-aws}" lambda --endpoint-url "$url" --output json "$@"; }
invoke() { lambda invoke "${raw[@]}" "$@"; }

check() { # check WHAT GOT WANTED: WANTED is a pattern
	# shellcheck disable=SC2053 # the right side is a pattern
	[[ $2 == $3 ]] || { printf 'awscli: %s: got\n%s\nwant %s\n' "$1" "$2" "$3" >&2; exit 1; }
}

answer=$(invoke --function-name echo --payload '{"a": 1}' "$out")
check 'echo: answer' "$answer" '*"StatusCode": 200*"ExecutedVersion": "$LATEST"*'
check 'echo: payload' "$(<"$out")" '{"a":1}'
answer=$(invoke --function-name echo --log-type Tail --query LogResult --output text "$out" | base64 -d)
check 'log' "$answer" 'START RequestId: *msg=echo*END RequestId: *'
answer=$(invoke --function-name fail "$out")
check 'fail: answer' "$answer" '*"FunctionError": "Unhandled"*'
check 'fail: payload' "$(<"$out")" '{"errorMessage":"boom","errorType":"errorString"}'
answer=$(invoke --function-name arn:aws:lambda:us-east-1:000000000000:function:slow --payload 5000 "$out")
check 'slow: payload' "$(<"$out")" '*"Sandbox.Timedout"*Task timed out after 1.00 seconds*'
answer=$(invoke --function-name echo --invocation-type Event --payload 1 "$out")
check 'event' "$answer" '*"StatusCode": 202*'
answer=$(invoke --function-name fail --invocation-type Event --payload '"from the command line"' "$out")
check 'event that fails' "$answer" '*"StatusCode": 202*'
answer=$(lambda get-function-event-invoke-config --function-name fail)
check 'event config' "$answer" '*"FunctionArn": "*:function:fail:$LATEST"*"MaximumRetryAttempts": 2*"MaximumEventAgeInSeconds": 21600*"Destination": "*:function:bury"*'
answer=$(lambda list-function-event-invoke-configs --function-name echo --query 'FunctionEventInvokeConfigs[].FunctionArn' --output text)
check 'event configs' "${answer//[[:space:]]/ }" '*:echo:$LATEST *:echo:1 *:echo:2'
for change in put update delete; do
	answer=$(lambda "$change-function-event-invoke-config" --function-name fail 2>&1 || true)
	check "$change event config" "$answer" '*(InvalidParameterValueException)*faas.WithRetry*'
done
[[ -z ${LOG:-} ]] || for _ in $(seq 100); do
	grep -q 'dead letter.*condition=RetriesExhausted attempts=3 .*from the command line' "$LOG" && break
	sleep 0.1
done
[[ -z ${LOG:-} ]] || check 'dead letter' "$(grep 'from the command line' "$LOG")" '*"dead letter"*condition=RetriesExhausted attempts=3 *'
answer=$(invoke --function-name echo --invocation-type DryRun --payload 1 "$out")
check 'dry run' "$answer" '*"StatusCode": 204*'
answer=$(invoke --function-name nobody "$out" 2>&1 || true)
check 'not found' "$answer" '*(ResourceNotFoundException)*Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody:$LATEST*'
answer=$(lambda list-functions --page-size 3 --query 'Functions[].FunctionName' --output text)
check 'list' "${answer//[[:space:]]/ }" 'bury countdown echo fail page panicky slow thumbnail'
answer=$(lambda get-function-configuration --function-name slow --query Timeout)
check 'configuration' "$answer" 1

# A release: an alias, a tenth of its calls, and back.
versions() { # versions N: the versions that N calls of echo:live ran, each with its number of calls
	for _ in $(seq "$1"); do
		invoke --function-name echo:live --payload 1 --query ExecutedVersion --output text "$out"
	done | sort | uniq -c | xargs
}
alias=(--function-name echo --name live)
answer=$(lambda list-versions-by-function --function-name echo --query 'Versions[].Version' --output text)
check 'versions' "${answer//[[:space:]]/ }" '$LATEST 1 2'
answer=$(lambda create-alias "${alias[@]}" --function-version 1 --description 'what users get')
check 'create alias' "$answer" '*"AliasArn": "arn:aws:lambda:us-east-1:000000000000:function:echo:live"*"FunctionVersion": "1"*'
check 'before' "$(versions 4)" '4 1'
revision=$(lambda get-alias "${alias[@]}" --query RevisionId --output text)
lambda update-alias "${alias[@]}" --revision-id "$revision" --routing-config 'AdditionalVersionWeights={2=0.1}' >/dev/null
check 'a tenth' "$(versions 20)" '18 1 2 2'
answer=$(lambda update-alias "${alias[@]}" --revision-id "$revision" --routing-config '{}' 2>&1 || true)
check 'stale' "$answer" '*(PreconditionFailedException)*'
lambda update-alias "${alias[@]}" --routing-config '{}' >/dev/null
check 'back' "$(versions 4)" '4 1'
answer=$(lambda list-aliases --function-name echo --query 'Aliases[].[Name,FunctionVersion,Description]' --output text)
check 'list aliases' "${answer//[[:space:]]/ }" 'live 1 what users get'
answer=$(lambda publish-version --function-name echo 2>&1 || true)
check 'publish' "$answer" '*(InvalidParameterValueException)*compiled into the host*'
lambda delete-alias "${alias[@]}"
answer=$(lambda get-alias "${alias[@]}" 2>&1 || true)
check 'deleted' "$answer" '*(ResourceNotFoundException)*Cannot find alias arn: *:echo:live*'
lambda wait function-active-v2 --function-name slow
