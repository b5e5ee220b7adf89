package main

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

func (a *app) jobsCommand() *cobra.Command {
	return group("jobs", "List, cancel, replay and purge jobs", a.jobLsCommand(), a.jobShowCommand(),
		a.bulkCommand(&order{
			verb: "cancel", use: "cancel [ID...]", short: "Cancel jobs that have not ended: those given, or all that flags select", ids: true, done: "canceled",
		}),
		a.bulkCommand(&order{
			verb: "replay", use: "replay [ID...]", short: "Make new jobs of those that have ended: of those given, or of all that flags select", ids: true, input: true, done: "replayed",
		}),
		a.bulkCommand(&order{verb: "purge", use: "purge", short: "Forget jobs that have ended: all that flags select", done: "purged"}))
}

// jobFlags are the flags that select jobs.
type jobFlags struct {
	function, tenant, orderKey, condition, after, before string
	states, labels                                       []string
}

func jobStates() []string {
	return []string{"scheduled", "ready", "running", "parked", "succeeded", "dead", "canceled"}
}

func (a *app) jobFlags(cmd *cobra.Command) *jobFlags {
	f, flags := &jobFlags{}, cmd.Flags()
	flags.StringVar(&f.function, "function", "", "of that `function`, whatever the version")
	flags.StringVar(&f.tenant, "tenant", "", "of that `tenant`; empty: of none in particular")
	flags.StringSliceVar(&f.states, "state", nil, "in one of these `states`: "+strings.Join(jobStates(), ", "))
	flags.StringVar(&f.condition, "condition", "", "that ended so: RetriesExhausted, EventAgeExceeded, …")
	flags.StringVar(&f.orderKey, "order-key", "", "with that order `key`")
	flags.StringSliceVar(&f.labels, "label", nil, "with that label, `name=value`")
	flags.StringVar(&f.after, "after", "", "accepted after a `time`, or so long ago: 2h")
	flags.StringVar(&f.before, "before", "", "accepted before a `time`, or so long ago")
	a.flagNames(cmd, "function", functionNames)
	a.flagNames(cmd, "tenant", tenantNames)
	choices(cmd, "state", jobStates()...)
	return f
}

// query returns the selection as query parameters.
func (f *jobFlags) query(a *app, cmd *cobra.Command) (url.Values, error) {
	query := url.Values{"state": f.states, "label": f.labels}
	setIf(query, "function", f.function)
	setIf(query, "condition", f.condition)
	setIf(query, "orderKey", f.orderKey)
	if cmd.Flags().Changed("tenant") {
		query.Set("tenant", f.tenant)
	}
	for name, text := range map[string]string{"after": f.after, "before": f.before} {
		at, err := a.when(name, text)
		if err != nil {
			return nil, err
		}
		setIf(query, name, at)
	}
	return query, nil
}

// filter returns the selection as it is in the body of a request about many jobs.
func (f *jobFlags) filter(a *app, cmd *cobra.Command) (admin.JobFilter, error) {
	out := admin.JobFilter{Function: f.function, OrderKey: f.orderKey, Condition: f.condition, States: f.states}
	if cmd.Flags().Changed("tenant") {
		out.Tenant = &f.tenant
	}
	for _, label := range f.labels {
		name, value, ok := strings.Cut(label, "=")
		if !ok {
			return out, usagef("--label is name=value, not %q", label)
		}
		if out.Labels == nil {
			out.Labels = map[string]string{}
		}
		out.Labels[name] = value
	}
	var err error
	if out.After, err = a.instant("after", f.after); err != nil {
		return out, err
	}
	out.Before, err = a.instant("before", f.before)
	return out, err
}

// instant parses a flag that is a time; zero if the flag is not given.
func (a *app) instant(flag, text string) (time.Time, error) {
	at, err := a.when(flag, text)
	if err != nil || at == "" {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339, at)
}

func (a *app) jobLsCommand() *cobra.Command {
	var most int
	cmd := &cobra.Command{Use: "ls", Short: "List jobs, in the order in which they were accepted", Args: between(0, 0), ValidArgsFunction: cobra.NoFileCompletions}
	f := a.jobFlags(cmd)
	cmd.Flags().IntVarP(&most, "limit", "n", 50, "how many at most")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query, err := f.query(a, cmd)
		if err != nil {
			return err
		}
		if most < 1 {
			return usagef("--limit is at least 1")
		}
		c, err := a.host()
		if err != nil {
			return err
		}
		all, err := pages(cmd.Context(), c, query, most)
		if err != nil {
			return err
		}
		return a.showJobs(all)
	}
	return cmd
}

// pages requests pages of jobs, until there are enough.
func pages(ctx context.Context, c *client, query url.Values, most int) (all admin.Jobs, err error) {
	all.Jobs = []admin.Job{}
	for {
		query.Set("limit", strconv.Itoa(min(most-len(all.Jobs), 1000)))
		page, err := get[admin.Jobs](ctx, c, path("jobs"), query)
		if err != nil {
			return all, err
		}
		all.Jobs, all.Next = append(all.Jobs, page.Jobs...), page.Next
		if page.Next == "" || len(all.Jobs) >= most {
			return all, nil
		}
		query.Set("cursor", page.Next)
	}
}

