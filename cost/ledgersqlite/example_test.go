package ledgersqlite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
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

// Stored records are priced by a book that did not exist when they were made.
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

// The price of last month's retries. Each record of a delivery has the job's ID and the
// number of the attempt.
func Example_retries() {
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
	fillMarch(ledger) // as faas.WithMeter(ledger) does

	book, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		log.Fatal(err)
	}
	sums := cost.NewLedger(cost.Calendar{}, book)
	sums.CountJobs(1_000_000, nil) // or with a function that returns how a job has ended, from the queue
	today := time.Date(2026, 4, 2, 9, 0, 0, 0, time.UTC)
	lastMonth := sums.Period(sums.Period(today).Start.Add(-1))
	if err := ledger.Replay(ctx, ledgersqlite.Filter{From: lastMonth.Start}, sums); err != nil {
		log.Fatal(err)
	}
	statement, err := sums.Statement(lastMonth.Start, book)
	if err != nil {
		log.Fatal(err)
	}
	if err := statement.By(cost.SpentOn).WriteText(os.Stdout); err != nil {
		log.Fatal(err)
	}
	fmt.Println("retries:", statement.Only(cost.SpentOn, "retry").Total.List)
	// Output:
	// 2026-03-01T00:00:00Z to 2026-04-01T00:00:00Z
	// AWS Lambda, x86, us-east-1, prices of 2025-08-01
	//        spent on    calls       GB-s    request      list  billed USD
	//            call       20  20.000000  20.000000  0.000337    0.000000
	//   first attempt       10  10.000000  10.000000  0.000169    0.000000
	//           retry        3   3.000000   3.000000  0.000051    0.000000
	//     dead letter        3   3.000000   3.000000  0.000051    0.000000
	//                       36  36.000000  36.000000  0.000607    0.000000
	// retries: 0.0000506001 USD
}

// fillMarch records 20 calls, and 11 jobs: three of them needed a retry, and one has failed
// three times.
func fillMarch(ledger *ledgersqlite.Ledger) {
	at := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	n := byte(0)
	record := func(job [16]byte, attempt int, outcome faas.Outcome) {
		n++
		ledger.Record(context.Background(), faas.Execution{
			ID: faasID(n), Function: "mail", Job: job, Attempt: attempt, Outcome: outcome, Start: at, Duration: time.Second, Memory: 1 << 30,
		})
	}
	for range 20 {
		record([16]byte{}, 1, faas.OK)
	}
	for i := range byte(10) {
		if job := faasID(100 + i); i < 3 {
			record(job, 1, faas.Failed)
			record(job, 2, faas.OK)
		} else {
			record(job, 1, faas.OK)
		}
	}
	for attempt := 1; attempt <= 3; attempt++ {
		record(faasID(200), attempt, faas.Failed)
	}
}

// Budgets are restored after a crash. The amounts spent come from the stored records, which
// are durable before a caller has its answer. The limits that were set come from a place
// where the program has kept them: here a file that it writes whenever it sets a limit.
func Example_budgets() {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	limits := filepath.Join(dir, "limits.json")
	declare := func() *cost.Budgets {
		budgets, err := cost.NewBudgets(cost.Budget{
			Name: "calls", Limit: cost.Calls(10), Per: cost.Tenant, WarnAt: []int{80},
			Alert:  func(a cost.Alert) { fmt.Println(a.Percent, "%:", a.Balance) },
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			log.Fatal(err)
		}
		return budgets
	}
	run := func(budgets *cost.Budgets, ledger *ledgersqlite.Ledger, calls int) {
		r := faas.New(faas.WithGate(budgets), faas.WithMeter(ledger))
		f := faas.Register(r, "f", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
		for range calls {
			if _, err := f.Invoke(faas.WithTenant(ctx, "acme"), struct{}{}); err != nil {
				log.Fatal(err)
			}
		}
		if err := r.Shutdown(ctx); err != nil {
			log.Fatal(err)
		}
	}
	open := func() *ledgersqlite.Ledger {
		ledger, err := ledgersqlite.Open(filepath.Join(dir, "calls.db"))
		if err != nil {
			log.Fatal(err)
		}
		return ledger
	}

	budgets, ledger := declare(), open()
	if err := budgets.SetLimit("calls", "acme", cost.Calls(5)); err != nil {
		log.Fatal(err)
	}
	if err := store(limits, budgets.Balances()); err != nil {
		log.Fatal(err)
	}
	run(budgets, ledger, 4)
	if err := ledger.Close(); err != nil { // or a crash
		log.Fatal(err)
	}

	budgets, ledger = declare(), open()
	if err := restore(ctx, budgets, ledger, limits); err != nil {
		log.Fatal(err)
	}
	run(budgets, ledger, 1)
	balance, _ := budgets.Balance("calls", "acme")
	fmt.Println(balance)
	fmt.Println(ledger.Close())
	// Output:
	// 80 %: budget "calls", tenant "acme": 4 calls of 5 calls spent
	// budget "calls", tenant "acme": 5 calls of 5 calls spent
	// <nil>
}

func store(file string, balances []cost.Balance) error {
	text, err := json.Marshal(balances)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

func restore(ctx context.Context, budgets *cost.Budgets, ledger *ledgersqlite.Ledger, limits string) error {
	text, err := os.ReadFile(limits)
	if err != nil {
		return err
	}
	var balances []cost.Balance
	if err := json.Unmarshal(text, &balances); err != nil {
		return err
	}
	for i := range balances { // only the limits: the amounts spent are in the records
		balances[i].Spent, balances[i].Excess = cost.Amount{}, cost.Amount{}
	}
	if err := budgets.Restore(balances...); err != nil {
		return err
	}
	balance, _ := budgets.Balance("calls", "")
	for rec, err := range ledger.Records(ctx, ledgersqlite.Filter{From: balance.Window.Start}) {
		if err != nil {
			return err
		}
		if e, ok := rec.Corrected(); ok {
			budgets.Charge(e)
		}
	}
	return nil
}

func faasID(n byte) (id [16]byte) { id[15] = n; return id }
