package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

func (a *app) lsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the functions, their state and the numbers of the last minute", Args: between(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.host()
			if err != nil {
				return err
			}
			all, err := get[admin.Functions](cmd.Context(), c, path("functions"), nil)
			if err != nil {
				return err
			}
			return list(a, all, all.Functions, functionColumns(), "There are no functions that you may see.")
		},
	}
}

func functionColumns() []column[admin.Function] {
	return []column[admin.Function]{
		{title: "FUNCTION", field: "function", flex: true, text: func(f admin.Function) string { return f.Name }},
		{title: "STATE", field: "state", text: func(f admin.Function) string { return or(f.State) }, raw: func(f admin.Function) string { return f.State }, tone: func(f admin.Function) tone { return stateTone(f.State) }},
		counted("CALLS/MIN", "callsLastMinute", 0, func(f admin.Function) admin.Count { return minute(f).Calls }),
		{
			title: "FAILED", field: "failuresLastMinute", right: true, text: func(f admin.Function) string { return failedShare(minute(f)) },
			raw: func(f admin.Function) string { return fmt.Sprint(minute(f).Failures) }, tone: func(f admin.Function) tone { return badIf(minute(f).Failures > 0) },
		},
		counted("REFUSED", "refusedLastMinute", 3, func(f admin.Function) admin.Count { return minute(f).Refused }),
		counted("RUNNING", "inFlight", 0, func(f admin.Function) admin.Count { return numbers(f).InFlight }),
		counted("QUEUED", "queued", 4, func(f admin.Function) admin.Count { return numbers(f).Queued }),
		{title: "LIMIT", field: "limit", right: true, drop: 5, text: func(f admin.Function) string { return limit(f.Limit) }, raw: func(f admin.Function) string { return integer(f.Limit) }},
		timed("P50", "runP50NS", 2, func(f admin.Function) admin.Int { return minute(f).Run.P50 }),
		timed("P99", "runP99NS", 1, func(f admin.Function) admin.Int { return minute(f).Run.P99 }),
		{title: "ALIASES", field: "aliases", drop: 6, flex: true, text: aliasesOf},
	}
}

// counted returns a column of counts.
func counted[T any](title, field string, drop int, of func(T) admin.Count) column[T] {
	return column[T]{
		title: title, field: field, right: true, drop: drop,
		text: func(v T) string { return count(of(v)) }, raw: func(v T) string { return fmt.Sprint(of(v)) },
	}
}

// timed returns a column of durations.
func timed[T any](title, field string, drop int, of func(T) admin.Int) column[T] {
	return column[T]{
		title: title, field: field, right: true, drop: drop,
		text: func(v T) string { return duration(float64(of(v))) }, raw: func(v T) string { return fmt.Sprint(of(v)) },
	}
}

// minute returns what has ended within the last minute, or zeros if the host does not report
// it.
func minute(f admin.Function) admin.Window {
	if n := numbers(f); n.Minute != nil {
		return *n.Minute
	}
	return admin.Window{}
}

func numbers(f admin.Function) admin.Numbers {
	if f.Numbers != nil {
		return *f.Numbers
	}
	return admin.Numbers{}
}

// failedShare returns how many calls have failed, and their share of all calls.
func failedShare(w admin.Window) string {
	if w.Failures == 0 {
		return "0"
	}
	return count(w.Failures) + " (" + percent(w.Failures, w.Calls) + ")"
}

func badIf(yes bool) tone {
	if yes {
		return bad
	}
	return plain
}

func stateTone(state string) tone {
	switch state {
	case admin.StateWell:
		return good
	case admin.StateRefusing, admin.StateStuck:
		return warn
	case admin.StateFailing:
		return bad
	}
	return dim
}

func limit(n *admin.Int) string {
	switch {
	case n == nil:
		return "–"
	case *n == 0:
		return "off"
	}
	return count(*n)
}

func integer(n *admin.Int) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(int64(*n), 10)
}

func aliasesOf(f admin.Function) string {
	var out []string
	for _, al := range f.Aliases {
		out = append(out, aliasName(al.Name)+" → "+weights(al.Weights))
	}
	return strings.Join(out, "; ")
}

func (a *app) describeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "describe FUNCTION", Short: "Show one function: its versions, aliases, limits, numbers and your rights", Args: between(1, 1),
		Long:              "Show one function: its versions, aliases, limits, numbers and your rights. With -o json the schema of its input is there, too.",
		ValidArgsFunction: a.completion(always(functionNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := a.function(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return single(a, f, functionColumns(), func() error { return a.describeFunction(f) })
		},
	}
}

