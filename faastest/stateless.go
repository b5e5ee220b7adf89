package faastest

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/inproc/faas"
)

// StatelessOption is an option of [Stateless].
type StatelessOption[Out any] interface{ applyStateless(*statelessSettings[Out]) }

type statelessOption[Out any] func(*statelessSettings[Out])

//nolint:unused // StatelessOption asks for it; the linter does not see that through a type parameter
func (o statelessOption[Out]) applyStateless(s *statelessSettings[Out]) { o(s) }

type statelessSettings[Out any] struct {
	equal func(a, b Out) bool
	seed  uint64
}

// Equal sets how outputs are compared, in place of [reflect.DeepEqual]. It is for
// outputs with, for example, a time, a random id, a NaN, or an order that does
// not matter. The function must not keep or change the outputs.
func Equal[Out any](equal func(a, b Out) bool) StatelessOption[Out] {
	return statelessOption[Out](func(s *statelessSettings[Out]) { s.equal = equal })
}

// Seed sets the seed by which Stateless shuffles the inputs. To repeat a failed
// run, pass the seed that the run has logged.
func Seed[Out any](seed uint64) StatelessOption[Out] {
	return statelessOption[Out](func(s *statelessSettings[Out]) { s.seed = seed })
}

// Stateless fails the test if an answer of h depends on anything but its input. A
// platform runs a function on any number of instances, each of which sees some of
// the calls in some order. Stateless calls h, through routers, with the inputs
// forward, backward, shuffled (it logs the seed), each several times in a row,
// each on a router of its own, and many at the same time. It compares outputs and
// the texts of errors with the first answers.
//
// Each call gets a deep copy of its input, as if it had come over a network.
// Before one of the orders the copies of all earlier calls are zeroed, as if
// their callers reused the buffers. So it fails for handlers that
//
//   - count, cache or keep anything in variables, if an answer shows it;
//   - keep a pointer, slice or map of an input, and later answer from it or
//     write to it;
//   - write to their input;
//   - return memory that they reuse for a later answer;
//   - give different answers when called concurrently (run it with -race, too).
//
// An output may contain parts of its own input.
//
// State that the first call of the process sets for ever (for example by a
// sync.Once) looks the same to every later call. Stateless finds one case of it:
// a handler that repeats its first answer. If inputs differ and all answers are
// the same, the test fails and asks for an input with another answer (an error is
// enough), because it could not detect such a handler otherwise. It passes a handler
// that never fails and has an output without size, and any handler with one input.
//
// Stateless does not follow a pointer to a struct with unexported fields, because
// a copy of, for example, a lock or a time.Location is a different one. It does
// not follow unexported fields, channels and functions either. What they refer to
// is shared between the calls, and neither zeroed nor checked; Stateless logs such
// types. Inputs of calls that time out are not zeroed or checked, because their
// handlers may still read them.
//
// The inputs themselves are neither changed nor kept. Stateless may be called
// concurrently, and inside a [testing/synctest] bubble, where handlers that wait
// cost no time. It reports with tb.Errorf, once or a few times, and returns after
// the first order that shows a difference.
func Stateless[In, Out any](tb testing.TB, h faas.Handler[In, Out], inputs []In, opts ...StatelessOption[Out]) {
	tb.Helper()
	if len(inputs) == 0 {
		tb.Fatalf("faastest.Stateless: no inputs; give at least one, better two with different answers")
		return
	}
	s := statelessSettings[Out]{
		equal: func(a, b Out) bool { return reflect.DeepEqual(a, b) },
		seed:  rand.Uint64(),
	}
	for _, o := range opts {
		if o != nil {
			o.applyStateless(&s)
		}
	}
	tb.Logf("faastest.Stateless: shuffled with seed %d; to repeat it, add faastest.Seed[%v](%[1]d)", s.seed, reflect.TypeFor[Out]())
	t := newTrial(tb, h, inputs, s.equal)
	for _, o := range orders(len(inputs), s.seed) {
		if !t.try(o) {
			return
		}
	}
	t.tellsNothing()
}

// order is one way to call all inputs.
type order struct {
	name   string
	inputs []int  // by index, in the order of their calls
	fresh  bool   // each call has a router of its own
	zeroed bool   // the inputs of all earlier calls are zeroed first
	atOnce bool   // many goroutines call
	cause  string // the likely cause if answers differ in this order and in none before
}

const (
	causeState  = "it keeps state between calls (a counter, a cache, a variable that outlives the call), or draws on the clock or on chance; if that is right for a part of the answer, leave the part out with Equal"
	causeRouter = "it keeps state for each router that calls it"
	causeKept   = "it keeps a pointer, slice or map of an earlier input, whose owner has used it again since"
	causeAtOnce = "calls that run at the same time share a variable; -race finds it"
)

func orders(n int, seed uint64) []order {
	rng := rand.New(rand.NewPCG(seed, 0))
	var forward, repeated, mixed []int
	for i := range n {
		forward = append(forward, i)
	}
	backward := slices.Clone(forward)
	slices.Reverse(backward)
	for _, i := range rng.Perm(n) {
		repeated = append(repeated, i, i, i)
	}
	for range 4 {
		mixed = append(mixed, rng.Perm(n)...)
	}
	return []order{
		{name: "forward", inputs: forward},
		{name: "backward", inputs: backward, cause: causeState},
		{name: "shuffled", inputs: rng.Perm(n), cause: causeState},
		{name: "each three times in a row", inputs: repeated, cause: causeState},
		{name: "each on a router of its own", inputs: forward, fresh: true, cause: causeRouter},
		// It begins with the last input of the order before, and so finds a handler
		// that keeps only its latest input.
		{name: "backward, all earlier inputs zeroed", inputs: backward, zeroed: true, cause: causeKept},
		{name: "many at once", inputs: mixed, atOnce: true, cause: causeAtOnce},
	}
}
