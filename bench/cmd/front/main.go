// Command front serves a function through the HTTP front and without it, for
// comparison, and overloads the front. trigger/faashttp/load.sh uses both:
//
//	front serve 127.0.0.1:9100
//	front overload http://127.0.0.1:9100
//
// It serves the same function three times: at /bare/more as a plain handler of net/http, at
// /fn/more through the front, and at /fn/inline through the front on the connection's own
// goroutine. The mux has a subtree for each, as a host of many functions needs it: to match a
// subtree costs more than to match one path. At /fn/work it serves a function with room for a thousand calls a second.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: front serve ADDRESS | overload URL")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var err error
	switch os.Args[1] {
	case "serve":
		err = serve(ctx, os.Args[2])
	case "overload":
		err = overload(ctx, os.Stdout, os.Args[2])
	default:
		err = errors.New("serve or overload")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "front:", err)
		os.Exit(1)
	}
}

type item struct {
	Name  string   `json:"name"`
	Count int      `json:"count"`
	Tags  []string `json:"tags"`
}

func more(_ context.Context, in item) (item, error) {
	in.Count++
	return in, nil
}

// The capacity of work: its slots, and how long a call occupies one.
const (
	slots    = 10
	held     = 10 * time.Millisecond
	capacity = int(slots * time.Second / held) // calls a second
)

func serve(ctx context.Context, addr string) error {
	r := faas.New()
	faas.Register(r, "more", more)
	faas.Register(r, "inline", more, faas.WithInline())
	faas.Register(r, "work", func(context.Context, struct{}) (struct{}, error) {
		time.Sleep(held)
		return struct{}{}, nil
	}, faas.WithConcurrency(slots), faas.WithQueue(slots))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /bare/", bare)
	mux.Handle("/fn/", faashttp.Handler(r))
	return faashttp.NewServer(r, mux, faashttp.WithAddr(addr)).Run(ctx)
}

// bare is the same function as a plain handler of net/http: with the same JSON and the
// same bound on the body, and nothing else.
func bare(w http.ResponseWriter, r *http.Request) {
	var in item
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 6<<20)).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out, err := more(r.Context(), in)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // a client that has gone away needs no answer
}

// tally counts the results of the calls at one rate.
type tally struct {
	mu       sync.Mutex
	done     int
	refusals []time.Duration
	others   int
}

const (
	connections = 64
	runs        = 5 * time.Second
)

// overload calls /fn/work at several multiples of its capacity, without slowing down when
// calls are refused, and prints a tally of the answers.
func overload(ctx context.Context, w io.Writer, url string) error {
	fmt.Fprintf(w, "%8s %12s %12s %12s %14s\n", "offered", "calls/s", "answered/s", "refused/s", "refusal p99")
	peak, last := 0.0, 0.0
	for _, times := range []int{1, 2, 4} {
		t, took := drive(ctx, url+"/fn/work", times*capacity)
		if t.others > 0 {
			return fmt.Errorf("%d calls came to something else", t.others)
		}
		last = float64(t.done) / took.Seconds()
		peak = max(peak, last)
		slices.Sort(t.refusals)
		p99 := time.Duration(0)
		if n := len(t.refusals); n > 0 {
			p99 = t.refusals[n*99/100]
		}
		fmt.Fprintf(w, "%7d× %12d %12.0f %12.0f %14s\n", times, times*capacity, last, float64(len(t.refusals))/took.Seconds(), p99.Round(10*time.Microsecond))
	}
	fmt.Fprintf(w, "goodput at 4× is %.2f of its peak\n", last/peak)
	return ctx.Err()
}

// drive makes calls at a rate for a while. The time of a call counts from the moment at which
// it was due, even if all connections were busy then. Counting from the actual start would
// hide the wait under overload.
func drive(ctx context.Context, url string, rate int) (*tally, time.Duration) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	t, due := &tally{}, make(chan time.Time, rate)
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for at := range due {
				t.add(ctx, client, url, at)
			}
		})
	}
	start := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for sent := 0; time.Since(start) < runs && ctx.Err() == nil; <-tick.C {
		for ; sent < int(time.Since(start).Seconds()*float64(rate)); sent++ {
			due <- time.Now()
		}
	}
	close(due)
	wg.Wait()
	return t, time.Since(start)
}

func (t *tally) add(ctx context.Context, client *http.Client, url string, at time.Time) {
	status := 0
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err == nil {
		if res, err := client.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, res.Body) // so that the connection can be used again
			_ = res.Body.Close()
			status = res.StatusCode
		}
	}
	took := time.Since(at)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch status {
	case http.StatusOK:
		t.done++
	case http.StatusTooManyRequests:
		t.refusals = append(t.refusals, took)
	default:
		t.others++
	}
}
