package faas_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/inproc/faas"
)

type basket struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

type invoice struct {
	Total int `json:"total"`
}

func price(_ context.Context, o basket) (invoice, error) {
	if o.Count < 1 {
		return invoice{}, errors.New("nothing ordered")
	}
	return invoice{Total: 5 * o.Count}, nil
}

func ExampleRegister() {
	r := faas.New()
	defer r.Close()
	f := faas.Register(r, "price", price, faas.WithTimeout(time.Second), faas.WithConcurrency(8))

	bill, err := f.Invoke(context.Background(), basket{"tea", 3})
	fmt.Println(bill.Total, err)
	_, err = f.Invoke(context.Background(), basket{"tea", 0})
	fmt.Println(err) // the handler's own error, untouched
	// Output:
	// 15 <nil>
	// nothing ordered
}

func ExampleNoOutput() {
	r := faas.New()
	defer r.Close()
	type mail struct{ To, Text string }
	sendMail := func(_ context.Context, m mail) error {
		fmt.Println("to", m.To)
		return nil
	}
	send := faas.Register(r, "mail", faas.NoOutput(sendMail))
	_, err := send.Invoke(context.Background(), mail{To: "ana@example.com"})
	fmt.Println(err)
	// Output:
	// to ana@example.com
	// <nil>
}

func ExampleNoInput() {
	r := faas.New()
	defer r.Close()
	quote := func(context.Context) (string, error) { return "Less is more.", nil }
	faas.Register(r, "quote", faas.NoInput(quote))
	out, err := r.Invoke(context.Background(), "quote", nil)
	fmt.Println(string(out), err)
	// Output: "Less is more." <nil>
}

func ExampleTryRegister() {
	r := faas.New()
	defer r.Close()
	_, err := faas.TryRegister(r, "price list", price)
	fmt.Println(err, errors.Is(err, faas.ErrName))
	// Output:
	// faas: register "price list": invalid function name: use 1 to 64 of A–Z a–z 0–9 _ -, not starting with - true
}

func ExampleRouter_Invoke() {
	r := faas.New()
	defer r.Close()
	faas.Register(r, "price", price)

	answer, err := r.Invoke(context.Background(), "price", []byte(`{"item":"tea","count":3}`))
	fmt.Println(string(answer), err)
	_, err = r.Invoke(context.Background(), "price", []byte(`{"item":`))
	fmt.Println(err)
	_, err = r.Invoke(context.Background(), "prices", nil)
	fmt.Println(errors.Is(err, faas.ErrNotFound))
	// Output:
	// {"total":15} <nil>
	// faas: invoke "price" refused (input): invalid input: unexpected end of JSON input
	// true
}

func ExampleLookup() {
	r := faas.New()
	defer r.Close()
	faas.Register(r, "price", price)

	f, _ := faas.Lookup[basket, invoice](r, "price")
	bill, _ := f.Invoke(context.Background(), basket{"tea", 2})
	_, err := faas.Lookup[string, string](r, "price")
	fmt.Println(bill.Total, errors.Is(err, faas.ErrType))
	// Output: 10 true
}

// The caller gets its answer at the deadline, although the handler ignores its context. The
// handler continues as a runaway until it returns.
func ExampleWithTimeout() {
	r := faas.New()
	defer r.Close()
	wait := make(chan struct{})
	f := faas.Register(r, "deaf", func(context.Context, int) (int, error) { <-wait; return 0, nil }, faas.WithTimeout(100*time.Millisecond))

	_, err := f.Invoke(context.Background(), 0)
	fmt.Println(errors.Is(err, faas.ErrTimeout), errors.Is(err, context.DeadlineExceeded), f.Info().Runaways)
	close(wait)
	// Output: true true 1
}

func ExamplePanicError() {
	r := faas.New()
	defer r.Close()
	f := faas.Register(r, "broken", func(_ context.Context, m map[string]int) (int, error) { m["x"] = 1; return 0, nil })

	_, err := f.Invoke(context.Background(), nil)
	var p *faas.PanicError
	fmt.Println(errors.As(err, &p), p)
	// Output: true panic: assignment to entry in nil map
}

func ExampleMeter() {
	r := faas.New(faas.WithMeter(faas.MeterFunc(func(_ context.Context, e faas.Execution) {
		fmt.Println(e.Function, e.Tenant, e.Outcome, e.Memory>>20, "MiB", e.Duration > 0)
	})))
	defer r.Close()
	f := faas.Register(r, "price", price, faas.WithMemory(256<<20))

	ctx := faas.WithTenant(context.Background(), "acme")
	_, _ = f.Invoke(ctx, basket{"tea", 3})
	_, _ = f.Invoke(ctx, basket{"tea", 0})
	// Output:
	// price acme OK 256 MiB true
	// price acme Failed 256 MiB true
}

