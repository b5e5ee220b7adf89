package ledgersqlite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/cost/ledgersqlite"
)

func Example() {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	ledger, err := ledgersqlite.Open(filepath.Join(dir, "calls.db"))
	if err != nil {
		log.Fatal(err)
	}
	r := faas.New(faas.WithMeter(ledger))
	greet := faas.Register(r, "greet", func(_ context.Context, name string) (string, error) {
		return "Hello, " + name, nil
	})
	for _, tenant := range []string{"acme", "acme", "zenith"} {
		if _, err := greet.Invoke(faas.WithTenant(ctx, tenant), "Ada"); err != nil {
			log.Fatal(err)
		}
	}
	if err := r.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}

	for rec, err := range ledger.Records(ctx, ledgersqlite.Filter{Tenants: []string{"acme"}}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(rec.Function, rec.Tenant, rec.Outcome)
	}
	found, err := ledger.Reconcile(ctx, ledger.Counters(r))
	fmt.Println("differences:", len(found), err)
	fmt.Println(ledger.Close())
	// Output:
	// greet acme OK
	// greet acme OK
	// differences: 0 <nil>
	// <nil>
}

// Stored records are rated by a book that nobody had thought of when they were made.
func ExampleReader_Replay() {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	ledger, err := ledgersqlite.Open(filepath.Join(dir, "calls.db"))
	if err != nil {
		log.Fatal(err)
	}
	defer ledger.Close()
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	ledger.Record(ctx, faas.Execution{ID: faasID(1), Function: "resize", Start: start, Duration: 144 * time.Millisecond, Memory: 1 << 30})
	ledger.Record(ctx, faas.Execution{ID: faasID(2), Function: "resize", Start: start, Duration: 80 * time.Millisecond, Memory: 1 << 30})
	if _, err := ledger.Correct(ctx, ledgersqlite.Correction{Invocation: faasID(2), Calls: -1, Why: "our own test"}); err != nil {
		log.Fatal(err)
	}

	perCore, err := cost.ParseMoney("0.036 USD") // an hour
	if err != nil {
		log.Fatal(err)
	}
	book, err := cost.Machine(perCore, cost.Money{})
	if err != nil {
		log.Fatal(err)
	}
	sums := cost.NewLedger(cost.Calendar{}, book)
	period := sums.Period(start)
	if err := ledger.Replay(ctx, ledgersqlite.Filter{From: period.Start, To: period.End}, sums); err != nil {
		log.Fatal(err)
	}
	statement, err := sums.Statement(start, book)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(statement.Total.Calls, "call,", statement.Total.List)
	// Output: 1 call, 0.00000144 USD
}

func faasID(n byte) (id [16]byte) { id[15] = n; return id }
