package faastest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/foreign"
)

// trial is one run of [Stateless].
type trial[In, Out any] struct {
	tb      testing.TB
	h       faas.Handler[In, Out]
	inputs  []In
	equal   func(a, b Out) bool
	warm    *faas.Function[In, Out] // on the router that all calls share, unless order.fresh is set
	want    []*answer[Out]          // by input: the first answer, with memory of its own
	checked []bool                  // by input: whether a copy equals it; if not, a change can't be detected
	over    []*call[In, Out]        // the calls of earlier orders
}

// answer is the result of a call.
type answer[Out any] struct {
	out    Out
	failed bool
	text   string // of the error, taken at once: the handler may reuse the error's memory
}

// call is one call of a trial.
type call[In, Out any] struct {
	input int // its index
	in    deepCopy[In]
	got   answer[Out]
	ended bool // the handler has returned, so the input is not in use
}

func newTrial[In, Out any](tb testing.TB, h faas.Handler[In, Out], inputs []In, equal func(a, b Out) bool) *trial[In, Out] {
	tb.Helper()
	t := &trial[In, Out]{tb: tb, h: h, inputs: inputs, equal: equal, want: make([]*answer[Out], len(inputs))}
	t.warm = faas.Register(New(tb), "handler", h)
	shared := map[reflect.Type]bool{}
	for _, in := range inputs {
		c := copyOf(in)
		t.checked = append(t.checked, reflect.DeepEqual(c.value, in))
		maps.Copy(shared, c.shared)
	}
	for typ := range shared {
		tb.Logf("faastest.Stateless: %v has unexported fields: what inputs hold of it is shared between the calls, and not checked", typ)
	}
	return t
}

// try calls the inputs in an order, and reports whether all answers were right.
func (t *trial[In, Out]) try(o order) bool {
	t.tb.Helper()
	if o.zeroed {
		t.zero()
	}
	rep := &report{tb: t.tb, order: o}
	calls := make([]*call[In, Out], len(o.inputs))
	if o.atOnce {
		t.callAtOnce(o, calls)
	}
	for pos, input := range o.inputs {
		if calls[pos] == nil {
			calls[pos] = t.call(input, o.fresh)
		}
		t.judge(rep, pos, calls[pos])
	}
	t.judgeAgain(rep, calls)
	t.over = append(t.over, calls...)
	return rep.end()
}

// zero zeroes the inputs of all calls so far, except those of handlers that may
// still run: that would be a data race of the test's own.
func (t *trial[In, Out]) zero() {
	for _, c := range t.over {
		if c.ended {
			c.in.wipe()
		}
	}
}

// call calls the handler with a copy of an input; if fresh is true, in a router of its own.
// A call whose context ended may have left a runaway, which still uses the input: then
// ended is false.
func (t *trial[In, Out]) call(input int, fresh bool) *call[In, Out] {
	f := t.warm
	if fresh {
		r := New(t.tb)
		defer r.Close()
		f = faas.Register(r, "handler", t.h)
	}
	c := &call[In, Out]{input: input, in: copyOf(t.inputs[input])}
	out, err := f.Invoke(context.Background(), c.in.value)
	c.got = answer[Out]{out: out}
	if err != nil {
		c.got.failed, c.got.text = true, foreign.Text(err)
	}
	c.ended = !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) && !errors.Is(err, faas.ErrClosed)
	return c
}

// callers is the number of goroutines that call at the same time. It is high
// enough for calls to overlap, and below a router's default capacity, so
// that no call is refused.
const callers = 64

// callAtOnce makes the calls of an order on several goroutines. Each takes the next
// position from a counter, so no two of them write to the same element of calls, and
// Wait makes the elements visible to the caller.
func (t *trial[In, Out]) callAtOnce(o order, calls []*call[In, Out]) {
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for range min(callers, len(calls)) {
		wg.Go(func() {
			for pos := next.Add(1) - 1; pos < int64(len(calls)); pos = next.Add(1) - 1 {
				calls[pos] = t.call(o.inputs[pos], false)
			}
		})
	}
	wg.Wait()
}

