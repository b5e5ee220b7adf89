package faastest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

func greet(_ context.Context, name string) (string, error) {
	if name == "" {
		return "", errors.New("nobody to greet")
	}
	return "Hello, " + name, nil
}

// In your test, pass its own t.
func ExampleInvoke() {
	t := &testing.T{}
	synctest.Test(t, func(t *testing.T) {
		res := faastest.Invoke(t.Context(), t, greet, "Ada")
		fmt.Println(res.Output, res.Err, res.Execution.Outcome)
		res = faastest.Invoke(t.Context(), t, greet, "")
		fmt.Println(res.Err, res.Execution.Outcome)
	})
	// Output:
	// Hello, Ada <nil> OK
	// nobody to greet Failed
}

// The default timeout of 30 s ends the call of a handler that ignores its context.
// The test takes 0.00 s.
func ExampleInvoke_timeout() {
	t := &testing.T{}
	synctest.Test(t, func(t *testing.T) {
		deaf := func(context.Context, string) (string, error) {
			time.Sleep(time.Hour)
			return "too late", nil
		}
		res := faastest.Invoke(t.Context(), t, deaf, "Ada")
		fmt.Println(errors.Is(res.Err, faas.ErrTimeout), res.Execution.Duration)
	})
	// Output: true 30s
}

// An hour of traffic in milliseconds: ten calls a second that take 450 ms each,
// for a function that may run four at a time and has no queue.
func ExampleNew() {
	t := &testing.T{}
	synctest.Test(t, func(t *testing.T) {
		var rec faastest.Recorder
		r := faastest.New(t, faas.WithMeter(&rec))
		work := faas.Register(r, "work", func(_ context.Context, n int) (int, error) {
			time.Sleep(450 * time.Millisecond)
			return n, nil
		}, faas.WithConcurrency(4), faas.WithQueue(0))
		for n := range 10 * 3600 {
			go func() { _, _ = work.Invoke(t.Context(), n) }()
			time.Sleep(100 * time.Millisecond)
		}
		var busy time.Duration
		for _, e := range rec.Executions() {
			busy += e.Duration
		}
		fmt.Println("refused:", work.Info().Rejected[faas.ReasonOverloaded], "busy:", busy.Round(time.Minute))
	})
	// Output: refused: 7200 busy: 3h36m0s
}

func ExampleRecorder() {
	t := &testing.T{}
	synctest.Test(t, func(t *testing.T) {
		var rec faastest.Recorder
		f := faas.Register(faastest.New(t), "greet", greet, faas.WithMeter(&rec))
		for _, name := range []string{"Ada", "", "Grace"} {
			_, _ = f.Invoke(t.Context(), name)
		}
		failed := rec.By(func(e faas.Execution) bool { return e.Outcome != faas.OK })
		fmt.Println(rec.Len(), len(failed), failed[0].Err)
	})
	// Output: 3 1 nobody to greet
}

// A service sends a mail with each sign-up. Its test checks what becomes of the mail if the
// mail server is down, first for an hour, and then for good.
func ExampleNewJobs() {
	t := &testing.T{}
	synctest.Test(t, func(t *testing.T) {
		r := faastest.New(t)
		jobs := faastest.NewJobs(t, r)
		start := time.Now()
		mail := faas.Register(r, "mail", func(_ context.Context, to string) (string, error) {
			if to != "Ada" || time.Since(start) < time.Hour {
				return "", faas.RetryAfter(25*time.Minute, errors.New("the server is down"))
			}
			return "sent", nil
		})

		ada, _ := mail.Send(t.Context(), "Ada")
		_, _ = mail.Send(t.Context(), "Grace")
		jobs.Advance(time.Hour)
		info, _ := ada.Info(t.Context())
		fmt.Println(info.State, "for", time.Until(info.Waiting.Until))
		jobs.Advance(time.Hour)
		fmt.Println(ada.Wait(t.Context()))

		jobs.Drain()
		for _, dead := range jobs.Dead() {
			fmt.Println(dead.Condition, "after", dead.Deliveries, "deliveries:", dead.Last.Error)
		}
	})
	// Output:
	// Scheduled for 15m0s
	// sent <nil>
	// EventAgeExceeded after 15 deliveries: the server is down
}

// printed is a testing.TB that prints its reports.
type printed struct{ testing.TB }

func (printed) Errorf(format string, args ...any) {
	where, what, _ := strings.Cut(fmt.Sprintf(format, args...), ": got")
	why, _, _ := strings.Cut(what, " (")
	fmt.Println(where)
	fmt.Println("got" + why)
}

func ExampleStateless() {
	t := &testing.T{}
	synctest.Test(t, func(t *testing.T) {
		visits := 0
		welcome := func(_ context.Context, name string) (string, error) {
			visits++
			return fmt.Sprintf("Welcome, %s, visitor no. %d", name, visits), nil
		}
		faastest.Stateless(t, greet, []string{"Ada", "Grace", ""}) // passes
		faastest.Stateless(printed{t}, welcome, []string{"Ada"})
	})
	// Output:
	// faastest.Stateless: input 0, "Ada"; call 1 of 1, order "backward"
	// got "Welcome, Ada, visitor no. 2", want "Welcome, Ada, visitor no. 1", as the first time. Likely cause: it keeps state between calls
}

// The answers have random ids, so that they are compared without them.
func ExampleEqual() {
	type ticket struct {
		Name   string
		Issued time.Time
	}
	t := &testing.T{}
	synctest.Test(t, func(t *testing.T) {
		issue := func(_ context.Context, name string) (ticket, error) {
			time.Sleep(time.Second)
			return ticket{Name: name, Issued: time.Now()}, nil
		}
		faastest.Stateless(t, issue, []string{"Ada", "Grace"},
			faastest.Equal(func(a, b ticket) bool { return a.Name == b.Name }))
		fmt.Println("passed:", !t.Failed())
	})
	// Output: passed: true
}

func ExampleAntsGoroutines() {
	for _, name := range faastest.AntsGoroutines() {
		fmt.Println(name)
	}
	// Output:
	// github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers
	// github.com/panjf2000/ants/v2.(*poolCommon).ticktock
}