// function requests a function from the host.
func (a *app) function(ctx context.Context, name string) (admin.Function, error) {
	c, err := a.host()
	if err != nil {
		return admin.Function{}, err
	}
	f, err := get[admin.Function](ctx, c, path("functions", name), url.Values{})
	return f, meant(ctx, c, err, name)
}

func (a *app) describeFunction(f admin.Function) error {
	pairs := []pair{{"function", f.Name}, {"state", f.State}, {"labels", labels(f.Labels)}, {"limit", limit(f.Limit)}, {"weight", count(f.Weight)}}
	if f.Reserved > 0 {
		pairs = append(pairs, pair{"reserved", count(f.Reserved)})
	}
	pairs = append(pairs, numberPairs(f)...)
	pairs = append(pairs, policyPairs(f.Jobs)...)
	pairs = append(pairs, pair{"you may", strings.Join(f.Rights, ", ")})
	if err := a.describe(pairs...); err != nil {
		return err
	}
	if err := section(a, "Versions", f.Versions, versionColumns()); err != nil {
		return err
	}
	return section(a, "Aliases", f.Aliases, aliasColumns(a))
}

// section prints a table with a title, or nothing if there are no rows.
func section[T any](a *app, title string, items []T, columns []column[T]) error {
	if len(items) == 0 {
		return nil
	}
	if err := a.title(title); err != nil {
		return err
	}
	return table(a, items, columns)
}

func numberPairs(f admin.Function) []pair {
	if f.Numbers == nil {
		return nil
	}
	n, w := f.Numbers, minute(f)
	pairs := []pair{
		{"now", fmt.Sprintf("%s running, %s queued, %s", count(n.InFlight), count(n.Queued), plural(n.Instances, "instance", "instances"))},
		{"last minute", fmt.Sprintf("%s, %s failed, %s refused, %s cold", plural(w.Calls, "call", "calls"), failedShare(w), count(w.Refused), count(w.Cold))},
	}
	if w.Calls > 0 {
		pairs = append(pairs, pair{"run", percentiles(w.Run)}, pair{"wait", percentiles(w.Wait)})
	}
	if n.Runaways > 0 {
		pairs = append(pairs, pair{"stuck", plural(n.Runaways, "handler runs", "handlers run") + " on after the call has ended"})
	}
	if j := n.Jobs; j != nil {
		pairs = append(pairs, pair{"jobs", fmt.Sprintf("%s waiting, %s running, %s dead", count(j.Scheduled+j.Ready+j.Parked), count(j.Running), count(j.Dead))})
	}
	return pairs
}

func percentiles(t admin.Times) string {
	return fmt.Sprintf("p50 %s, p95 %s, p99 %s", duration(float64(t.P50)), duration(float64(t.P95)), duration(float64(t.P99)))
}

func policyPairs(p *admin.JobPolicy) []pair {
	if p == nil {
		return nil
	}
	retries := count(p.Retries)
	if p.FirstNS > 0 {
		retries += ", the first after " + duration(float64(p.FirstNS))
	}
	return []pair{
		{"retries", retries},
		{"max age", duration(float64(p.MaxAgeNS))},
		{"on success", p.OnSuccess},
		{"on failure", p.OnFailure},
	}
}

func versionColumns() []column[admin.Version] {
	return []column[admin.Version]{
		{title: "VERSION", text: func(v admin.Version) string { return v.Version }},
		{title: "INPUT", flex: true, drop: 1, text: func(v admin.Version) string { return v.In }},
		{title: "OUTPUT", flex: true, drop: 1, text: func(v admin.Version) string { return v.Out }},
		timed("TIMEOUT", "", 0, func(v admin.Version) admin.Int { return v.TimeoutNS }),
		{title: "MEMORY", right: true, text: func(v admin.Version) string { return size(v.Memory) }},
		counted("CALLS/MIN", "", 0, func(v admin.Version) admin.Count { return minute(admin.Function{Numbers: v.Numbers}).Calls }),
		counted("FAILED", "", 0, func(v admin.Version) admin.Count { return minute(admin.Function{Numbers: v.Numbers}).Failures }),
		timed("P50", "", 3, func(v admin.Version) admin.Int { return minute(admin.Function{Numbers: v.Numbers}).Run.P50 }),
		timed("P99", "", 2, func(v admin.Version) admin.Int { return minute(admin.Function{Numbers: v.Numbers}).Run.P99 }),
	}
}
