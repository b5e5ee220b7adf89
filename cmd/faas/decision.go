package main

import (
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

func (a *app) decisionsCommand() *cobra.Command {
	var most int
	cmd := &cobra.Command{
		Use: "decisions [FUNCTION]", Short: "List changes of scale and moves of aliases, and why they were made", Args: between(0, 1),
		ValidArgsFunction: a.completion(always(functionNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.host()
			if err != nil {
				return err
			}
			query := url.Values{"limit": {strconv.Itoa(most)}}
			if len(args) > 0 {
				query.Set("function", args[0])
			}
			all, err := get[admin.Decisions](cmd.Context(), c, path("decisions"), query)
			if err != nil {
				return err
			}
			return list(a, all, all.Decisions, decisionColumns(a), "Nothing that you may see was decided.")
		},
	}
	cmd.Flags().IntVarP(&most, "limit", "n", 20, "how many at most, up to 1000")
	return cmd
}

func decisionColumns(a *app) []column[admin.Decision] {
	return []column[admin.Decision]{
		{title: "TIME", field: "time", text: func(d admin.Decision) string { return moment(d.Time, a.now()) }, raw: func(d admin.Decision) string { return stamp(d.Time) }},
		{title: "FUNCTION", field: "function", flex: true, text: decided, raw: func(d admin.Decision) string { return d.Function }},
		{title: "VERSION", field: "version", drop: 3, text: func(d admin.Decision) string { return d.Version }},
		{title: "CHANGE", field: "change", text: change},
		{title: "WHY", field: "rule", flex: true, text: func(d admin.Decision) string { return d.Rule }},
		{title: "LOAD", drop: 1, text: load},
		{title: "BY", field: "by", drop: 2, flex: true, text: func(d admin.Decision) string { return d.By }},
	}
}

// decided returns what the decision is about.
func decided(d admin.Decision) string {
	switch {
	case d.Alias != nil:
		return d.Function + ":" + aliasName(*d.Alias)
	case d.Function == "":
		return "(the host)"
	}
	return d.Function
}

func change(d admin.Decision) string {
	if d.Alias == nil {
		return count(d.From) + " → " + count(d.To)
	}
	return or(weights(d.Before)) + " → " + or(weights(d.After))
}

func load(d admin.Decision) string {
	if d.Load == nil {
		return ""
	}
	return digits(d.Load.Stable) + " in use, " + count(d.Load.Queued) + " queued"
}
