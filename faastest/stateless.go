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

// Equal sets how outputs are compared, in place of [reflect.DeepEqual]: where an
// output has a time or an id of its own, a NaN, or an order that does not
// matter. It must not keep or change them.
func Equal[Out any](equal func(a, b Out) bool) StatelessOption[Out] {
	return statelessOption[Out](func(s *statelessSettings[Out]) { s.equal = equal })
}

// Seed sets how the inputs are shuffled, to repeat what a failed run has logged.
func Seed[Out any](seed uint64) StatelessOption[Out] {
	return statelessOption[Out](func(s *statelessSettings[Out]) { s.seed = seed })
}

// Stateless fails the test where an answer of h depends on anything but its
// input. A platform runs a function on as many instances as it likes, each of
// which sees some of the calls in some order; Stateless calls h, through
// routers, with the inputs forward, backward, shuffled (with a seed that is
// logged), each several times in a row, each on a router of its own, and many at
// once, and compares outputs and the texts of errors with the first answers.
//
// Each call gets a deep copy of its input, as if it had come over a wire, and
// before another order the copies of all calls so far are zeroed, as by callers
// who use their buffers again. So it fails for handlers that
//
//   - count, cache or remember in variables, and let it show in an answer;
//   - keep a pointer, slice or map of an input, and later answer from it or
//     write to it;
//   - write to their input;
//   - return memory that they use again for a later answer;
//   - give different answers when called concurrently (run it with -race, too).
//
// An output may have parts of its own input in it.
//
// What the first call of the process has settled for good looks the same to
// every later call. Of that Stateless sees one case, a handler that goes on
// giving its first answer: if inputs differ and all answers are the same, it
// asks for an input that is answered otherwise (an error will do), since the
// test can tell nothing without. A handler without output that never fails is
// taken to be honest, and with a single input there is nothing to tell.
//
// A pointer to a struct with unexported fields is not followed, since a copy of
// a lock or of a time.Location is another one; nor are such fields, channels and
// functions. What is there is shared between the calls, and neither zeroed nor
// checked; Stateless logs such types. Inputs of calls that time out are not
// zeroed or checked either: their handlers may still read them.
//
// The inputs themselves are not changed and not kept. Stateless may be called
// concurrently, and inside a [testing/synctest] bubble, where handlers that wait
// cost no time. It reports with tb.Errorf, once or a few times, and returns after the first order
// that shows a difference.
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
	fresh  bool   // each on a router of its own
	zeroed bool   // the inputs of all calls before are zeroed first
	atOnce bool   // by many callers
	cause  string // of an answer that differs here and did not before
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
		// It begins with the input that was last, for those who keep one alone.
		{name: "backward, all earlier inputs zeroed", inputs: backward, zeroed: true, cause: causeKept},
		{name: "many at once", inputs: mixed, atOnce: true, cause: causeAtOnce},
	}
}
