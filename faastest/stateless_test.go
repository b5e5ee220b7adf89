package faastest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
)

type order struct {
	ID    string
	Items []string
	Total *int
}

func orders() []*order {
	return []*order{
		{ID: "a", Items: []string{"tea"}, Total: new(10)},
		{ID: "b", Items: []string{"cup", "tea"}, Total: new(25)},
		{ID: "c", Items: []string{}, Total: new(0)},
	}
}

type receipt struct {
	Lines []string
	Sum   int
}

func receiptOf(o *order) receipt { return receipt{Lines: slices.Clone(o.Items), Sum: *o.Total} }

// try runs Stateless with a fakeTB, which may fail, and returns what Stateless reported.
func try[In, Out any](t *testing.T, h faas.Handler[In, Out], inputs []In, opts ...faastest.StatelessOption[Out]) string {
	t.Helper()
	tb := &fakeTB{TB: t}
	faastest.Stateless(tb, h, inputs, opts...)
	return tb.failed()
}

// dishonest has handlers with state. Each test makes new ones.
var dishonest = map[string]struct {
	handler func() faas.Handler[*order, receipt]
	want    string // in the report
}{
	"counts its calls": {func() faas.Handler[*order, receipt] {
		var n atomic.Int64
		return func(_ context.Context, o *order) (receipt, error) {
			r := receiptOf(o)
			r.Sum += int(n.Add(1))
			return r, nil
		}
	}, "keeps state between calls"},
	"fails every tenth call": {func() faas.Handler[*order, receipt] {
		var n atomic.Int64
		return func(_ context.Context, o *order) (receipt, error) {
			if n.Add(1)%10 == 0 {
				return receipt{}, errors.New("tenth")
			}
			return receiptOf(o), nil
		}
	}, `got error "tenth"`},
	"counts in the text of its error": {func() faas.Handler[*order, receipt] {
		var n atomic.Int64
		return func(context.Context, *order) (receipt, error) {
			return receipt{}, fmt.Errorf("failure number %d", n.Add(1))
		}
	}, `want error "failure number 1"`},
	"answers with the last input": {func() faas.Handler[*order, receipt] {
		var last *order
		return func(_ context.Context, o *order) (receipt, error) {
			defer func() { last = o }()
			if last == nil {
				last = o
			}
			return receiptOf(last), nil
		}
	}, "keeps state between calls"},
	"caches inputs": {func() faas.Handler[*order, receipt] {
		cache := map[string]*order{}
		return func(_ context.Context, o *order) (receipt, error) {
			if cache[o.ID] == nil {
				cache[o.ID] = o
			}
			return receiptOf(cache[o.ID]), nil
		}
	}, "an earlier input"},
	"caches a slice of its input": {func() faas.Handler[*order, receipt] {
		cache := map[string][]string{}
		return func(_ context.Context, o *order) (receipt, error) {
			if cache[o.ID] == nil {
				cache[o.ID] = o.Items
			}
			return receipt{Lines: slices.Clone(cache[o.ID]), Sum: *o.Total}, nil
		}
	}, "an earlier input"},
	"remembers the last input, under a key of its own": {func() faas.Handler[*order, receipt] {
		var (
			id   string
			last *order
		)
		return func(_ context.Context, o *order) (receipt, error) {
			if id != o.ID {
				id, last = strings.Clone(o.ID), o
			}
			return receipt{Lines: slices.Clone(last.Items)}, nil
		}
	}, "an earlier input"},
	"writes to the input before": {func() faas.Handler[*order, receipt] {
		var last *order
		return func(_ context.Context, o *order) (receipt, error) {
			r := receiptOf(o)
			if last != nil {
				last.ID += " seen"
			}
			last = o
			return r, nil
		}
	}, "after its call was over"},
	"writes to its input": {func() faas.Handler[*order, receipt] {
		return func(_ context.Context, o *order) (receipt, error) {
			r := receiptOf(o)
			*o.Total++
			return r, nil
		}
	}, "changed its input to"},
	"returns the same memory": {func() faas.Handler[*order, receipt] {
		buf := make([]string, 2)
		return func(_ context.Context, o *order) (receipt, error) {
			return receipt{Lines: buf[:copy(buf, o.Items)]}, nil
		}
	}, "after it was given"},
	"goes on giving its first answer": {func() faas.Handler[*order, receipt] {
		var once sync.Once
		var first receipt
		return func(_ context.Context, o *order) (receipt, error) {
			once.Do(func() { first = receiptOf(o) })
			return first, nil
		}
	}, "keeps its first answer"},
	"goes on giving its first error": {func() faas.Handler[*order, receipt] {
		var once sync.Once
		var first error
		return func(_ context.Context, o *order) (receipt, error) {
			once.Do(func() { first = errors.New("no such order: " + o.ID) })
			return receipt{}, first
		}
	}, "keeps its first answer"},
}

