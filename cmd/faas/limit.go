package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

func (a *app) limitCommand() *cobra.Command {
	var capacity int64
	cmd := &cobra.Command{
		Use: "limit FUNCTION [N|off|none]", Short: "Show or change how many calls of a function may run at once",
		Long: `Show or change how many calls of a function may run at once. With off its calls are refused; with none only the capacity
of the host limits them, which --capacity sets:

  faas limit export 4
  faas limit export off
  faas limit --capacity 40`,
		Args:              between(0, 2),
		ValidArgsFunction: a.completion(always(functionNames), always(fixed("off", "none"))),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.host()
			switch {
			case err != nil:
				return err
			case cmd.Flags().Changed("capacity") == (len(args) > 0):
				return &exitError{code: exitUsage, text: "this takes a function, or --capacity", hint: "Usage: " + cmd.UseLine()}
			case len(args) == 0:
				return a.setCapacity(cmd.Context(), c, capacity)
			case len(args) == 1:
				return a.showLimit(cmd.Context(), args[0])
			}
			return a.setLimit(cmd.Context(), c, args[0], args[1])
		},
	}
	cmd.Flags().Int64Var(&capacity, "capacity", 0, "how `many` calls may run at once in the whole host")
	return cmd
}

func fixed(names ...string) completes {
	return func(context.Context, *client) ([]string, error) { return names, nil }
}

func (a *app) showLimit(ctx context.Context, name string) error {
	f, err := a.function(ctx, name)
	if err != nil {
		return err
	}
	return a.limited(admin.Limit{Function: name, Limit: f.Limit})
}

func (a *app) setCapacity(ctx context.Context, c *client, n int64) error {
	out, err := put[admin.Limit](ctx, c, path("capacity"), admin.CapacityChange{Capacity: admin.Int(n)})
	if err != nil {
		return hinted(err, "To change the capacity needs the right to manage the host.")
	}
	return a.limited(out)
}

func (a *app) setLimit(ctx context.Context, c *client, name, text string) error {
	n, err := parseLimit(text)
	if err != nil {
		return err
	}
	out, err := put[admin.Limit](ctx, c, path("functions", name, "limit"), admin.LimitChange{Limit: n})
	if err != nil {
		return meant(ctx, c, err, name)
	}
	return a.limited(out)
}

// parseLimit parses a limit. Nil means that there is no limit.
func parseLimit(text string) (*admin.Int, error) {
	switch text {
	case "none":
		return nil, nil //nolint:nilnil // no limit
	case "off":
		text = "0"
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return nil, usagef("%q is not a limit: give a number, off or none", text)
	}
	out := admin.Int(n)
	return &out, nil
}

func (a *app) limited(l admin.Limit) error {
	columns := []column[admin.Limit]{
		{field: "function", text: func(l admin.Limit) string { return l.Function }},
		{field: "limit", text: func(l admin.Limit) string { return integer(l.Limit) }},
	}
	return single(a, l, columns, func() error {
		what := printable(l.Function)
		if what == "" {
			what = "the host"
		}
		switch {
		case l.Limit == nil:
			return a.print(what + ": no limit but the capacity of the host")
		case *l.Limit == 0:
			return a.print(what + ": off; its calls are refused")
		}
		return a.print(what + ": at most " + plural(admin.Count(*l.Limit), "call", "calls") + " at once")
	})
}
