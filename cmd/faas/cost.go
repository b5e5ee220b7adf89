package main

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

// period selects the usage that is shown.
type period struct{ source, at, book string }

func (a *app) periodFlags(cmd *cobra.Command) *period {
	p := &period{}
	cmd.Flags().StringVar(&p.source, "source", "", "`ledger` or recorder; otherwise the ledger if there is one")
	cmd.Flags().StringVar(&p.at, "at", "", "a `time` in the ledger's period, or how long ago; otherwise now")
	cmd.Flags().StringVar(&p.book, "book", "", "the price `list`; otherwise the first")
	choices(cmd, "source", "ledger", "recorder")
	a.flagNames(cmd, "book", func(ctx context.Context, c *client) ([]string, error) {
		usage, err := get[admin.Usage](ctx, c, path("usage"), nil)
		return usage.Books, err
	})
	return p
}

func (a *app) periodQuery(p *period) (url.Values, error) {
	query := url.Values{}
	at, err := a.when("at", p.at)
	setIf(query, "source", p.source)
	setIf(query, "at", at)
	setIf(query, "book", p.book)
	return query, err
}

func (a *app) costsCommand() *cobra.Command {
	by := "function"
	cmd := &cobra.Command{
		Use: "costs", Short: "Show what calls have used, and what that costs at list prices", Args: between(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
	}
	p := a.periodFlags(cmd)
	cmd.Flags().StringVar(&by, "by", by, "some of function,version,tenant,outcome,spentOn")
	choices(cmd, "by", "function", "version", "tenant", "outcome", "spentOn", "function,tenant")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query, err := a.periodQuery(p)
		if err != nil {
			return err
		}
		query.Set("by", by)
		c, err := a.host()
		if err != nil {
			return err
		}
		usage, err := get[admin.Usage](cmd.Context(), c, path("usage"), query)
		if err != nil {
			return err
		}
		return a.showUsage(&usage)
	}
	return cmd
}

func (a *app) showUsage(u *admin.Usage) error {
	columns := useColumns(u, a.text())
	if !a.text() || len(u.Rows) == 0 {
		return list(a, u, u.Rows, columns, "Nothing that you may see was used.")
	}
	total := u.Total
	names := []*string{&total.Function, &total.Version, &total.Tenant, &total.Outcome, &total.SpentOn}
	for i, name := range []string{"function", "version", "tenant", "outcome", "spentOn"} {
		if len(u.By) > 0 && name == u.By[0] {
			*names[i] = "all"
		}
	}
	rows := slices.Concat(sortedByCost(u.Rows), []admin.Use{total})
	if err := table(a, rows, columns); err != nil {
		return err
	}
	return a.print(usageNotes(u)...)
}

// sortedByCost sorts rows by their cost, the highest first.
func sortedByCost(rows []admin.Use) []admin.Use {
	return slices.SortedStableFunc(slices.Values(rows), func(x, y admin.Use) int { return compareDecimals(y.List, x.List) })
}

// usageNotes returns lines that say from when the numbers are, and by which prices.
func usageNotes(u *admin.Usage) []string {
	notes := []string{"", "Since " + u.Start.UTC().Format("2006-01-02 15:04 UTC") + ", by the " + printable(u.Source) + "."}
	if u.Book != nil {
		notes = append(notes, printable(u.Book.Currency+" at the list prices of "+u.Book.Title+"."))
	}
	return notes
}

func useColumns(u *admin.Usage, text bool) []column[admin.Use] {
	of := map[string]func(admin.Use) string{
		"function": func(v admin.Use) string { return v.Function }, "version": func(v admin.Use) string { return v.Version },
		"tenant": func(v admin.Use) string { return v.Tenant }, "outcome": func(v admin.Use) string { return v.Outcome },
		"spentOn": func(v admin.Use) string { return v.SpentOn },
	}
	var columns []column[admin.Use]
	for _, by := range u.By {
		if of[by] != nil {
			columns = append(columns, column[admin.Use]{title: strings.ToUpper(by), field: by, flex: true, text: func(v admin.Use) string { return or(of[by](v)) }, raw: of[by]})
		}
	}
	columns = append(columns,
		counted("CALLS", "calls", 0, func(v admin.Use) admin.Count { return v.Calls }),
		summed("DURATION", "durationNS", 1, func(v admin.Use) string { return v.DurationNS }),
		summed("INIT", "initNS", 2, func(v admin.Use) string { return v.InitNS }),
		column[admin.Use]{title: currency(u.Book), field: "list", right: true, text: func(v admin.Use) string { return cost(v.List) }, raw: func(v admin.Use) string { return v.List }},
	)
	if u.Total.Unrated > 0 || !text {
		columns = append(columns, counted("UNRATED", "unrated", 0, func(v admin.Use) admin.Count { return v.Unrated }))
	}
	return columns
}

// summed is a column of a sum of durations. The sum is a string of digits.
func summed[T any](title, field string, drop int, of func(T) string) column[T] {
	return column[T]{title: title, field: field, right: true, drop: drop, raw: of, text: func(v T) string { return duration(number(of(v))) }}
}

func currency(b *admin.Book) string {
	if b == nil {
		return "COST"
	}
	return b.Currency
}

// cost returns an amount, or a dash if nothing is priced.
func cost(list string) string {
	if list == "" {
		return "–"
	}
	return money(list)
}