func ExampleBuffered() {
	slow := faas.MeterFunc(func(_ context.Context, e faas.Execution) {
		time.Sleep(time.Millisecond) // for example a database
		fmt.Println("stored:", e.Outcome)
	})
	r := faas.New(faas.WithMeter(faas.Buffered(slow, 1000)))
	f := faas.Register(r, "price", price)

	_, _ = f.Invoke(context.Background(), basket{"tea", 3}) // does not wait for the database
	_ = r.Shutdown(context.Background())                    // does
	// Output: stored: OK
}

func ExampleWithMiddleware() {
	trace := func(next faas.Runner) faas.Runner {
		return func(ctx context.Context, inv faas.Invocation) error {
			fmt.Println("before", inv.Function)
			err := next(ctx, inv)
			fmt.Println("after:", err)
			return err
		}
	}
	r := faas.New(faas.WithMiddleware(trace))
	defer r.Close()
	f := faas.Register(r, "price", price)
	_, _ = f.Invoke(context.Background(), basket{"tea", 0})
	// Output:
	// before price
	// after: nothing ordered
}

// members admits the calls of its members only.
type members []string

func (m members) Admit(_ context.Context, inv faas.Invocation) error {
	if slices.Contains(m, inv.Tenant) {
		return nil
	}
	return fmt.Errorf("%q is not a member", inv.Tenant)
}

func (members) Done(faas.Invocation, *faas.Execution) {}

func ExampleGate() {
	r := faas.New(faas.WithGate(members{"acme"}))
	defer r.Close()
	f := faas.Register(r, "price", price)

	bill, _ := f.Invoke(faas.WithTenant(context.Background(), "acme"), basket{"tea", 1})
	_, err := f.Invoke(faas.WithTenant(context.Background(), "evil"), basket{"tea", 1})
	fmt.Println(bill.Total, errors.Is(err, faas.ErrDenied), f.Info().Rejected)
	fmt.Println(err)
	// Output:
	// 5 true map[denied:1]
	// faas: invoke "price": denied: "evil" is not a member
}

type userKey struct{}

func ExampleWithContext() {
	greet := func(ctx context.Context, _ struct{}) (string, error) {
		user, ok := ctx.Value(userKey{}).(string)
		return fmt.Sprint(user, " ", ok), nil
	}
	r := faas.New()
	defer r.Close()
	plain := faas.Register(r, "plain", greet)
	knows := faas.Register(r, "knows", greet, faas.WithContext(func(caller, fresh context.Context) context.Context {
		return context.WithValue(fresh, userKey{}, caller.Value(userKey{}))
	}))

	ctx := context.WithValue(context.Background(), userKey{}, "ann")
	one, _ := plain.Invoke(ctx, struct{}{})
	two, _ := knows.Invoke(ctx, struct{}{})
	fmt.Printf("%q %q\n", one, two)
	// Output: " false" "ann true"
}

func ExampleCarryKeys() {
	r := faas.New(faas.WithContext(faas.CarryKeys(userKey{})))
	defer r.Close()
	greet := faas.Register(r, "greet", faas.NoInput(func(ctx context.Context) (string, error) {
		return fmt.Sprint("hello, ", ctx.Value(userKey{})), nil
	}))
	out, err := greet.Invoke(context.WithValue(context.Background(), userKey{}, "ana"), struct{}{})
	fmt.Println(out, err)
	// Output: hello, ana <nil>
}

func ExampleFromContext() {
	r := faas.New(faas.WithLabels(map[string]string{"team": "shop"}))
	defer r.Close()
	f := faas.Register(r, "who", func(ctx context.Context, _ struct{}) (string, error) {
		inv, _ := faas.FromContext(ctx)
		return fmt.Sprint(inv.Function, " ", inv.Version, " ", inv.Labels["team"], " ", inv.Deadline.Sub(inv.Start)), nil
	})
	out, _ := f.Invoke(context.Background(), struct{}{})
	fmt.Println(out)
	// Output: who $LATEST shop 30s
}

func ExampleWithCopy() {
	r := faas.New()
	defer r.Close()
	shout := func(_ context.Context, words []string) ([]string, error) {
		for i := range words {
			words[i] = strings.ToUpper(words[i])
		}
		return words, nil
	}
	f := faas.Register(r, "shout", shout, faas.WithCopy())
	in := []string{"a", "b"}
	out, _ := f.Invoke(context.Background(), in)
	fmt.Println(in, out)
	// Output: [a b] [A B]
}

