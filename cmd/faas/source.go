package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

func (a *app) sourceCommand() *cobra.Command {
	return group("source", "List, pause and resume the sources of events", a.sourceLsCommand(),
		a.sourceSetCommand("pause", "Have a source take no more events"), a.sourceSetCommand("resume", "Undo a pause"))
}

func (a *app) sourceLsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the sources, and how far they lag behind", Args: between(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.host()
			if err != nil {
				return err
			}
			all, err := get[admin.Sources](cmd.Context(), c, path("sources"), nil)
			if err != nil {
				return err
			}
			return list(a, all, all.Sources, sourceColumns(a), "There are no sources that you may see.")
		},
	}
}

func (a *app) sourceSetCommand(verb, short string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " SOURCE", Short: short, Args: between(1, 1), ValidArgsFunction: a.completion(always(sourceNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.host()
			if err != nil {
				return err
			}
			out, err := post[admin.Source](cmd.Context(), c, path("sources", args[0], verb), nil)
			if err != nil {
				return hinted(err, "faas source ls shows the sources; to "+verb+" one needs the right to manage its function.")
			}
			return single(a, out, sourceColumns(a), func() error { return a.print(printable(out.Name + " is " + out.State)) })
		},
	}
}

func sourceColumns(a *app) []column[admin.Source] {
	return []column[admin.Source]{
		{title: "SOURCE", field: "source", flex: true, text: func(s admin.Source) string { return s.Name }},
		{title: "FUNCTION", field: "function", flex: true, text: func(s admin.Source) string { return s.Function }},
		{title: "STATE", field: "state", text: func(s admin.Source) string { return s.State }, tone: func(s admin.Source) tone { return sourceTone(s.State) }},
		{title: "SINCE", field: "since", drop: 5, text: func(s admin.Source) string { return moment(s.Since, a.now()) }, raw: func(s admin.Source) string { return stamp(s.Since) }},
		{title: "LAG", field: "lag", right: true, text: func(s admin.Source) string { return lag(s.Lag) }, raw: func(s admin.Source) string { return integer(s.Lag) }},
		{title: "OLDEST", field: "lagNS", right: true, drop: 4, text: func(s admin.Source) string { return age(s.LagNS) }, raw: func(s admin.Source) string { return integer(s.LagNS) }},
		counted("RECEIVED", "received", 3, func(s admin.Source) admin.Count { return s.Received }),
		counted("ACCEPTED", "accepted", 2, func(s admin.Source) admin.Count { return s.Accepted }),
		counted("REJECTED", "rejected", 1, func(s admin.Source) admin.Count { return s.Rejected }),
		{title: "ERROR", field: "lastError", drop: 1, flex: true, text: func(s admin.Source) string { return deref(s.LastError) }},
	}
}

func sourceTone(state string) tone {
	switch state {
	case "running":
		return good
	case "restarting":
		return bad
	}
	return warn
}

func lag(n *admin.Int) string {
	if n == nil {
		return "–"
	}
	return count(*n)
}

func age(ns *admin.Int) string {
	if ns == nil {
		return "–"
	}
	return duration(float64(*ns))
}

func sourceNames(ctx context.Context, c *client) ([]string, error) {
	all, err := get[admin.Sources](ctx, c, path("sources"), nil)
	var names []string
	for i := range all.Sources {
		names = append(names, all.Sources[i].Name+"\t"+all.Sources[i].State)
	}
	return names, err
}
