package admin

import (
	"net/http"

	"github.com/inproc/faas/access"
)

func hasRecorder(s *settings) string { return lacks(s.recorder == nil, "WithRecorder") }
func hasRing(s *settings) string     { return lacks(s.ring == nil, "WithRing") }
func hasTail(s *settings) string     { return lacks(s.tail == nil, "WithTail") }
func hasBudgets(s *settings) string  { return lacks(len(s.budgets) == 0, "WithBudgets") }
func hasDrivers(s *settings) string  { return lacks(len(s.drivers) == 0, "WithDrivers") }
func hasUsage(s *settings) string    { return lacks(s.ledger == nil && s.recorder == nil, "WithLedger") }

func lacks(missing bool, option string) string {
	if missing {
		return option
	}
	return ""
}

// endpoints returns all endpoints of the API.
func endpoints() []*endpoint {
	var all []*endpoint
	for _, chapter := range [][]*endpoint{hostEndpoints(), functionEndpoints(), callEndpoints(), moneyEndpoints(), jobEndpoints(), otherEndpoints()} {
		all = append(all, chapter...)
	}
	return all
}

func hostEndpoints() []*endpoint {
	return []*endpoint{
		{
			method: http.MethodGet, path: "/v1/host", verb: "host.get", right: access.See, out: typeOf[Host](), serve: (*exchange).host,
			summary: "What the host is, what it shows, and who asks.",
		},
		{
			method: http.MethodGet, path: "/v1/process", verb: "process.get", right: access.See, out: typeOf[Process](), serve: (*exchange).process,
			summary: "The process: its memory, its goroutines, and the router's own numbers.",
		},
		{
			method: http.MethodPut, path: "/v1/capacity", verb: "capacity.set", right: access.Manage, write: true,
			in: typeOf[CapacityChange](), out: typeOf[Limit](), serve: (*exchange).setCapacity,
			summary: "Change how many calls may run at once in the whole router.",
		},
		{
			method: http.MethodGet, path: "/v1/audit", verb: "audit.list", right: access.Manage, out: typeOf[Audit](), serve: (*exchange).auditTrail,
			summary: "Who has done what, the newest first: changes, inputs and stacks that were read, and what was denied.",
			query:   []param{{"limit", "how many entries at most, up to 1000; default 100"}},
		},
		{
			method: http.MethodGet, path: "/v1/openapi.json", verb: "openapi.get", right: access.See, out: typeOf[Schema](), serve: (*exchange).openapi,
			summary: "This document.",
		},
	}
}