func TestStatelessCatches(t *testing.T) {
	t.Parallel()
	for name, c := range dishonest {
		t.Run("a handler that "+name, func(t *testing.T) {
			t.Parallel()
			inputs := orders()
			assert.Contains(t, try(t, c.handler(), inputs), c.want)
			assert.Equal(t, orders(), inputs, "the inputs are not changed")
		})
	}
}

func TestStatelessCatchesWhatOnlyShowsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int64
		got := try(t, func(_ context.Context, in int) (int, error) {
			defer running.Add(-1)
			running.Add(1)
			time.Sleep(time.Second)
			return in * int(running.Load()), nil
		}, []int{1, 2, 3})
		assert.Contains(t, got, `order "many at once"`)
		assert.Contains(t, got, "share a variable")
	})
}

func TestStatelessCatchesTheFirstAnswerOfASimpleType(t *testing.T) {
	t.Parallel()
	first := 0
	got := try(t, func(_ context.Context, in int) (int, error) {
		if first == 0 {
			first = in * 2
		}
		return first, nil
	}, []int{1, 2, 3})
	assert.Contains(t, got, "all 3 inputs were answered 2")
}

func TestStatelessSaysWhichInputAndOrder(t *testing.T) {
	t.Parallel()
	n := 0
	got := try(t, func(_ context.Context, in string) (string, error) {
		n++
		if n == 4 { // the second order begins with the last input
			return "odd", nil
		}
		return in + "!", nil
	}, []string{"a", "b", "c"})
	assert.Contains(t, got, `input 2, "c"; call 1 of 3, order "backward": got "odd", want "c!", as the first time. Likely cause: `)
}

func TestStatelessReportsAFewAndCountsTheRest(t *testing.T) {
	t.Parallel()
	n := 0
	got := try(t, func(context.Context, int) (int, error) { n++; return n, nil }, make([]int, 10))
	assert.Len(t, strings.Split(got, "\n"), 4)
	assert.Contains(t, got, "and 7 more in this order")
}

// parent has a field of each kind that is hard to copy.
type parent struct {
	Name   string
	Child  *parent
	Any    any
	Times  map[string]time.Time
	Grid   [2][]byte
	hidden *int
	Where  *time.Location
	Do     func() int `json:"-"`
}

// honest has handlers with answers that depend on the input alone.
var honest = map[string]func(t *testing.T) string{
	"a pure function": func(t *testing.T) string {
		t.Helper()
		return try(t, func(_ context.Context, in int) (int, error) { return in * 2, nil }, []int{0, 1, 2, 2, 1})
	},
	"fresh pointers, maps and slices": func(t *testing.T) string {
		t.Helper()
		return try(t, func(_ context.Context, in string) (map[string]*[]int, error) {
			return map[string]*[]int{in: {len(in)}}, nil
		}, []string{"", "a", "bc"})
	},
	"an output that is its input": func(t *testing.T) string {
		t.Helper()
		return try(t, func(_ context.Context, in *order) (*order, error) { return in, nil }, orders())
	},
	"an output that is a part of its input": func(t *testing.T) string {
		t.Helper()
		return try(t, func(_ context.Context, in []byte) ([]byte, error) { return in[1:], nil }, [][]byte{[]byte("ab"), []byte("cd")})
	},
	"errors and panics": func(t *testing.T) string {
		t.Helper()
		return try(t, func(_ context.Context, in int) (int, error) {
			switch in {
			case 0:
				return 1, errors.New("zero")
			case 1:
				panic("one")
			}
			return in, nil
		}, []int{0, 1, 2})
	},
	"a constant, from a single input": func(t *testing.T) string {
		t.Helper()
		return try(t, func(context.Context, string) (string, error) { return "ok", nil }, []string{"ping"})
	},
	"a constant, from equal inputs": func(t *testing.T) string {
		t.Helper()
		return try(t, func(context.Context, string) (string, error) { return "ok", nil }, []string{"ping", "ping"})
	},
	"nothing": func(t *testing.T) string {
		t.Helper()
		return try(t, func(context.Context, string) (struct{}, error) { return struct{}{}, nil }, []string{"a", "b"})
	},
	"nil": func(t *testing.T) string {
		t.Helper()
		return try(t, func(_ context.Context, in *order) (any, error) {
			if in == nil {
				return nil, nil
			}
			return in.ID, nil
		}, append(orders(), nil))
	},
	"a NaN, with Equal": func(t *testing.T) string {
		t.Helper()
		return try(t, func(_ context.Context, in float64) (float64, error) { return math.Sqrt(in), nil },
			[]float64{-1, 4, math.NaN()},
			faastest.Equal(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }))
	},
	"an order that does not matter, with Equal": func(t *testing.T) string {
		t.Helper()
		return try(t, func(_ context.Context, in map[string]int) ([]string, error) {
			return slices.Collect(maps.Keys(in)), nil
		},
			[]map[string]int{{"a": 1, "b": 2, "c": 3}, {}},
			faastest.Equal(func(a, b []string) bool {
				return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
			}))
	},
	"inputs that are awkward to copy": func(t *testing.T) string {
		t.Helper()
		in := &parent{
			Name: "p", Any: []any{1, "two", &order{ID: "x", Total: new(1)}},
			Times: map[string]time.Time{"now": time.Now()}, Grid: [2][]byte{{1}, nil},
			Where: time.Local, Do: func() int { return 42 },
		}
		in.Child = in
		byValue := *in
		byValue.hidden = new(7)
		return try(t, func(_ context.Context, in parent) (string, error) {
			if in.Where != time.Local {
				return "", errors.New("a copy of time.Local is not time.Local")
			}
			last := ""
			if list, ok := in.Any.([]any); ok {
				last = list[2].(*order).ID
			}
			return fmt.Sprint(in.Name, in.Child == nil, last, in.Times, in.Grid, in.hidden == nil, in.Do()), nil
		}, []parent{*in, byValue, {Name: "q", Where: time.Local, Do: func() int { return 1 }}})
	},
	"slices of the same array": func(t *testing.T) string {
		t.Helper()
		all := []int{1, 2, 3}
		return try(t, func(_ context.Context, in [][]int) (int, error) {
			assert.Len(t, in[0], 1)
			assert.Len(t, in[1], 3)
			return in[1][2], nil
		}, [][][]int{{all[:1], all}, {all[:1], {4, 5, 6}}})
	},
	"cycles": func(t *testing.T) string {
		t.Helper()
		type node struct{ Next *node }
		loop := &node{}
		loop.Next = &node{Next: loop}
		list := []any{nil}
		list[0] = list
		return try(t, func(_ context.Context, in any) (bool, error) {
			n, ok := in.(*node)
			return ok && n.Next.Next == n, nil
		}, []any{loop, list})
	},
	"a cache of what it has computed itself": func(t *testing.T) string {
		t.Helper()
		var cache sync.Map
		return try(t, func(_ context.Context, in *order) (receipt, error) {
			r, _ := cache.LoadOrStore(strings.Clone(in.ID), receiptOf(in))
			return r.(receipt), nil
		}, orders())
	},
}

