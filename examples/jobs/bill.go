package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/examples/internal/table"
)

// newLedger returns a ledger that counts by job. It asks the router for the state in which a job has ended.
func newLedger(book *cost.Book, job func(uuid.UUID) *faas.Job[[]byte]) *cost.Ledger {
	ledger := cost.NewLedger(cost.Calendar{}, book)
	ledger.CountJobs(10_000, func(id uuid.UUID) (faas.JobState, bool) {
		info, err := job(id).Info(context.Background())
		return info.State, err == nil
	})
	return ledger
}

// printBill prints the cost of each job, and how much of the total went to retries and to dead jobs.
func printBill(w io.Writer, ledger *cost.Ledger, book *cost.Book, job func(uuid.UUID) *faas.Job[[]byte]) error {
	statement, err := ledger.Statement(time.Now(), book)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "\nWhat each job has cost at Lambda's prices:")
	lines := table.New("FUNCTION", "STATE", "RUNS", "SENT AS", book.About().Currency)
	rows := statement.By(cost.Function, cost.Job).Rows
	slices.SortStableFunc(rows, func(a, b cost.Row) int { return cmp.Compare(a.Function, b.Function) })
	for _, row := range rows {
		state, as := "", ""
		if info, err := job(row.Job).Info(context.Background()); err == nil {
			state, as = info.State.String(), info.Labels["as"]
		}
		lines.Line(row.Function, state, row.Calls, as, row.List.Round(9))
	}
	lines.Line("all", "", statement.Total.Calls, "", statement.Total.List.Round(9))
	lines.Print(w)

	fmt.Fprintln(w, "\nWhat it was spent on:")
	spent := table.New("SPENT ON", "RUNS", book.About().Currency)
	for _, row := range statement.By(cost.SpentOn).Rows {
		spent.Line(row.Spent, row.Calls, row.List.Round(9))
	}
	spent.Print(w)
	return nil
}
