// Command outbox takes orders by HTTP, writes them into PostgreSQL and sends a mail for each: after the order's
// transaction has committed, and never without it. Start a server and the program, order something, kill -9 the
// program at any moment and start it again:
//
//	mkdir /tmp/outbox && bash trigger/faaspg/postgres.sh /tmp/outbox    # in another terminal; until Ctrl-D
//	go run ./examples/outbox -db 'host=/tmp/outbox user=faas dbname=postgres'
//	curl -d '{"id": "o-1", "item": "lamp", "cents": 4900}' localhost:9002/orders
//	curl localhost:9002/orders/o-1
//
// The queue of jobs is in memory. The row in the outbox survives the process. It is deleted when its job has ended:
// the mail was sent, or was given up after ten retries.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faaspg"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "outbox:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("outbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:9002", "the `address` to listen on; port 0 takes a free one")
	db := flags.String("db", "", "the `database`, as a URL or in words such as 'host=/tmp/outbox user=faas dbname=postgres'; empty: as PGHOST and so on say")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	return host(ctx, *addr, *db, stdout)
}

// host serves the shop, and relays the mails of the outbox, until ctx ends.
func host(ctx context.Context, addr, db string, stdout io.Writer) error {
	pool, err := pgxpool.New(ctx, db)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := prepare(ctx, pool); err != nil {
		return err
	}
	router := faas.New()
	defer router.Close()
	s := newShop(router, pool)
	if _, err := faaspg.NewRelay(pool, faaspg.WithTerm(3*time.Second)).Drive(router); err != nil {
		return err
	}
	return errors.Join(serve(ctx, addr, s, stdout), shutdown(router))
}

// prepare makes the tables of the shop and of the outbox.
func prepare(ctx context.Context, pool *pgxpool.Pool) error {
	if err := faaspg.Migrate(ctx, pool); err != nil {
		return err
	}
	_, err := pool.Exec(ctx, `
CREATE TABLE IF NOT EXISTS orders (id text PRIMARY KEY, item text NOT NULL, cents bigint NOT NULL CHECK (cents > 0));
CREATE TABLE IF NOT EXISTS mails (order_id text PRIMARY KEY, sent timestamptz NOT NULL DEFAULT now(), runs int NOT NULL DEFAULT 1)`)
	return err
}

// shutdown waits until the mails that are being sent are sent. The other mails stay in the outbox.
func shutdown(router *faas.Router) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return router.Shutdown(ctx)
}

// serve answers requests until ctx ends.
func serve(ctx context.Context, addr string, s *shop, stdout io.Writer) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", s.take)
	mux.HandleFunc("GET /orders/{id}", s.show)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "outbox: http://%s\n", listener.Addr())
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
