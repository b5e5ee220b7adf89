package cost_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// The statement shows what retries have cost this month, and what was spent on jobs that are
// dead.
func ExampleLedger_CountJobs() {
	book, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	ledger := cost.NewLedger(cost.Calendar{}, book)
	r := faas.New(faas.WithMeter(ledger), faas.WithRetry(faas.Retry{Max: 2, First: time.Millisecond}))
	ledger.CountJobs(10_000, func(id uuid.UUID) (faas.JobState, bool) {
		info, err := r.Job(id).Info(ctx)
		return info.State, err == nil
	})
	mail := faas.Register(r, "mail", func(ctx context.Context, to string) (string, error) {
		inv, _ := faas.FromContext(ctx)
		if to == "nobody" || inv.Attempt == 1 {
			return "", errors.New("the server is busy")
		}
		return "sent to " + to, nil
	})

	jobs, err := mail.SendAll(ctx, []string{"ana", "bo", "nobody"})
	if err != nil {
		panic(err)
	}
	for _, job := range jobs {
		_, _ = job.Wait(ctx) // the third one is dead
	}
	statement, err := ledger.Statement(time.Now(), book)
	if err != nil {
		panic(err)
	}
	for _, row := range statement.By(cost.SpentOn).Rows {
		fmt.Println(row.Spent, row.Calls, row.List.Sign() > 0)
	}
	fmt.Println(r.Shutdown(ctx))
	// Output:
	// first attempt 2 true
	// retry 2 true
	// dead letter 3 true
	// <nil>
}
