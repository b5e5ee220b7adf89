package cost_test

import (
	"context"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// A comparison of what a month would have cost on each provider: each in its own currency,
// and all in one currency by an exchange rate that the user provides.
func ExampleComparison_In() {
	books := cost.Presets()
	ledger := cost.NewLedger(cost.Calendar{}, books...)
	at := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	for range 10_000 {
		ledger.Record(context.Background(), faas.Execution{Function: "render", Start: at, Duration: 90 * time.Second, Memory: 1 << 30})
	}
	comparison := cost.Compare(ledger.Period(at), ledger.Usage(at), books...)
	rates := cost.Rates{To: "USD", Of: map[string]*big.Rat{"EUR": big.NewRat(115, 100)}}
	for _, e := range comparison.Entries {
		billed := e.Statement.Total.Billed
		dollars, err := rates.Convert(billed)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s: %s, %s\n", e.Statement.Book.Title, billed.Round(2), dollars.Round(2))
	}
	inDollars, err := comparison.In(rates)
	if err != nil {
		panic(err)
	}
	var table strings.Builder // all in one currency; without In there is a table for each currency
	if err := inDollars.WriteText(&table); err != nil {
		panic(err)
	}
	fmt.Println(strings.Contains(table.String(), "EUR"))
	// Output:
	// AWS Lambda, Arm: 6.67 USD, 6.67 USD
	// AWS Lambda, x86: 8.33 USD, 8.33 USD
	// Azure Functions, Consumption: 8 USD, 8 USD
	// Azure Functions, Flex Consumption on demand: 44.2 USD, 44.2 USD
	// Cloudflare Workers Paid: 22.4 USD, 22.4 USD
	// DigitalOcean Functions: 14.98 USD, 14.98 USD
	// Google Cloud Run, request-based: 9.62 USD, 9.62 USD
	// Scaleway Serverless Functions: 6 EUR, 6.9 USD
	// false
}

// A price list of your own, in euros.
func ExampleParseBook_own() {
	ours, err := cost.ParseBook([]byte(`{
  "name": "ours", "title": "Our functions", "provider": "Platform team", "service": "Functions", "region": "Frankfurt",
  "currency": "EUR", "effective": "2026-01-01", "read": "2025-12-01", "source": "our price list of December 2025",
  "duration": {"granularity": "100ms"},
  "memory": {"minimum": "128MiB", "step": "128MiB", "maximum": "4096MiB"},
  "prices": [
    {"meter": "base",     "unit": "month",       "price": "20"},
    {"meter": "memory",   "unit": "1000 GiB-s",  "price": "0.03", "free": "500", "tiers": [{"above": "10000", "price": "0.02"}]},
    {"meter": "requests", "unit": "1000 requests", "price": "0.01"}
  ]
}`))
	if err != nil {
		panic(err)
	}
	ledger := cost.NewLedger(cost.Calendar{}, ours)
	at := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	for range 3000 {
		ledger.Record(context.Background(), faas.Execution{Function: "render", Tenant: "acme", Start: at, Duration: 4 * time.Second, Memory: 1 << 30})
	}
	statement, err := ledger.Statement(at, ours)
	if err != nil {
		panic(err)
	}
	for _, row := range statement.Rows {
		for _, c := range row.Charges {
			if c.Quantity.Sign() > 0 {
				fmt.Println(c.Meter, c.Quantity.RatString(), c.Unit, "of which", c.Free.RatString(), "are free:", c.Billed)
			}
		}
	}
	fmt.Println("together", statement.Total.Billed)
	// Output:
	// memory 10000 GiB-s of which 500 are free: 0.285 EUR
	// memory 2000 GiB-s of which 0 are free: 0.04 EUR
	// requests 3000 request of which 0 are free: 0.03 EUR
	// base 1 month of which 0 are free: 20 EUR
	// together 20.355 EUR
}

// Last month's usage is compared with the AWS bill. The report is made up. The command
// reconcile of cost/ledgersqlite does the same with a file and a stored ledger.
func ExampleReadAWSBill() {
	bill, err := cost.ReadAWSBill(strings.NewReader(`line_item_line_item_type,line_item_product_code,line_item_usage_type,line_item_usage_start_date,line_item_usage_end_date,line_item_resource_id,line_item_usage_amount
Usage,AWSLambda,EUC1-Lambda-GB-Second-ARM,2026-03-14T00:00:00Z,2026-03-15T00:00:00Z,arn:aws:lambda:eu-central-1:111122223333:function:resize,250.5
Usage,AWSLambda,EUC1-Request-ARM,2026-03-14T00:00:00Z,2026-03-15T00:00:00Z,arn:aws:lambda:eu-central-1:111122223333:function:resize,1000
Usage,AWSLambda,EUC1-Request-ARM,2026-03-14T00:00:00Z,2026-03-15T00:00:00Z,arn:aws:lambda:eu-central-1:111122223333:function:mail,40
`))
	if err != nil {
		panic(err)
	}
	lambda, err := cost.Preset("aws-lambda-arm")
	if err != nil {
		panic(err)
	}
	days := cost.NewLedger(cost.Calendar{Every: cost.Day}, lambda) // in UTC, as AWS counts
	for range 1000 {
		days.Record(context.Background(), faas.Execution{
			Function: "resize", Start: time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC), Duration: 250 * time.Millisecond, Memory: 1 << 30,
		})
	}
	differences, err := bill.Reconcile(days, lambda, big.NewRat(1, 100)) // within one percent
	if err != nil {
		panic(err)
	}
	for _, d := range differences {
		fmt.Println(d)
	}
	// Output: 2026-03-14 mail: 40.000000 request billed, 0.000000 metered: 40.000000 (all of it)
}
