// Command guide is the program of docs/guide.md: one function, its limits, HTTP, and a bill.
//
//	go run ./examples/guide            calls it over HTTP, and prints the bill
//	go run ./examples/guide -serve     serves on 127.0.0.1:8080 until Ctrl-C, and prints the bill
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/trigger/faashttp"
)

func main() {
	serve := flag.Bool("serve", false, "serve on 127.0.0.1:8080 until Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *serve); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, serve bool) error {
	book, err := cost.Preset("aws-lambda-x86")
	if err != nil {
		return err
	}
	ledger := cost.NewLedger(cost.Calendar{}, book) // the zero Calendar means months in UTC
	r := newRouter(ledger)

	if serve {
		s := faashttp.NewServer(r, newMux(r), faashttp.WithAddr("127.0.0.1:8080"))
		err = s.Run(ctx) // until Ctrl-C; then it drains
	} else {
		err = demonstrate(ctx, r, out)
	}
	if err != nil {
		return err
	}
	return printBill(out, ledger, book)
}

// newRouter returns a router that hosts the function, with its limits.
func newRouter(meter faas.Meter) *faas.Router {
	r := faas.New(faas.WithMeter(meter))
	faas.Register(r, "quote", quote,
		faas.WithTimeout(2*time.Second),    // the caller has its answer by then, even if quote does not return
		faas.WithConcurrency(8),            // at most eight calls run at once
		faas.WithQueue(100),                // a hundred more calls may wait
		faas.WithQueueTimeout(time.Second), // each waits for at most a second
		faas.WithMemory(256<<20),           // the memory that a call is billed for
		faas.WithTenantConcurrency(4),      // one customer never has more than half of the slots
	)
	return r
}

// newMux mounts the function beside the other routes of a service.
func newMux(r *faas.Router) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("POST /v1/quote", faashttp.Function(r, "quote", faashttp.WithTenantHeader("X-Customer")))
	return mux
}

// demonstrate calls the function over HTTP, with good and with bad inputs.
func demonstrate(ctx context.Context, r *faas.Router, out io.Writer) error {
	s := httptest.NewServer(newMux(r))
	defer s.Close()
	for _, body := range []string{`{"Item": "tea", "Count": 2}`, `{"Item": "yacht", "Count": 1}`, `{"Item": 5}`} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/quote", strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Customer", "acme")
		res, err := s.Client().Do(req)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%-30s %s %s\n", body, res.Status, strings.TrimSpace(string(answer)))
	}
	return r.Shutdown(ctx)
}

// printBill prints the cost of each customer's calls.
func printBill(out io.Writer, ledger *cost.Ledger, book *cost.Book) error {
	statement, err := ledger.Statement(time.Now(), book)
	if err != nil {
		return err
	}
	fmt.Fprintln(out)
	return statement.By(cost.Tenant).WriteText(out)
}
