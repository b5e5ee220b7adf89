package main

import (
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

func (a *app) auditCommand() *cobra.Command {
	var most int
	cmd := &cobra.Command{
		Use: "audit", Short: "List what was changed, which inputs were read, and what was denied", Args: between(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.host()
			if err != nil {
				return err
			}
			all, err := get[admin.Audit](cmd.Context(), c, path("audit"), url.Values{"limit": {strconv.Itoa(most)}})
			if err != nil {
				return hinted(err, "To read the audit trail needs the right to manage the host.")
			}
			return list(a, all, all.Entries, auditColumns(a), "Nothing was changed, and nothing denied, since the host has started.")
		},
	}
	cmd.Flags().IntVarP(&most, "limit", "n", 20, "how many at most, up to 1000")
	return cmd
}

func auditColumns(a *app) []column[admin.AuditEntry] {
	return []column[admin.AuditEntry]{
		{title: "TIME", field: "time", text: func(e admin.AuditEntry) string { return moment(e.Time, a.now()) }, raw: func(e admin.AuditEntry) string { return stamp(e.Time) }},
		{title: "WHO", field: "who", flex: true, text: func(e admin.AuditEntry) string { return or(e.Who.ID) }, raw: func(e admin.AuditEntry) string { return e.Who.ID }},
		{title: "FROM", field: "from", drop: 3, text: func(e admin.AuditEntry) string { return e.From }},
		{title: "VERB", field: "verb", text: func(e admin.AuditEntry) string { return or(e.Verb) }, raw: func(e admin.AuditEntry) string { return e.Verb }},
		{title: "FUNCTION", field: "function", flex: true, text: func(e admin.AuditEntry) string { return e.Function }},
		{title: "TENANT", field: "tenant", drop: 2, flex: true, text: func(e admin.AuditEntry) string { return e.Tenant }},
		{title: "OBJECT", field: "object", flex: true, text: func(e admin.AuditEntry) string { return e.Object }},
		{title: "DETAIL", field: "detail", flex: true, text: func(e admin.AuditEntry) string { return e.Detail }},
		{title: "STATUS", field: "status", drop: 4, right: true, text: func(e admin.AuditEntry) string { return strconv.Itoa(e.Status) }},
		{title: "RESULT", field: "result", text: func(e admin.AuditEntry) string { return e.Result }, tone: auditTone},
	}
}

func auditTone(e admin.AuditEntry) tone {
	switch e.Result {
	case admin.ResultDone:
		return plain
	case admin.ResultDenied:
		return bad
	}
	return warn
}