// judge checks a call that has just ended.
func (t *trial[In, Out]) judge(rep *report, pos int, c *call[In, Out]) {
	t.tb.Helper()
	in := t.inputs[c.input]
	if t.want[c.input] == nil {
		first := answer[Out]{out: copyOf(c.got.out).value, failed: c.got.failed, text: c.got.text}
		t.want[c.input] = &first
		if !first.failed && !t.equal(first.out, c.got.out) {
			rep.add(pos, in, "the answer %v is not equal to a copy of itself: it holds a NaN, a function or memory that is in use; compare with Equal", first)
		}
	} else if got, want := c.got, *t.want[c.input]; !t.same(got, want) {
		rep.add(pos, in, "got %v, want %v, as the first time%s. Likely cause: %s", got, want, alike(got, want), rep.order.cause)
	}
	if t.changed(c) {
		rep.add(pos, in, "the handler has changed its input to %s. Its caller still has that: copy what is to be changed", show(c.in.value))
	}
}

// judgeAgain checks all calls of an order after its last one: a later call may
// have written to the input or output of an earlier one.
func (t *trial[In, Out]) judgeAgain(rep *report, calls []*call[In, Out]) {
	t.tb.Helper()
	if rep.found > 0 {
		return // whatever it found would be a consequence of that
	}
	for pos, c := range calls {
		in := t.inputs[c.input]
		if t.changed(c) {
			rep.add(pos, in, "the input has become %s after its call was over. "+
				"Likely cause: the handler keeps a pointer, slice or map of it, and writes to it in a later call", show(c.in.value))
		}
		if want := *t.want[c.input]; !want.failed && !t.equal(c.got.out, want.out) {
			rep.add(pos, in, "the answer has become %v after it was given, and was %v. "+
				"Likely cause: the handler returns memory that it uses again, or that another goroutine still writes to", c.got, want)
		}
	}
}

// changed reports whether the handler wrote to its input. It is false for inputs that it
// can't compare (a NaN, a func) and while the handler may still run.
func (t *trial[In, Out]) changed(c *call[In, Out]) bool {
	return c.ended && t.checked[c.input] && !reflect.DeepEqual(c.in.value, t.inputs[c.input])
}

// same compares errors by their text: most handlers make a new error value for each call.
func (t *trial[In, Out]) same(a, b answer[Out]) bool {
	if a.failed || b.failed {
		return a.failed == b.failed && a.text == b.text
	}
	return t.equal(a.out, b.out)
}

// tellsNothing fails the test if a handler that repeats its first answer would pass this
// trial.
func (t *trial[In, Out]) tellsNothing() {
	t.tb.Helper()
	first := *t.want[0]
	if !first.failed && reflect.TypeFor[Out]().Size() == 0 {
		return // there is no other answer
	}
	differ := false
	for i, in := range t.inputs {
		if !t.same(*t.want[i], first) {
			return
		}
		differ = differ || !reflect.DeepEqual(in, t.inputs[0])
	}
	if differ {
		t.tb.Errorf("faastest.Stateless: all %d inputs were answered %v, although they differ. Likely cause: the handler keeps its first answer. "+
			"If not, Stateless can't detect such a handler: add an input with another answer (an error is enough), or give a single input", len(t.inputs), first)
	}
}

// report reports the faults of one order, the first atMost of them in full.
type report struct {
	tb    testing.TB
	order order
	found int
}

const atMost = 3

func (r *report) add(pos int, in any, format string, args ...any) {
	r.tb.Helper()
	r.found++
	if r.found <= atMost {
		r.tb.Errorf("faastest.Stateless: input %d, %s; call %d of %d, order %q: %s",
			r.order.inputs[pos], show(in), pos+1, len(r.order.inputs), r.order.name, fmt.Sprintf(format, args...))
	}
}

func (r *report) end() (ok bool) {
	r.tb.Helper()
	if more := r.found - atMost; more > 0 {
		r.tb.Errorf("faastest.Stateless: and %d more in this order", more)
	}
	return r.found == 0
}

func (a answer[Out]) String() string {
	if a.failed {
		return fmt.Sprintf("error %q", a.text)
	}
	return show(a.out)
}

func alike[Out any](a, b answer[Out]) string {
	if a.String() == b.String() {
		return " (they differ in what is not printed)"
	}
	return ""
}

// show formats v as JSON, which follows pointers, or by %+v where JSON fails.
func show(v any) (text string) {
	defer func() {
		if recover() != nil { // of a method of v
			text = fmt.Sprintf("(%T that panics when printed)", v)
		}
	}()
	const most = 200
	data, err := json.Marshal(v)
	if err != nil || string(data) == "{}" {
		data = fmt.Appendf(nil, "%+v", v)
	}
	if runes := []rune(string(data)); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(data)
}