func TestStatelessPasses(t *testing.T) {
	t.Parallel()
	for name, run := range honest {
		t.Run("a handler that answers "+name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, run(t))
		})
	}
}

func TestStatelessAsksForEqualWhereNothingIsEqual(t *testing.T) {
	t.Parallel()
	got := try(t, func(_ context.Context, in float64) (float64, error) { return math.Sqrt(in), nil }, []float64{-1, 4})
	assert.Contains(t, got, "compare with Equal")
}

func TestStatelessLeavesInputsAloneThatAreStillInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := try(t, func(_ context.Context, in *order) (int, error) {
			time.Sleep(time.Minute)
			assert.Equal(t, "a", in.ID)
			in.ID += "!"
			return len(in.ID), nil
		}, orders()[:1])
		assert.Empty(t, got, "it answers ErrTimeout each time")
	})
}

func TestStatelessCostsNoTimeInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		faastest.Stateless(t, func(_ context.Context, in int) (int, error) {
			time.Sleep(time.Second)
			return in, nil
		}, []int{1, 2, 3})
	})
}

func TestStatelessRepeatsASeed(t *testing.T) {
	t.Parallel()
	sequence := func(opts ...faastest.StatelessOption[int]) (calls []int) {
		tb := &fakeTB{TB: t}
		faastest.Stateless(tb, func(_ context.Context, in int) (int, error) {
			if len(calls) < 50 { // before the calls at once
				calls = append(calls, in)
			}
			return in, nil
		}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, opts...)
		assert.Contains(t, tb.logged()[0], "faastest.Seed[int](")
		return calls
	}
	first := sequence(faastest.Seed[int](1))
	again := sequence(faastest.Seed[int](1))
	other := sequence(faastest.Seed[int](2))
	assert.Equal(t, first, again)
	assert.NotEqual(t, first, other)
}

func TestStatelessNeedsInputs(t *testing.T) {
	t.Parallel()
	got := try(t, func(_ context.Context, in int) (int, error) { return in, nil }, nil)
	assert.Contains(t, got, "no inputs")
}

func TestStatelessLogsWhatItDoesNotCopy(t *testing.T) {
	t.Parallel()
	tb := &fakeTB{TB: t}
	faastest.Stateless(tb, func(_ context.Context, in *parent) (string, error) { return in.Name, nil }, []*parent{{Name: "a"}, {Name: "b"}})
	assert.Empty(t, tb.failed())
	assert.Contains(t, strings.Join(tb.logged(), "\n"), "faastest_test.parent has unexported fields")
}
