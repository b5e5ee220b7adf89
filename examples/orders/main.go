// Command orders takes orders by HTTP and charges each of them once, even if it is killed at any moment. Start it,
// order something, kill -9 it and start it again:
//
//	go run ./examples/orders -dir /tmp/orders
//	curl -d '{"id": "o-1", "item": "lamp", "cents": 4900}' localhost:9001/orders
//	curl localhost:9001/orders/o-1
//
// An order that was answered with 202 is in the queue. The queue is a directory, so the order survives the process.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats/embed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "orders:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("orders", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:9001", "the `address` to listen on; port 0 takes a free one")
	dir := flags.String("dir", "orders.data", "the `directory` of the queue and of the books")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	books, err := openBooks(filepath.Join(*dir, "books"))
	if err != nil {
		return err
	}
	defer books.Close()
	// Open, Close and WithJobs: these calls make jobs survive kill -9.
	queue, err := embed.Open(filepath.Join(*dir, "jobs"))
	if err != nil {
		return err
	}
	defer queue.Close()
	router := faas.New(faas.WithJobs(queue))
	defer router.Close()
	return serve(ctx, *addr, newShop(router, books), stdout)
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
	fmt.Fprintf(stdout, "orders: http://%s\n", listener.Addr())
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}

// order is what a customer sends.
type order struct {
	ID    string `json:"id"`
	Item  string `json:"item"`
	Cents int64  `json:"cents"`
}

// shop has the functions of an order: fulfill sends a job for each step.
type shop struct {
	books               *books
	fulfill             *faas.Function[order, struct{}]
	charge, stock, mail *faas.Function[order, struct{}]
}

func newShop(r *faas.Router, b *books) *shop {
	s := &shop{books: b}
	retry := faas.WithRetry(faas.Retry{Max: 10, First: time.Second, Factor: 2, Longest: time.Minute})
	step := func(name string) *faas.Function[order, struct{}] {
		return faas.Register(r, name, func(ctx context.Context, o order) (struct{}, error) {
			return struct{}{}, b.note(ctx, name, o)
		}, retry)
	}
	s.charge, s.stock, s.mail = step("charge"), step("stock"), step("mail")
	s.fulfill = faas.Register(r, "fulfill", s.send, retry)
	return s
}

// send sends the steps of an order. Like any job it may run more than once. The unique key makes sure that each
// step is sent only once.
func (s *shop) send(ctx context.Context, o order) (struct{}, error) {
	for _, step := range []*faas.Function[order, struct{}]{s.charge, s.stock, s.mail} {
		if _, err := step.Send(ctx, o, faas.WithUnique(o.ID, keyWindow)); err != nil {
			return struct{}{}, err
		}
	}
	return struct{}{}, nil
}

// keyWindow is how long a second order with the same ID counts as the first one.
const keyWindow = 24 * time.Hour

// take accepts an order. It answers after the queue has written the order to disk.
func (s *shop) take(w http.ResponseWriter, req *http.Request) {
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<16)).Decode(&o); err != nil || o.ID == "" {
		http.Error(w, "an order has an id, an item and cents", http.StatusBadRequest)
		return
	}
	if _, err := s.fulfill.Send(req.Context(), o, faas.WithUnique(o.ID, keyWindow)); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// show answers with the steps of an order that are done.
func (s *shop) show(w http.ResponseWriter, req *http.Request) {
	done, err := s.books.done(req.Context(), req.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(done) // fails only if the client has disconnected
}