func functionEndpoints() []*endpoint {
	return []*endpoint{
		{
			method: http.MethodGet, path: "/v1/functions", verb: "function.list", right: access.See, out: typeOf[Functions](), serve: (*exchange).functions,
			summary: "The functions that the viewer sees, their state and their numbers.",
		},
		{
			method: http.MethodGet, path: "/v1/functions/{name}", verb: "function.get", right: access.See, out: typeOf[Function](), serve: (*exchange).function,
			summary: "One function, with the schema of its input and the viewer's rights to it.",
		},
		{
			method: http.MethodGet, path: "/v1/functions/{name}/versions", verb: "version.list", right: access.See, out: typeOf[Versions](),
			serve: (*exchange).versions, summary: "The versions of a function.",
		},
		{
			method: http.MethodGet, path: "/v1/functions/{name}/aliases", verb: "alias.list", right: access.See, out: typeOf[Aliases](),
			serve: (*exchange).aliases, summary: "The aliases of a function.",
		},
		{
			method: http.MethodPut, path: "/v1/functions/{name}/aliases/{alias}", verb: "alias.set", right: access.Manage, write: true,
			in: typeOf[AliasChange](), out: typeOf[Alias](), serve: (*exchange).setAlias,
			summary: "Set an alias, or move it; in the path, " + DefaultAlias + " is the alias without a name.",
		},
		{
			method: http.MethodDelete, path: "/v1/functions/{name}/aliases/{alias}", verb: "alias.remove", right: access.Manage, write: true,
			out: typeOf[Done](), serve: (*exchange).removeAlias, summary: "Remove an alias.",
			query: []param{{"ifRevision", "only if the alias has that revision; else 409"}},
		},
		{
			method: http.MethodPut, path: "/v1/functions/{name}/limit", verb: "limit.set", right: access.Manage, write: true,
			in: typeOf[LimitChange](), out: typeOf[Limit](), serve: (*exchange).setLimit,
			summary: "Change how many calls of a function may run at once; 0 switches it off.",
		},
		{
			method: http.MethodGet, path: "/v1/decisions", verb: "decision.list", right: access.See, out: typeOf[Decisions](), serve: (*exchange).decisions,
			summary: "Changes of scale and moves of aliases, with their reasons, the newest first.",
			query:   []param{{"function", "of that function or version only"}, {"limit", "how many at most, up to 1000; default 100"}},
		},
		{
			method: http.MethodGet, path: "/v1/series", verb: "series.get", right: access.See, out: typeOf[SeriesAnswer](), needs: hasRecorder,
			serve: (*exchange).series, summary: "What has ended when: 5 minutes by second, an hour by 10 seconds, 24 hours by minute.",
			query: []param{
				{"step", "1s, 10s or 1m; default 1s"},
				{"since", "a time; points that end after it"},
				{"function", "of that function or version only"},
				{"by", "version, function or total; default function"},
				{"histograms", "true: with the histograms of each point"},
			},
		},
	}
}

func callEndpoints() []*endpoint {
	return []*endpoint{
		{
			method: http.MethodGet, path: "/v1/failures", verb: "failure.list", right: access.See, out: typeOf[Failures](), needs: hasRing,
			serve: (*exchange).failures, summary: "The last calls that failed, the newest first.",
			query: []param{
				{"function", "of that function or version only"},
				{"tenant", "of that tenant only"},
				{"outcome", "Failed, Panicked, TimedOut, …"},
				{"since", "a time; calls that began at it or later"},
				{"limit", "how many at most, up to 1000; default 100"},
			},
		},
		{
			method: http.MethodGet, path: "/v1/failures/{id}", verb: "failure.get", right: access.See, out: typeOf[Failure](), needs: hasRing,
			serve: (*exchange).failure, summary: "One call that failed.",
		},
		{
			method: http.MethodGet, path: "/v1/failures/{id}/input", verb: "failure.input", right: access.SeeInputs, out: typeOf[Data](), needs: hasRing,
			serve: (*exchange).failureInput, summary: "The input of a call that failed.",
		},
		{
			method: http.MethodGet, path: "/v1/failures/{id}/stack", verb: "failure.stack", right: access.SeeStacks, out: typeOf[Stack](), needs: hasRing,
			serve: (*exchange).failureStack, summary: "The stack of a call that panicked, if the ring keeps errors.",
		},
		{
			method: http.MethodPost, path: "/v1/failures/{id}/replay", verb: "failure.replay", right: access.Replay, write: true,
			in: typeOf[ReplayRequest](), out: typeOf[Result](), needs: hasRing, serve: (*exchange).replay,
			summary: "Make a call that failed again, with its input or another one.",
		},
		{
			method: http.MethodPost, path: "/v1/functions/{name}/invoke", verb: "function.invoke", right: access.Invoke, write: true,
			in: typeOf[InvokeRequest](), out: typeOf[Result](), serve: (*exchange).invoke,
			summary: "Call a function, or one of its versions or aliases.",
		},
		{
			method: http.MethodGet, path: "/v1/runaways", verb: "runaway.list", right: access.See, out: typeOf[Runaways](), serve: (*exchange).runaways,
			summary: "Handlers that still run although their calls have ended.",
			query:   []param{{"function", "of that function or version only"}},
		},
		{
			method: http.MethodGet, path: "/v1/runaways/{id}/stack", verb: "runaway.stack", right: access.SeeStacks, out: typeOf[Stack](),
			serve: (*exchange).runawayStack, summary: "Where a runaway is at this moment. It stops all goroutines for some milliseconds.",
		},
	}
}