func (a *app) showJobs(all admin.Jobs) error {
	if err := list(a, all, all.Jobs, jobColumns(a), "There are no such jobs that you may see."); err != nil {
		return err
	}
	if a.text() && all.Next != "" {
		return a.print("", "There are more: select some by --state, --function, …, or give -n.")
	}
	return nil
}

func jobColumns(a *app) []column[admin.Job] {
	return []column[admin.Job]{
		{title: "ACCEPTED", field: "accepted", drop: 4, text: func(j admin.Job) string { return moment(j.Accepted, a.now()) }, raw: func(j admin.Job) string { return stamp(j.Accepted) }},
		{title: "ID", field: "id", text: func(j admin.Job) string { return j.ID }},
		{title: "FUNCTION", field: "function", flex: true, text: func(j admin.Job) string { return j.Function }},
		{title: "TENANT", field: "tenant", drop: 2, flex: true, text: func(j admin.Job) string { return j.Tenant }},
		{title: "STATE", field: "state", text: func(j admin.Job) string { return j.State }, tone: jobTone},
		{title: "TRIES", field: "attempts", right: true, drop: 3, text: func(j admin.Job) string { return count(j.Attempts) }, raw: func(j admin.Job) string { return integer(&j.Attempts) }},
		timed("USED", "usedNS", 5, func(j admin.Job) admin.Int { return j.UsedNS }),
		{title: "WHY", field: "why", flex: true, text: why},
	}
}

func jobTone(j admin.Job) tone {
	switch j.State {
	case "dead":
		return bad
	case "parked":
		return warn
	case "succeeded":
		return good
	}
	return plain
}

// why returns what a job waits for, or how it has ended.
func why(j admin.Job) string {
	switch {
	case j.Waiting != nil:
		return "waits: " + j.Waiting.For
	case j.State == "dead" && j.Last != nil && j.Last.Error != nil:
		return j.Condition + ": " + *j.Last.Error
	case j.Progress != nil:
		return progress(j.Progress)
	case j.Condition == "Success":
		return ""
	}
	return j.Condition
}

func progress(p *admin.Progress) string {
	return strings.TrimSpace(count(p.Done) + " of " + count(p.Total) + " " + p.Note)
}

func (a *app) jobShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one job, with its input and output", Args: between(1, 1), ValidArgsFunction: a.completion(always(jobNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.host()
			if err != nil {
				return err
			}
			j, err := get[admin.Job](cmd.Context(), c, path("jobs", args[0]), nil)
			if err != nil {
				return hinted(err, "faas jobs ls lists the jobs that the host still keeps.")
			}
			return single(a, j, jobColumns(a), func() error { return a.describeJob(cmd.Context(), c, &j) })
		},
	}
}

func (a *app) describeJob(ctx context.Context, c *client, j *admin.Job) error {
	pairs := []pair{
		{"job", j.ID},
		{"function", j.Function},
		{"tenant", j.Tenant},
		{"state", j.State},
		{"why", why(*j)},
		{"accepted", full(j.Accepted)},
		{"due", full(j.Due)},
		{"expires", full(j.Expires)},
		{"settled", full(j.Settled)},
		{"attempts", count(j.Attempts)},
		{"used", duration(float64(j.UsedNS))},
		{"labels", labels(j.Labels)},
		{"order key", j.OrderKey},
		{"unique key", j.UniqueKey},
		{"from", from(j.Origin)},
		{"replay of", j.ReplayOf},
	}
	if j.Waiting != nil {
		pairs = append(pairs, pair{"until", full(j.Waiting.Until)}, pair{"behind", j.Waiting.Job})
	}
	if j.Last != nil {
		pairs = append(pairs, pair{"last call", j.Last.Invocation}, pair{"ended", delivered(j.Last)}, pair{"error", deref(j.Last.Error)})
	}
	if err := a.describe(pairs...); err != nil {
		return err
	}
	if err := a.showData(ctx, c, "Input", path("jobs", j.ID, "input")); err != nil {
		return err
	}
	if j.State != "succeeded" {
		return nil
	}
	return a.showData(ctx, c, "Output", path("jobs", j.ID, "output"))
}

func full(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// delivered describes how a delivery has ended.
func delivered(d *admin.Delivery) string {
	text := d.Outcome
	if text == "" {
		text = "refused, " + d.Kind
	}
	return text + " after " + duration(float64(d.DurationNS))
}

// showData prints an input or an output, if there is one and it may be seen.
func (a *app) showData(ctx context.Context, c *client, title, path string) error {
	data, err := get[admin.Data](ctx, c, path, nil)
	if err != nil {
		return unlessAbsent(err)
	}
	if data.Text == nil {
		return nil
	}
	if err := a.title(title); err != nil {
		return err
	}
	return a.print(lines(*data.Text))
}

// jobNames completes the IDs of the host's last jobs, with their function and state.
func jobNames(ctx context.Context, c *client) ([]string, error) {
	all, err := get[admin.Jobs](ctx, c, path("jobs"), url.Values{"limit": {"1000"}})
	var names []string
	for i := range all.Jobs {
		names = append(names, all.Jobs[i].ID+"\t"+all.Jobs[i].Function+" "+all.Jobs[i].State)
	}
	return names, err
}
