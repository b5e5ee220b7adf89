package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

// order is a command that changes jobs: those whose IDs are given, or all that a filter
// selects.
type order struct {
	verb, use, short string
	done             string // what it has done to a job, in the past tense
	ids              bool   // it takes IDs as arguments
	input            bool   // with one ID, it takes another input
}

func (a *app) bulkCommand(o *order) *cobra.Command {
	var all bool
	var data string
	cmd := &cobra.Command{Use: o.use, Short: o.short, Args: between(0, 0), ValidArgsFunction: cobra.NoFileCompletions}
	cmd.Long = o.short + ". Many are counted first, and you are asked:\n\n  faas jobs " + o.verb + " --function mail --state dead"
	f := a.jobFlags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all jobs: no other flag is needed")
	if o.ids {
		cmd.Args = between(0, -1)
		cmd.ValidArgsFunction = func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
			return a.names(cmd, jobNames, begun)
		}
	}
	if o.input {
		cmd.Flags().StringVarP(&data, "data", "d", "", "of one job: "+inputHelp)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		selects := all || isSelecting(cmd)
		switch {
		case len(args) > 0 && selects:
			return usagef("give IDs, or flags that select jobs, and not both")
		case len(args) > 0:
			return a.orderEach(cmd, o, args, data)
		case !selects:
			return usagef("say which jobs: give IDs, or flags such as --state dead --function mail, or --all")
		}
		filter, err := f.filter(a, cmd)
		if err != nil {
			return err
		}
		return a.orderAll(cmd.Context(), o, filter)
	}
	return cmd
}

// isSelecting reports whether a flag that selects jobs was given.
func isSelecting(cmd *cobra.Command) bool {
	for _, name := range []string{"function", "tenant", "state", "condition", "order-key", "label", "after", "before"} {
		if cmd.Flags().Changed(name) {
			return true
		}
	}
	return false
}

// orderEach changes jobs one by one, and continues after a failure.
func (a *app) orderEach(cmd *cobra.Command, o *order, ids []string, data string) error {
	c, err := a.host()
	if err != nil {
		return err
	}
	body, err := a.orderBody(cmd, o, ids, data)
	if err != nil {
		return err
	}
	var done []admin.Job
	var failed []error
	for _, id := range ids {
		j, err := post[admin.Job](cmd.Context(), c, path("jobs", id, o.verb), body)
		if err != nil {
			failed = append(failed, about(id, err))
			continue
		}
		done = append(done, j)
	}
	if len(done) > 0 {
		if err := list(a, admin.Jobs{Jobs: done}, done, jobColumns(a), ""); err != nil {
			return err
		}
	}
	return first(failed)
}

// orderBody returns the request body of a replay with another input, or nil.
func (a *app) orderBody(cmd *cobra.Command, o *order, ids []string, data string) (any, error) {
	if !o.input || !cmd.Flags().Changed("data") {
		return nil, nil //nolint:nilnil // no body
	}
	if len(ids) > 1 {
		return nil, usagef("an input is for one job")
	}
	return a.input(cmd, data)
}

// about adds the ID of the job to an error.
func about(id string, err error) error {
	if f, ok := errors.AsType[*exitError](err); ok {
		f.text = id + ": " + f.text
	}
	return hinted(err, "faas jobs ls lists the jobs that the host still keeps.")
}

// first returns the first of several errors, with the number of errors in its text.
func first(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	var f *exitError
	if len(errs) > 1 && errors.As(errs[0], &f) {
		f.text += fmt.Sprintf(" (and %d more have failed)", len(errs)-1)
	}
	return errs[0]
}

// orderAll counts the jobs, asks for confirmation, and changes them if the count is still the
// same.
func (a *app) orderAll(ctx context.Context, o *order, filter admin.JobFilter) error {
	c, err := a.host()
	if err != nil {
		return err
	}
	body := admin.BulkRequest{Filter: filter}
	counted, err := post[admin.Bulk](ctx, c, path("jobs", o.verb), body)
	if err != nil {
		return err
	}
	if counted.Matched == 0 {
		return a.ordered(o, counted)
	}
	what := strings.ToUpper(o.verb[:1]) + o.verb[1:] + " " + plural(counted.Matched, "job", "jobs")
	if err := a.confirm(ctx, what); err != nil {
		return err
	}
	body.Expect = &counted.Matched
	out, err := post[admin.Bulk](ctx, c, path("jobs", o.verb), body)
	if err != nil {
		return err
	}
	return a.ordered(o, out)
}

func (a *app) ordered(o *order, b admin.Bulk) error {
	columns := []column[admin.Bulk]{
		counted("MATCHED", "matched", 0, func(b admin.Bulk) admin.Count { return b.Matched }),
		counted("DONE", "done", 0, func(b admin.Bulk) admin.Count { return b.Done }),
		counted("FAILED", "failed", 0, func(b admin.Bulk) admin.Count { return b.Failed }),
		{field: "reason", text: func(b admin.Bulk) string { return b.Reason }},
	}
	err := single(a, b, columns, func() error {
		if b.Matched == 0 {
			return a.print("No such job is there that you may " + o.verb + ".")
		}
		return a.print(plural(b.Done, "job is", "jobs are") + " " + o.done + ".")
	})
	if err == nil && b.Failed > 0 {
		return failedf("%s failed; the first because: %s", plural(b.Failed, "job has", "jobs have"), b.Reason)
	}
	return err
}