// moneyParams returns the parameters of endpoints about usage and prices.
func moneyParams() []param {
	return []param{
		{"source", "ledger or recorder; default: the ledger if there is one"},
		{"at", "a time in the ledger's period; default: now"},
		{"book", "the price list; default: the first"},
	}
}

func moneyEndpoints() []*endpoint {
	return []*endpoint{
		{
			method: http.MethodGet, path: "/v1/usage", verb: "usage.get", right: access.See, out: typeOf[Usage](), needs: hasUsage,
			serve: (*exchange).usage, summary: "What calls have used, and what that costs at list prices.",
			query: append([]param{{"by", "some of function,version,tenant,outcome,spentOn; default function"}, {"function", "that function only"}, {"tenant", "that tenant only; empty: calls for none in particular"}}, moneyParams()...),
		},
		{
			method: http.MethodGet, path: "/v1/tenants", verb: "tenant.list", right: access.See, out: typeOf[Tenants](), needs: hasUsage,
			serve: (*exchange).tenants, summary: "What tenants have used, what that costs, and their budgets.",
			query: append([]param{{"tenant", "that tenant only; empty: calls for none in particular"}}, moneyParams()...),
		},
		{
			method: http.MethodGet, path: "/v1/budgets", verb: "budget.list", right: access.See, out: typeOf[Budgets](), needs: hasBudgets,
			serve: (*exchange).budgets, summary: "The accounts of budgets.",
		},
		{
			method: http.MethodPut, path: "/v1/budgets/{budget}/limit", verb: "budget.set", right: access.Manage, write: true,
			in: typeOf[BudgetChange](), out: typeOf[Budget](), needs: hasBudgets, serve: (*exchange).setBudget,
			summary: "Change the limit of one account of a budget.",
		},
	}
}

// jobParams returns the parameters that select jobs.
func jobParams() []param {
	return []param{
		{"function", "of that function only, whatever the version"},
		{"tenant", "of that tenant only; empty: of none in particular"},
		{"state", "scheduled, ready, running, parked, succeeded, dead or canceled; may be given several times"},
		{"condition", "RetriesExhausted, EventAgeExceeded, …"},
		{"orderKey", "with that order key"},
		{"label", "name=value; may be given several times"},
		{"after", "a time; accepted at it or later"},
		{"before", "a time; accepted before it"},
	}
}

