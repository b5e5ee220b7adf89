package fronttest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas"
)

// row is a situation, the end of its call as the core reports it, and what the caller gets over
// each front.
type row struct {
	name string
	situation
	core string // kind and reason of a refusal, or the outcome; and when to try again
	cells
	hears string // the fronts that pass on the function's own texts, as their documentation says
}

// cells has the answers of the fronts. Each has the status, or MCP's outcome; the reason, or
// the error type that AWS's clients read; and when to try again, in seconds.
type cells struct{ http, lambda, url, events, mcp string }

var table = []row{
	{"it is fine", works(fine), "OK", cells{
		"200", "200", "200", "200", "OK",
	}, ""},

	{"there is no such function", asked(unknown), "NotFound not_found", cells{
		"404 not_found", "404 ResourceNotFoundException", "403 AccessDeniedException", "404 no_route", "error -32602",
	}, ""},
	{"the function is removed", asked(removed), "NotFound not_found", cells{
		"404 not_found", "404 ResourceNotFoundException", "403 AccessDeniedException", "404 no_route", "error -32602",
	}, ""},
	{"no function has such a name", asked(unnamed), "NotFound name", cells{
		"404 not_found", "400 ValidationException", "403 AccessDeniedException", "404 no_route", "error -32602",
	}, ""},
	{"the payload is of another type", asked(otherType), "Invalid input", cells{
		"400 input", "200 Unhandled UnmarshalTypeError", "200", "400 input", "Refused input",
	}, ""},
	{"the input's type refuses the payload", refusesItsInput, "Invalid input", cells{
		"400 input", "200 Unhandled Error", "502", "400 input", "Refused input",
	}, "lambda"},
	{"the tenant is none", asked(badTenant), "Invalid input", cells{
		"400 input", "400 InvalidParameterValueException", "400 InvalidParameterValueException", "400 input", "Refused input",
	}, ""},
	{"the payload is too large", large, "TooLarge too_large", cells{
		"413 too_large", "413 RequestTooLargeException", "413 RequestTooLargeException", "413 too_large", "Refused too_large",
	}, ""},
	{"rules deny the caller", denied, "Denied denied", cells{
		"404 not_found", "404 ResourceNotFoundException", "403 AccessDeniedException", "403 denied", "Refused denied",
	}, ""},
	{"rules deny the caller, who may know", deniedOpenly, "Denied denied", cells{
		"403 denied", "403 AccessDeniedException", "403 AccessDeniedException", "403 denied", "Refused denied",
	}, ""},
	{"rules deny the caller, whose payload is of another type", deniedAndMalformed, "Invalid input", cells{
		"404 not_found", "404 ResourceNotFoundException", "403 AccessDeniedException", "400 input", "Refused input",
	}, ""},
	{"rules deny the caller, whose payload is too large", deniedAndLarge, "TooLarge too_large", cells{
		"404 not_found", "404 ResourceNotFoundException", "403 AccessDeniedException", "413 too_large", "Refused too_large",
	}, ""},
	{"the authorizer does not answer", undecided, "Denied unanswered", cells{
		"404 not_found", "404 ResourceNotFoundException", "403 AccessDeniedException", "403 unanswered", "Refused unanswered",
	}, ""},
	{"the authorizer says wait", decided("rate", faas.KindNone, 90*time.Second), "Busy rate after 90", cells{
		"429 rate after 90", "429 TooManyRequestsException after 90", "429 TooManyRequestsException after 90", "429 rate after 90", "Refused rate after 90",
	}, ""},
	{"the authorizer's store is down", decided("store", faas.KindUnavailable, 0), "Unavailable store", cells{
		"503 store after 1", "500 ServiceException after 1", "503 after 1", "503 store after 1", "Refused store",
	}, ""},
	{"the queue is full", full, "Busy overloaded", cells{
		"429 overloaded after 1", "429 TooManyRequestsException after 1", "429 TooManyRequestsException after 1", "429 overloaded after 1", "Refused overloaded",
	}, ""},
	{"every slot has a runaway", runaways, "Busy runaways", cells{
		"429 runaways after 1", "429 TooManyRequestsException after 1", "429 TooManyRequestsException after 1", "429 runaways after 1", "Refused runaways",
	}, ""},
	{"the function is switched off", works(fine, faas.WithConcurrency(0)), "Busy off", cells{
		"429 off after 1", "429 TooManyRequestsException after 1", "429 TooManyRequestsException after 1", "429 off after 1", "Refused off",
	}, ""},
	{"a meter is full", meterFull, "Unavailable meter_full", cells{
		"503 meter_full after 1", "500 ServiceException after 1", "503 after 1", "503 meter_full after 1", "Refused meter_full",
	}, ""},
	{"it waits too long for a slot", waitsTooLong, "Busy queue_timeout", cells{
		"429 queue_timeout after 1", "429 TooManyRequestsException after 1", "429 TooManyRequestsException after 1", "429 queue_timeout after 1", "Refused queue_timeout",
	}, ""},
	{"the caller leaves the queue", leavesTheQueue, "Canceled queue_canceled", cells{
		"503 canceled after 1", "500 ServiceException after 1", "503 after 1", "503 canceled after 1", "has left",
	}, ""},
	{"the caller has left before", hasLeft, "Canceled queue_canceled", cells{
		"503 canceled after 1", "500 ServiceException after 1", "503 after 1", "503 canceled after 1", "has left",
	}, ""},
	{"its store was down just now", storeWasDown, "Unavailable init after 0.1", cells{
		"503 init after 1", "500 ServiceException after 1", "503 after 1", "503 init after 1", "Refused init after 0.1",
	}, ""},
	{"the chain is too deep", deep, "Nesting depth", cells{
		"508 depth", "400 RecursiveInvocationException", "502", "500 depth", "Refused depth",
	}, ""},
	{"the chain would wait for itself", cycle, "Nesting cycle", cells{
		"508 cycle", "400 RecursiveInvocationException", "502", "500 cycle", "Refused cycle",
	}, ""},
	{"the router is closed", asked(closed), "Closed closed", cells{
		"503 closed after 1", "500 ServiceException after 1", "503 after 1", "503 closed after 1", "Refused closed",
	}, ""},

	{"the budget is spent", spent, "Busy budget after 3600", cells{
		"429 budget after 3600", "429 TooManyRequestsException after 3600", "429 TooManyRequestsException after 3600", "429 budget after 3600", "Refused budget after 3600",
	}, ""},
	{"the budget is held by calls under way", reserved, "Busy budget after 1", cells{
		"429 budget after 1", "429 TooManyRequestsException after 1", "429 TooManyRequestsException after 1", "429 budget after 1", "Refused budget after 1",
	}, ""},
	{"the budget could never pay the call", neverAffordable, "Denied budget", cells{
		"404 not_found", "404 ResourceNotFoundException", "403 AccessDeniedException", "403 budget", "Refused budget",
	}, ""},

	{"the handler fails", works(fails), "Failed", cells{
		"500 failed", "200 Unhandled errorString", "502", "500 failed", "Failed",
	}, "lambda mcp"},
	{"the handler panics", works(panics), "Panicked", cells{
		"500 panicked", "200 Unhandled errorString", "502", "500 failed", "Panicked",
	}, "lambda"},
	{"the handler exits", works(exits), "Exited", cells{
		"500 exited", "200 Unhandled Runtime.ExitError", "502", "500 failed", "Exited",
	}, ""},
	{"the handler takes too long", works(sleeps), "TimedOut", cells{
		"504 timed_out", "200 Unhandled Sandbox.Timedout", "502", "504 timeout", "TimedOut",
	}, ""},
	{"the router closes meanwhile", closedMeanwhile, "Canceled", cells{
		"503 canceled after 1", "500 ServiceException after 1", "503 after 1", "503 canceled after 1", "Canceled",
	}, ""},
	{"the caller leaves meanwhile", leavesMeanwhile, "Canceled", cells{
		"503 canceled after 1", "500 ServiceException after 1", "503 after 1", "503 canceled after 1", "has left",
	}, ""},
	{"the output can't be encoded", unencodable, "OutputInvalid", cells{
		"500 output", "200 Unhandled MarshalerError", "502", "500 output", "OutputInvalid",
	}, "lambda"},
	{"the output is too large", tooMuch, "OutputInvalid", cells{
		"500 output_too_large", "200 Unhandled Function.ResponseSizeTooLarge", "502", "500 output", "OutputInvalid",
	}, ""},
	{"its store is down", storeDown, "InitFailed", cells{
		"500 init_failed", "200 Unhandled Runtime.InitError", "502", "500 failed", "InitFailed",
	}, ""},

	{"the handler returns another function's refusal", deputy, "Failed", cells{
		"500 failed", "200 Unhandled Error", "502", "500 failed", "Failed",
	}, ""},
	{"the handler returns a refusal of itself", selfish, "Failed", cells{
		"500 failed", "200 Unhandled Error", "502", "500 failed", "Failed",
	}, ""},
	{"the handler returns an error of the platform's type", works(wrapped), "Failed", cells{
		"500 failed", "200 Unhandled Error", "502", "500 failed", "Failed",
	}, "lambda mcp"},
}

