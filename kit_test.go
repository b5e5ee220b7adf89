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

// tape is a meter that remembers.
type tape struct {
	mu       sync.Mutex
	records  []faas.Execution
	overruns []faas.Overrun
}

func (t *tape) Record(_ context.Context, e faas.Execution) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.records = append(t.records, e)
}

func (t *tape) RecordOverrun(_ context.Context, o faas.Overrun) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.overruns = append(t.overruns, o)
}

func (t *tape) all() []faas.Execution {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]faas.Execution(nil), t.records...)
}

func (t *tape) over() []faas.Overrun {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]faas.Overrun(nil), t.overruns...)
}

func (t *tape) last() faas.Execution {
	all := t.all()
	if len(all) == 0 {
		return faas.Execution{Function: "(no record)"}
	}
	return all[len(all)-1]
}

// router makes a quiet router that ends with the test, once its runaways have.
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

// steps is a list that several goroutines write.
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

// goroutines counts those of the test's bubble.
func goroutines(t *testing.T) int {
	t.Helper()
	buf := make([]byte, 64<<20) // other tests may have thousands
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