func jobEndpoints() []*endpoint {
	return []*endpoint{
		{
			method: http.MethodGet, path: "/v1/jobs", verb: "job.list", right: access.See, out: typeOf[Jobs](), serve: (*exchange).jobs,
			summary: "Jobs, in the order in which they were accepted.",
			query:   append(jobParams(), param{"limit", "how many at most, up to 1000; default 100"}, param{"cursor", "what the page before had as next"}),
		},
		{
			method: http.MethodGet, path: "/v1/dead-letters", verb: "job.dead", right: access.See, out: typeOf[DeadLetters](), serve: (*exchange).deadLetters,
			summary: "Dead jobs in groups: of a function, for one reason.", query: jobParams(),
		},
		{
			method: http.MethodGet, path: "/v1/jobs/{id}", verb: "job.get", right: access.See, out: typeOf[Job](), serve: (*exchange).job,
			summary: "One job.",
		},
		{
			method: http.MethodGet, path: "/v1/jobs/{id}/input", verb: "job.input", right: access.SeeInputs, out: typeOf[Data](), serve: (*exchange).jobInput,
			summary: "The input of a job.",
		},
		{
			method: http.MethodGet, path: "/v1/jobs/{id}/output", verb: "job.output", right: access.SeeInputs, out: typeOf[Data](), serve: (*exchange).jobOutput,
			summary: "The output of a job that has succeeded.",
		},
		{
			method: http.MethodPost, path: "/v1/jobs/{id}/cancel", verb: "job.cancel", right: access.Manage, write: true, out: typeOf[Job](),
			serve: (*exchange).cancelJob, summary: "Cancel a job. One that runs is over when the answer comes.",
		},
		{
			method: http.MethodPost, path: "/v1/jobs/{id}/replay", verb: "job.replay", right: access.Replay, write: true,
			in: typeOf[Input](), out: typeOf[Job](), serve: (*exchange).replayJob,
			summary: "Make a new job of one that has ended, with its input or another one.",
		},
		{
			method: http.MethodPost, path: "/v1/jobs/cancel", verb: "jobs.cancel", right: access.Manage, write: true,
			in: typeOf[BulkRequest](), out: typeOf[Bulk](), serve: (*exchange).cancelJobs, summary: "Count, or cancel, the jobs of a filter that have not ended.",
		},
		{
			method: http.MethodPost, path: "/v1/jobs/replay", verb: "jobs.replay", right: access.Replay, write: true,
			in: typeOf[BulkRequest](), out: typeOf[Bulk](), serve: (*exchange).replayJobs, summary: "Count, or make again, the jobs of a filter that have ended.",
		},
		{
			method: http.MethodPost, path: "/v1/jobs/purge", verb: "jobs.purge", right: access.Manage, write: true,
			in: typeOf[BulkRequest](), out: typeOf[Bulk](), serve: (*exchange).purgeJobs, summary: "Count, or forget, the jobs of a filter that have ended.",
		},
	}
}

func otherEndpoints() []*endpoint {
	return []*endpoint{
		{
			method: http.MethodGet, path: "/v1/sources", verb: "source.list", right: access.See, out: typeOf[Sources](), needs: hasDrivers,
			serve: (*exchange).sources, summary: "The sources of events, and how far they lag behind.",
		},
		{
			method: http.MethodPost, path: "/v1/sources/{name}/pause", verb: "source.pause", right: access.Manage, write: true, out: typeOf[Source](),
			needs: hasDrivers, serve: (*exchange).pauseSource, summary: "Have a source take no more events.",
		},
		{
			method: http.MethodPost, path: "/v1/sources/{name}/resume", verb: "source.resume", right: access.Manage, write: true, out: typeOf[Source](),
			needs: hasDrivers, serve: (*exchange).resumeSource, summary: "Undo a pause.",
		},
		{
			method: http.MethodGet, path: "/v1/events", verb: "event.stream", right: access.See, stream: true, out: typeOf[Frame](), needs: hasRecorder,
			serve: (*exchange).events, summary: "A frame each second of the functions that have changed; resumed by Last-Event-ID.",
			query: []param{{"since", "the id of an event, instead of Last-Event-ID"}},
		},
		{
			method: http.MethodGet, path: "/v1/log/events", verb: "log.stream", right: access.See, stream: true, out: typeOf[Line](), needs: hasTail,
			serve: (*exchange).logEvents, summary: "Lines of the log as they come; resumed by Last-Event-ID.",
			query: []param{
				{"after", "a number; lines with higher ones, instead of Last-Event-ID"},
				{"function", "of that function only"},
				{"tenant", "of that tenant only"},
				{"level", "info, warn or error: of that level and higher"},
				{"text", "that the line contains"},
			},
		},
		{
			method: http.MethodGet, path: "/v1/log", verb: "log.list", right: access.See, out: typeOf[Log](), needs: hasTail, serve: (*exchange).log,
			summary: "The last lines of the log, the oldest first.",
			query: []param{
				{"after", "a number; lines with higher ones"},
				{"function", "of that function only"},
				{"tenant", "of that tenant only"},
				{"level", "info, warn or error: of that level and higher"},
				{"text", "that the line contains"},
				{"limit", "how many at most, the last ones, up to 1000; default 200"},
			},
		},
	}
}
