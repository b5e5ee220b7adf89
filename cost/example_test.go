package cost_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// A statement of what a month of one function costs, by tenant.
func Example() {
	lambda, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		panic(err)
	}
	ledger := cost.NewLedger(cost.Calendar{}, lambda) // faas.WithMeter(ledger) would feed it
	start := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	for i := range 3_000 {
		ledger.Record(context.Background(), faas.Execution{
			Function: "resize", Tenant: []string{"acme", "bolt", "acme"}[i%3], Start: start,
			Duration: 120 * time.Millisecond, Memory: 1536 << 20,
		})
	}
	statement, err := ledger.Statement(start, lambda)
	if err != nil {
		panic(err)
	}
	if err := statement.By(cost.Tenant).WriteText(os.Stdout); err != nil {
		panic(err)
	}
	fmt.Println("exactly", statement.Total.List, "before the free tier")
	// Output:
	// 2026-03-01T00:00:00Z to 2026-04-01T00:00:00Z
	// AWS Lambda, x86, us-east-1, prices of 2025-08-01
	//   tenant    calls        GB-s      request      list  billed USD
	//     acme     2000  360.000000  2000.000000  0.006400    0.000000
	//     bolt     1000  180.000000  1000.000000  0.003200    0.000000
	//              3000  540.000000  3000.000000  0.009600    0.000000
	// exactly 0.009600018 USD before the free tier
}

// A rater prices one call.
func ExampleRater_Call() {
	flex, err := cost.Preset("azure-flex")
	if err != nil {
		panic(err)
	}
	price, err := cost.NewRater(flex).Call(faas.Execution{Duration: 40 * time.Millisecond, Memory: 512 << 20})
	fmt.Println(price, err)
	// Output: 0.0000134 USD <nil>
}

// The same usage is priced by other price lists, and for a machine of your own. A book that
// the ledger was not made with has no price for it.
func ExampleCompare() {
	price, err := cost.ParseMoney("0.04 USD")
	if err != nil {
		panic(err)
	}
	own, err := cost.Machine(price, cost.Money{})
	if err != nil {
		panic(err)
	}
	lambda, err := cost.Preset("aws-lambda-arm")
	if err != nil {
		panic(err)
	}
	flex, err := cost.Preset("azure-flex")
	if err != nil {
		panic(err)
	}
	ledger := cost.NewLedger(cost.Calendar{}, lambda, own)
	at := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	for range 1000 {
		ledger.Record(context.Background(), faas.Execution{Function: "f", Start: at, Duration: 9 * time.Second, Memory: 1 << 30})
	}
	for _, e := range cost.Compare(ledger.Period(at), ledger.Usage(at), lambda, own, flex).Entries {
		if errors.Is(e.Err, cost.ErrUnrated) {
			fmt.Println(e.Statement.Book.Title, "unrated")
			continue
		}
		fmt.Println(e.Statement.Book.Title, e.Statement.Total.List)
	}
	// Output:
	// AWS Lambda, Arm 0.1202006 USD
	// Own machine 0.1 USD
	// Azure Functions, Flex Consumption on demand unrated
}

// The error for a book says where the mistake is.
func ExampleParseBook() {
	_, err := cost.ParseBook([]byte(`{
  "name": "ours", "title": "Ours", "provider": "us", "service": "functions", "region": "here",
  "currency": "EUR", "effective": "2026-01-01", "source": "our contract",
  "duration": {"granularity": "1ms"},
  "memory": {"step": "1MiB"},
  "prices": [{"meter": "requests", "unit": "request", "price": 0.001}]
}`))
	fmt.Println(err)
	// Output: 6:64: prices[0].price: write it as a string, "0.001", so that no tool rounds it
}

// A handler reads what its own call has cost so far.
func ExampleFromContext() {
	lambda, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		panic(err)
	}
	r := faas.New(faas.WithMiddleware(cost.Track(lambda)))
	f := faas.Register(r, "f", func(ctx context.Context, _ struct{}) (bool, error) {
		so, ok := cost.FromContext(ctx)
		return ok && so.Cost.Sign() > 0, nil
	})
	fmt.Println(f.Invoke(context.Background(), struct{}{}))
	if err := r.Close(); err != nil {
		panic(err)
	}
	// Output: true <nil>
}

// Days go by the clocks of a zone: this one has 23 hours.
func ExampleCalendar_Period() {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	day := cost.Calendar{Every: cost.Day, Zone: berlin}.Period(time.Date(2026, 3, 29, 12, 0, 0, 0, berlin))
	fmt.Println(day, day.End.Sub(day.Start))
	// Output: 2026-03-29T00:00:00+01:00 to 2026-03-30T00:00:00+02:00 23h0m0s
}

// Rows in the form of FOCUS 1.4.
func ExampleStatement_WriteFOCUS() {
	lambda, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		panic(err)
	}
	ledger := cost.NewLedger(cost.Calendar{Every: cost.Day}, lambda)
	at := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	ledger.Record(context.Background(), faas.Execution{Function: "f", Start: at, Duration: time.Second, Memory: 1 << 30})
	statement, err := ledger.Statement(at, lambda)
	if err != nil {
		panic(err)
	}
	for _, row := range statement.Rows {
		for _, c := range row.Charges {
			fmt.Println(c.Quantity.RatString(), c.Unit, "at", c.UnitPrice, "=", c.List)
		}
	}
	if err := statement.WriteFOCUS(os.Stdout, cost.Account{}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 1 GB-s at 0.0000166667 USD = 0.0000166667 USD
	// 1 request at 0.0000002 USD = 0.0000002 USD
	// cost: FOCUS rows need the ID of an Account
}

// One tenant's month, as CSV and as an amount of money. The tenant has its share of the free
// quantity, which belongs to the whole account. The cents of all tenants add up to the total.
func ExampleStatement_Only() {
	lambda, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		panic(err)
	}
	ledger := cost.NewLedger(cost.Calendar{}, lambda)
	start := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	for tenant, used := range map[string]time.Duration{"acme": 60 * time.Hour, "globex": 30 * time.Hour, "initech": 10 * time.Hour} {
		ledger.Record(context.Background(), faas.Execution{Function: "report", Tenant: tenant, Start: start, Duration: used, Memory: 2 << 30})
	}
	month, err := ledger.Statement(start, lambda)
	if err != nil {
		panic(err)
	}
	acme := month.Only(cost.Tenant, "acme")
	fmt.Println("acme:", acme.Total.Billed, "of", month.Total.Billed)
	if err := acme.WriteCSV(os.Stdout, cost.RoundTo(2)); err != nil {
		panic(err)
	}
	if err := month.By(cost.Tenant).WriteText(os.Stdout, cost.RoundTo(2)); err != nil {
		panic(err)
	}
	// Output:
	// acme: 3.2000064 USD of 5.333344 USD
	// period_start,period_end,book,function,tenant,outcome,overrun,calls,memory GB-s,memory free,requests request,requests free,list,billed,currency
	// 2026-03-01T00:00:00Z,2026-04-01T00:00:00Z,aws-lambda-x86,report,acme,OK,false,1,432000,240000,1,1,7.2,3.2,USD
	// 2026-03-01T00:00:00Z to 2026-04-01T00:00:00Z
	// AWS Lambda, x86, us-east-1, prices of 2025-08-01
	//    tenant    calls           GB-s   request   list  billed USD
	//      acme        1  432000.000000  1.000000   7.20        3.20
	//    globex        1  216000.000000  1.000000   3.60        1.60
	//   initech        1   72000.000000  1.000000   1.20        0.53
	//                  3  720000.000000  3.000000  12.00        5.33
}
