package faas_test

import (
	"context"
	"log/slog"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/inproc/faas"
)

// bubble runs a test in virtual time, in parallel with the others.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// recorder is a meter that keeps the records.
type recorder struct {
	guard    sync.Mutex // guards the fields below
	records  []faas.Execution
	overruns []faas.Overrun
}

func (r *recorder) Record(_ context.Context, e faas.Execution) {
	r.guard.Lock()
	defer r.guard.Unlock()
	r.records = append(r.records, e)
}

func (r *recorder) RecordOverrun(_ context.Context, o faas.Overrun) {
	r.guard.Lock()
	defer r.guard.Unlock()
	r.overruns = append(r.overruns, o)
}

func (r *recorder) all() []faas.Execution {
	r.guard.Lock()
	defer r.guard.Unlock()
	return append([]faas.Execution(nil), r.records...)
}

func (r *recorder) overran() []faas.Overrun {
	r.guard.Lock()
	defer r.guard.Unlock()
	return append([]faas.Overrun(nil), r.overruns...)
}

// last returns the newest record.
func (r *recorder) last(t *testing.T) faas.Execution {
	t.Helper()
	all := r.all()
	if len(all) == 0 {
		t.Fatal("nothing was recorded")
	}
	return all[len(all)-1]
}

// recordsOf returns the records of one function, in the order in which its calls settled.
func (r *recorder) recordsOf(name string) (es []faas.Execution) {
	for _, e := range r.all() {
		if e.Function == name {
			es = append(es, e)
		}
	}
	return es
}

// router makes a router that logs nothing. At the end of the test the router is closed, after its
// runaways have ended.
func router(t *testing.T, opts ...faas.RouterOption) *faas.Router {
	t.Helper()
	r := faas.New(append([]faas.RouterOption{faas.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	t.Cleanup(func() {
		_ = r.Close()
		_ = r.Shutdown(context.Background())
	})
	return r
}

func double(_ context.Context, n int) (int, error) { return 2 * n, nil }

// exit ends the goroutine, as t.FailNow does.
func exit() { runtime.Goexit() }

// steps is a list to which several goroutines may write.
type steps struct {
	mu  sync.Mutex
	all []string
}

func (s *steps) add(step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, step)
}

func (s *steps) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.all...)
}

// goroutines returns the number of goroutines in the test's bubble.
func goroutines(t *testing.T) int {
	t.Helper()
	buf := make([]byte, 64<<20) // other tests may have thousands of goroutines
	all := string(buf[:runtime.Stack(buf, true)])
	own := regexp.MustCompile(`synctest bubble \d+`).FindString(all) // the running goroutine comes first
	n := 0
	for line := range strings.Lines(all) {
		if strings.HasPrefix(line, "goroutine ") && strings.Contains(line, own+"]") {
			n++
		}
	}
	return n
}