func TestEveryFrontTellsEveryEndOfACall(t *testing.T) {
	t.Parallel()
	for _, r := range table {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				name string
				ask  front
				want string
			}{
				{"core", core, r.core},
				{"http", overHTTP, r.http},
				{"lambda", overLambda, r.lambda},
				{"url", overURL, r.url},
				{"events", overEvents, r.events},
				{"mcp", overMCP, r.mcp},
			} {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						s := newStage(t)
						r.situation(s)
						got := c.ask(t, s)
						assert.Equal(t, c.want, got.short)
						keepsSecrets(t, got.all, strings.Contains(r.hears, c.name))
					})
				})
			}
		})
	}
}

// A refusal that Send finds is reported as that of a call, above all one that concerns the
// caller's rights. In all other situations the job is accepted, and its end shows in its record.
func TestAJobIsRefusedAsACallOrAccepted(t *testing.T) {
	t.Parallel()
	for _, r := range table {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				name string
				ask  front
				call string
			}{
				{"http", overAsync, r.http},
				{"http by option", overJobs, r.http},
				{"route by option", overRoute, r.http},
				{"lambda", overEvent, r.lambda},
				{"events by option", overEventJobs, deniedFirst(r)},
			} {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						s := newStage(t)
						r.situation(s)
						got := c.ask(t, s)
						if got.short != "202" || c.call[:3] == "404" || isKnownAtOnce(r.core) {
							assert.Equal(t, c.call, got.short)
						}
						keepsSecrets(t, got.all, false)
					})
				})
			}
		})
	}
}

// deniedFirst is the answer to an event that is to become a job. Its data is not decoded before
// the authorization, so that a caller without the right learns nothing about the data's type.
func deniedFirst(r row) string {
	if r.core == "Invalid input" && strings.HasPrefix(r.http, "404") {
		return "403 denied"
	}
	return r.events
}

// isKnownAtOnce reports whether a refusal depends neither on slots nor on the input.
func isKnownAtOnce(core string) bool {
	switch kind, rest, _ := strings.Cut(core, " "); kind {
	case "NotFound", "Denied", "TooLarge", "Closed":
		return true
	case "Busy":
		return strings.HasPrefix(rest, "rate") || strings.HasPrefix(rest, "budget")
	case "Nesting":
		return rest == "depth"
	}
	return false
}

// keepsSecrets checks what else a caller reads. It may have the function's texts or a stack if
// the front passes these on, and otherwise nothing from inside.
func keepsSecrets(t *testing.T, all string, hears bool) {
	t.Helper()
	if hears {
		assert.Contains(t, all, secret)
		return
	}
	for _, inside := range []string{secret, "goroutine ", ".go:", ".go\"", "runtime/", "/faas"} {
		assert.NotContains(t, all, inside)
	}
}