func ExampleWithInline() {
	r := faas.New()
	defer r.Close()
	f := faas.Register(r, "late", func(context.Context, int) (int, error) {
		time.Sleep(2 * time.Millisecond)
		return 1, nil
	}, faas.WithInline(), faas.WithTimeout(time.Millisecond))
	out, err := f.Invoke(context.Background(), 0) // returns when the handler returns, and its error still says that the call was late
	fmt.Println(out, errors.Is(err, faas.ErrTimeout))
	// Output: 0 true
}

func ExampleWithStuck() {
	told := make(chan string)
	r := faas.New(
		faas.WithLogger(slog.New(slog.DiscardHandler)),
		faas.WithStuck(time.Millisecond, func(_ context.Context, inv faas.Invocation, over time.Duration) {
			told <- fmt.Sprint(inv.Function, " is stuck: ", over >= time.Millisecond)
		}))
	defer r.Close()
	wait := make(chan struct{})
	defer close(wait)
	ctx, leave := context.WithCancel(context.Background())
	f := faas.Register(r, "deaf", func(context.Context, int) (int, error) { leave(); <-wait; return 0, nil })
	_, _ = f.Invoke(ctx, 0)
	fmt.Println(<-told)
	// Output: deaf is stuck: true
}

func ExampleRouter_Functions() {
	r := faas.New()
	defer r.Close()
	faas.Register(r, "b", price)
	faas.Register(r, "a", price, faas.WithConcurrency(2))
	_, _ = r.Invoke(context.Background(), "a", []byte(`{"count":1}`))
	for i := range r.Functions() {
		fmt.Println(i.Name, i.In, i.Out, i.Timeout, i.Admitted)
	}
	// Output:
	// a faas_test.basket faas_test.invoice 30s 1
	// b faas_test.basket faas_test.invoice 30s 0
}

func ExampleRouter_Shutdown() {
	r := faas.New(faas.WithLogger(slog.New(slog.DiscardHandler)))
	started, wait := make(chan struct{}), make(chan struct{})
	defer close(wait)
	f := faas.Register(r, "deaf", func(context.Context, int) (int, error) { close(started); <-wait; return 0, nil })
	go func() { _, _ = f.Invoke(context.Background(), 0) }()
	<-started

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	fmt.Println(r.Shutdown(ctx))
	_, err := f.Invoke(context.Background(), 0)
	fmt.Println(errors.Is(err, faas.ErrClosed))
	// Output:
	// faas: shutdown: context deadline exceeded; still running: "deaf" (1)
	// true
}

// A streaming handler writes each piece as soon as it has it. Router.Invoke joins the
// pieces, and a front door passes each on as it comes.
func ExampleRegisterStream() {
	r := faas.New()
	defer r.Close()
	countdown := faas.RegisterStream(r, "countdown", func(ctx context.Context, from int, w io.Writer) error {
		for i := from; i > 0; i-- {
			if _, err := fmt.Fprintf(w, "%d…", i); err != nil {
				return err // the call is over, or the answer is too large
			}
		}
		return nil
	})
	err := countdown.Invoke(context.Background(), 3, os.Stdout)
	fmt.Println(err)
	all, err := r.Invoke(context.Background(), "countdown", []byte("2"))
	fmt.Println(string(all), err)
	// Output:
	// 3…2…1…<nil>
	// 2…1… <nil>
}

// journal is a sink where each write costs the same, however many records are in it.
type journal struct{ writes, records int }

func (j *journal) Record(ctx context.Context, e faas.Execution) {
	j.RecordBatch(ctx, []faas.Execution{e})
}

func (j *journal) RecordBatch(_ context.Context, es []faas.Execution) {
	j.writes++
	j.records += len(es)
}

// Behind a buffer, a BatchMeter gets all records at once that came while it was busy.
func ExampleBatchMeter() {
	sink := &journal{}
	buffer := faas.Buffered(sink, 1000)
	r := faas.New(faas.WithMeter(buffer))
	hello := faas.Register(r, "hello", func(context.Context, string) (string, error) { return "hello", nil })
	for range 100 {
		if _, err := hello.Invoke(context.Background(), ""); err != nil {
			fmt.Println(err)
		}
	}
	if err := r.Shutdown(context.Background()); err != nil { // flushes the buffer
		fmt.Println(err)
	}
	fmt.Println(sink.records, "records,", sink.writes <= sink.records)
	// Output: 100 records, true
}
