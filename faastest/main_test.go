package faastest_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// fakeTB is a testing.TB that records failures, so that the real test does not fail.
// Methods that it does not override go to the real test.
type fakeTB struct {
	testing.TB

	mu       sync.Mutex
	failures []string
	logs     []string
	skips    []string
}

func (f *fakeTB) note(list *[]string, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*list = append(*list, text)
}

func (f *fakeTB) Helper()                        {}
func (f *fakeTB) Log(args ...any)                { f.note(&f.logs, fmt.Sprint(args...)) }
func (f *fakeTB) Logf(format string, a ...any)   { f.note(&f.logs, fmt.Sprintf(format, a...)) }
func (f *fakeTB) Errorf(format string, a ...any) { f.note(&f.failures, fmt.Sprintf(format, a...)) }
func (f *fakeTB) Fatalf(format string, a ...any) { f.note(&f.failures, fmt.Sprintf(format, a...)) }
func (f *fakeTB) Skip(args ...any)               { f.note(&f.skips, fmt.Sprint(args...)) }
func (f *fakeTB) Skipf(format string, a ...any)  { f.note(&f.skips, fmt.Sprintf(format, a...)) }

// failed returns all that was reported.
func (f *fakeTB) failed() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.failures, "\n")
}

func (f *fakeTB) logged() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.logs)
}
