package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

func (a *app) tenantsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tenants [TENANT]", Short: "Show what tenants have used, what that costs, and their budgets", Args: between(0, 1),
		ValidArgsFunction: a.completion(always(tenantNames)),
	}
	p := a.periodFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		query, err := a.periodQuery(p)
		if err != nil {
			return err
		}
		if len(args) > 0 {
			query.Set("tenant", args[0])
		}
		c, err := a.host()
		if err != nil {
			return err
		}
		all, err := get[admin.Tenants](cmd.Context(), c, path("tenants"), query)
		if err != nil {
			return err
		}
		return list(a, all, all.Tenants, tenantColumns(&all), "No tenant that you may see has used anything.")
	}
	return cmd
}

func tenantColumns(all *admin.Tenants) []column[admin.Tenant] {
	return []column[admin.Tenant]{
		{title: "TENANT", field: "tenant", flex: true, text: func(t admin.Tenant) string { return or(t.Tenant) }, raw: func(t admin.Tenant) string { return t.Tenant }},
		counted("FUNCTIONS", "functions", 2, func(t admin.Tenant) admin.Count { return t.Functions }),
		counted("CALLS", "calls", 0, func(t admin.Tenant) admin.Count { return t.Calls }),
		counted("FAILED", "failures", 0, func(t admin.Tenant) admin.Count { return t.Failures }),
		summed("DURATION", "durationNS", 1, func(t admin.Tenant) string { return t.DurationNS }),
		{title: currency(all.Book), field: "list", right: true, text: func(t admin.Tenant) string { return cost(t.List) }, raw: func(t admin.Tenant) string { return t.List }},
		{title: "BUDGETS", field: "budgets", flex: true, text: budgets, tone: budgetTone},
	}
}

// budgets describes the accounts of a tenant: how much of each is spent.
func budgets(t admin.Tenant) string {
	var out []string
	for i := range t.Budgets {
		b := &t.Budgets[i]
		out = append(out, b.Budget+" "+digits(100*b.Part)+"% of "+b.Limit)
	}
	return strings.Join(out, "; ")
}

func budgetTone(t admin.Tenant) tone {
	worst := plain
	for i := range t.Budgets {
		switch b := &t.Budgets[i]; {
		case b.Refused || b.Part >= 1:
			return bad
		case b.Part >= 0.8:
			worst = warn
		}
	}
	return worst
}

func tenantNames(ctx context.Context, c *client) ([]string, error) {
	all, err := get[admin.Tenants](ctx, c, path("tenants"), nil)
	var names []string
	for i := range all.Tenants {
		names = append(names, all.Tenants[i].Tenant)
	}
	return names, err
}
