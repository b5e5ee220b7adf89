package faas_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// D. Data.

type purchase struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
	Notes []any  `json:"notes"`
}

func TestD01_AHandleOfOtherTypesIsNotGiven(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		serve(h, "f", nothing)

		_, err := faas.Lookup[string, int](h.Router, h.named("f"))
		assert.ErrorIs(t, err, faas.ErrType)
		assert.ErrorContains(t, err, "func(int) int")
		_, err = faas.Lookup[int, any](h.Router, h.named("f"))
		assert.ErrorIs(t, err, faas.ErrType)
		_, err = faas.Lookup[int, int](h.Router, "g")
		assert.ErrorIs(t, err, faas.ErrNotFound)

		f, err := faas.Lookup[int, int](h.Router, h.named("f"))
		require.NoError(t, err)
		_, err = call(t.Context(), h, f, 1)
		assert.NoError(t, err)
	})
}

func TestD01_ANilInputIsPassedThrough(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		careful := serve(h, "careful", func(_ context.Context, in *purchase) (bool, error) { return in == nil, nil })
		careless := serve(h, "careless", func(_ context.Context, in *purchase) (int, error) { return in.Count, nil })

		out, err := call(t.Context(), h, careful, nil)
		require.NoError(t, err)
		assert.True(t, out)
		text, err := ask(t.Context(), h, "careful", "null")
		require.NoError(t, err)
		assert.Equal(t, "true", text)

		_, err = call(t.Context(), h, careless, nil)
		_ = asPanic(t, err)
		_, err = ask(t.Context(), h, "careless", "null")
		_ = asPanic(t, err)
	})
}

// refusesPayload asserts that a payload is refused before it reaches the handler.
func refusesPayload(t *testing.T, payload string) {
	t.Helper()
	eachWay(t, func(t *testing.T, h *host) {
		entered := false
		serve(h, "f", func(context.Context, purchase) (int, error) { entered = true; return 1, nil })

		_, err := ask(t.Context(), h, "f", payload)

		assertRefused(t, err, faas.ErrInput, faas.ReasonInput)
		assert.False(t, entered)
		assert.Empty(t, h.all())
	})
}

func TestD02_AnEmptyBodyIsNoOrder(t *testing.T) {
	t.Parallel()
	refusesPayload(t, "")
}

func TestD02_ATruncatedBodyIsRefused(t *testing.T) {
	t.Parallel()
	refusesPayload(t, `{"item": "nut", "cou`)
}

func TestD02_TrailingGarbageIsRefused(t *testing.T) {
	t.Parallel()
	refusesPayload(t, `{"item": "nut"} and bolts`)
	refusesPayload(t, `{"item": "nut"}{}`)
}

func TestD02_NaNIsNoJSON(t *testing.T) {
	t.Parallel()
	refusesPayload(t, `{"count": NaN}`)
}

func TestD02_ANumberOutOfRangeIsRefused(t *testing.T) {
	t.Parallel()
	refusesPayload(t, `{"notes": [1e400]}`)
	refusesPayload(t, `{"count": 9223372036854775808}`)
	refusesPayload(t, `{"count": 1.5}`)
}

func TestD02_NestingWithoutEndIsRefused(t *testing.T) {
	t.Parallel()
	const deep = 10_001
	refusesPayload(t, `{"notes": `+strings.Repeat("[", deep)+strings.Repeat("]", deep)+`}`)
}

func TestD02_ADecoderThatPanicsIsAnInputError(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		published(h, "f", func(context.Context, grenade) (int, error) { return 1, nil })

		_, err := ask(t.Context(), h, "f", "{}")

		assertRefused(t, err, faas.ErrInput, faas.ReasonInput)
		var p *faas.PanicError
		assert.ErrorAs(t, err, &p)
	})
}

// grenade can't be encoded or decoded.
type grenade struct{}

func (grenade) MarshalJSON() ([]byte, error) { panic("boom on the way out") }
func (*grenade) UnmarshalJSON([]byte) error  { panic("boom on the way in") }

func TestD02_WhatIsAcceptedIsDocumented(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		serve(h, "f", func(_ context.Context, in purchase) (purchase, error) { return in, nil })
		accepts := func(payload, item string) {
			out, err := ask(t.Context(), h, "f", payload)
			require.NoError(t, err)
			assert.Contains(t, out, `"item":`+item)
		}
		accepts(`null`, `""`)
		accepts(`{"item": "nut", "item": "bolt"}`, `"bolt"`)
		accepts(`{"item": "nut", "color": "red"}`, `"nut"`)
		accepts("{\"item\": \"n\xfft\"}", "\"n\ufffdt\"")
		accepts("\n\t {\"item\": \"nut\"} \r\n", `"nut"`)
	})
}

func TestD02_AnEmptyBodyIsAnEmptyStruct(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		serve(h, "f", func(context.Context, struct{}) (string, error) { return "yes", nil })
		for _, payload := range []string{"", "{}", "null"} {
			out, err := ask(t.Context(), h, "f", payload)
			require.NoError(t, err)
			assert.Equal(t, `"yes"`, out)
		}
		_, err := ask(t.Context(), h, "f", "[")
		assertRefused(t, err, faas.ErrInput, faas.ReasonInput)
	})
}

// Many wrappers have had this fault once: the second payload has only some of the fields, and
// the other fields still have the values of the first payload.
func TestD02_EachPayloadIsDecodedIntoAFreshValue(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		serve(h, "f", func(_ context.Context, in purchase) (purchase, error) { return in, nil })
		for range 20 {
			_, err := ask(t.Context(), h, "f", `{"item": "nut", "count": 7, "notes": [1, 2]}`)
			require.NoError(t, err)
			out, err := ask(t.Context(), h, "f", `{"item": "bolt"}`)
			require.NoError(t, err)
			require.JSONEq(t, `{"item": "bolt", "count": 0, "notes": null}`, out)
			_, err = ask(t.Context(), h, "f", `{"item": "washer", "count": 9, "cou`)
			require.Error(t, err)
			out, err = ask(t.Context(), h, "f", `{"count": 1}`)
			require.NoError(t, err)
			require.JSONEq(t, `{"item": "", "count": 1, "notes": null}`, out)
		}
	})
}

func TestD03_APayloadMayBeAsLargeAsTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 1000
	eachWay(t, func(t *testing.T, h *host) {
		serve(h, "f", func(_ context.Context, in []byte) (int, error) { return len(in), nil }, faas.WithLimits(limit, limit))

		out, err := ask(t.Context(), h, "f", strings.Repeat("x", limit))
		require.NoError(t, err)
		assert.Equal(t, "1000", out)
		assert.Equal(t, limit, h.last(t).BytesIn)

		_, err = ask(t.Context(), h, "f", strings.Repeat("x", limit+1))
		assertRefused(t, err, faas.ErrTooLarge, faas.ReasonTooLarge)
		assert.Len(t, h.all(), 1)
	})
}

func TestD04_AnOutputMayBeAsLargeAsTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 1000
	eachWay(t, func(t *testing.T, h *host) {
		serve(h, "f", func(_ context.Context, in int) ([]byte, error) {
			time.Sleep(time.Second)
			return bytes.Repeat([]byte("x"), in), nil
		}, faas.WithLimits(limit, limit))

		out, err := ask(t.Context(), h, "f", "1000")
		require.NoError(t, err)
		assert.Len(t, out, limit)
		assert.Equal(t, limit, h.last(t).BytesOut)

		out, err = ask(t.Context(), h, "f", "1001")
		assert.ErrorIs(t, err, faas.ErrTooLarge)
		assert.ErrorIs(t, err, faas.ErrOutput)
		assert.Empty(t, out)
		assert.Equal(t, faas.OutputInvalid, h.last(t).Outcome)
		assert.Equal(t, time.Second, h.last(t).Duration, "it is billed")
	})
}

// spoilsOutput asserts that a call whose output can't be encoded was admitted, and is billed.
func spoilsOutput[Out any](t *testing.T, out Out) {
	t.Helper()
	eachWay(t, func(t *testing.T, h *host) {
		serve(h, "f", func(context.Context, int) (Out, error) {
			time.Sleep(time.Second)
			return out, nil
		})

		text, err := ask(t.Context(), h, "f", "1")

		assert.ErrorIs(t, err, faas.ErrOutput)
		assert.Empty(t, text, "not even a part")
		e := h.last(t)
		assert.Equal(t, faas.OutputInvalid, e.Outcome)
		assert.Equal(t, time.Second, e.Duration)
		assert.Zero(t, e.BytesOut)
	})
}

func TestD04_AChannelIsNoOutput(t *testing.T) {
	t.Parallel()
	spoilsOutput(t, (chan int)(nil))
}

func TestD04_AFunctionIsNoOutput(t *testing.T) {
	t.Parallel()
	spoilsOutput(t, func() {})
}

func TestD04_ARingIsNoOutput(t *testing.T) {
	t.Parallel()
	type ring struct{ Next *ring }
	r := &ring{}
	r.Next = r
	spoilsOutput(t, r)
}

func TestD04_NaNIsNoOutput(t *testing.T) {
	t.Parallel()
	spoilsOutput(t, math.NaN())
}

func TestD04_AnEncoderThatPanicsIsAnOutputError(t *testing.T) {
	t.Parallel()
	spoilsOutput(t, struct{ Pin grenade }{})
}

func TestD04_ATypedCallNeedsNoEncoding(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(context.Context, int) (func() int, error) { return func() int { return 7 }, nil })

		out, err := call(t.Context(), h, f, 0)

		require.NoError(t, err)
		assert.Equal(t, 7, out())
	})
}

func TestD06_ATypedCallSharesWhatItsInputPointsTo(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		f := serve(h, "f", func(_ context.Context, in []int) ([]int, error) { return in[:2], nil })
		in := []int{1, 2, 3}

		out, err := call(t.Context(), h, f, in)

		require.NoError(t, err)
		in[0] = 9
		assert.Equal(t, []int{9, 2}, out)
	})
}

func TestD06_WithCopySharesNothing(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		var kept []int
		f := serve(h, "f", func(_ context.Context, in []int) ([]int, error) {
			kept = in
			return in[:2], nil
		}, faas.WithCopy())
		in := []int{1, 2, 3}

		out, err := call(t.Context(), h, f, in)

		require.NoError(t, err)
		in[0], out[1] = 9, 8
		assert.Equal(t, []int{1, 2, 3}, kept)
		assert.Equal(t, []int{1, 8}, out)
	})
}

func TestD06_WithCopySharesNoBytesEither(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		var kept []byte
		f := serve(h, "f", func(_ context.Context, in []byte) ([]byte, error) {
			kept = in
			return in, nil
		}, faas.WithCopy())
		in := []byte("abc")

		typed, err := call(t.Context(), h, f, in)
		require.NoError(t, err)
		in[0], typed[1] = 'x', 'x'
		assert.Equal(t, "abc", string(kept))

		in = []byte("abc")
		raw, err := h.Invoke(t.Context(), h.named("f"), in)
		h.answered(answer{err: err})
		require.NoError(t, err)
		in[0], raw[1] = 'x', 'x'
		assert.Equal(t, "abc", string(kept))
	})
}

func TestD06_WithCopyMakesOfAnAnyWhatJSONDoes(t *testing.T) {
	t.Parallel()
	type box struct {
		Any any
		Err error
	}
	f := faas.Register(router(t), "f", func(_ context.Context, in box) (box, error) { return in, nil }, faas.WithCopy())
	for _, c := range []struct{ in, out any }{
		{int64(1), float64(1)},
		{[]byte("hi"), "aGk="},
		{box{}, map[string]any{"Any": nil, "Err": nil}},
		{errors.New("lost"), map[string]any{}},
	} {
		out, err := f.Invoke(t.Context(), box{Any: c.in})
		require.NoError(t, err)
		assert.Equal(t, c.out, out.Any)
	}
	_, err := f.Invoke(t.Context(), box{Err: errors.New("refused")})
	require.ErrorIs(t, err, faas.ErrInput)
}

func TestD06_WhatCannotBeCopiedIsRefusedOrSpoiled(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		entered := false
		in := published(h, "in", func(context.Context, func()) (int, error) { entered = true; return 1, nil }, faas.WithCopy())
		out := published(h, "out", func(context.Context, int) (func(), error) { return func() {}, nil }, faas.WithCopy())

		_, err := call(t.Context(), h, in, func() {})
		assertRefused(t, err, faas.ErrInput, faas.ReasonInput)
		assert.False(t, entered)
		_, err = call(t.Context(), h, out, 1)
		assert.ErrorIs(t, err, faas.ErrOutput)
		assert.Equal(t, faas.OutputInvalid, h.last(t).Outcome)
	})
}

// After a timeout the handler may still be writing. It must not write to memory of the next
// call.
func TestD06_ARunawayHasItsInputAndOutputToItself(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		var late string
		serve(h, "f", func(_ context.Context, in []byte) (string, error) {
			time.Sleep(time.Minute)
			late = string(in)
			return "late", nil
		}, faas.WithTimeout(time.Second))
		serve(h, "g", func(_ context.Context, in []byte) (string, error) { return string(in), nil })
		_, err := ask(t.Context(), h, "f", "first")
		require.ErrorIs(t, err, faas.ErrTimeout)
		for range 100 {
			out, err := ask(t.Context(), h, "g", "other")
			require.NoError(t, err)
			assert.Equal(t, `"other"`, out)
		}
		require.NoError(t, h.Shutdown(t.Context()))
		assert.Equal(t, "first", late)
	})
}

// State that a handler keeps in its own variables outlives the call, as in any process.
func TestD07_WhatAHandlerKeepsIsThereForTheNextCall(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, h *host) {
		calls := 0
		f := serve(h, "f", func(context.Context, int) (int, error) { calls++; return calls, nil })
		for i := range 3 {
			out, err := call(t.Context(), h, f, 0)
			require.NoError(t, err)
			assert.Equal(t, i+1, out)
		}
	})
}

// A handler gets nothing else: its context is new and has no values of the caller's context.
func TestD07_NoValueOfTheCallersReachesTheHandler(t *testing.T) {
	t.Parallel()
	type key struct{}
	eachWay(t, func(t *testing.T, h *host) {
		var seen []context.Context
		f := serve(h, "f", func(ctx context.Context, _ int) (any, error) {
			seen = append(seen, ctx)
			return ctx.Value(key{}), ctx.Err()
		})
		ctx := context.WithValue(t.Context(), key{}, "the caller's")
		for range 2 {
			out, err := call(ctx, h, f, 0)
			require.NoError(t, err)
			assert.Nil(t, out)
		}
		assert.NotSame(t, seen[0], seen[1])
		assert.ErrorIs(t, seen[0].Err(), context.Canceled, "it ends with its call")
	})
}

// The documented rule for names with a qualifier, as they are looked up.
var referenceRule = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}(:(\$LATEST|[A-Za-z0-9_-]{1,128}))?$`)

// The documented rule for names.
var nameRule = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$`)

func TestD09_WhatIsNoNameIsRefusedAndQuoted(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		for _, name := range []string{
			"", strings.Repeat("x", 65), strings.Repeat("x", 1<<20), "../x", "a\nb", "A\x00", "\u0430bc", "-a", "a b", "a:", ":b", "a:b:c", "a:b.c", "a:$latest", "a:" + strings.Repeat("x", 129), "a:" + strings.Repeat("\xa2", 60), strings.Repeat("\xa2", 60), "a.b", "\xff", "a\u202eb", "\x1b[31m",
		} {
			require.False(t, nameRule.MatchString(name))
			_, err := faas.TryRegister(h.Router, name, nothing)
			assert.ErrorIs(t, err, faas.ErrName, "%.70q", name)
			assert.Panics(t, func() { faas.Register(h.Router, name, nothing) })
			assertHarmless(t, err)
			_, err = ask(t.Context(), h, name, "1")
			assertRefused(t, err, faas.ErrName, faas.ReasonName)
			assertHarmless(t, err)
			_, err = h.Info(name)
			assert.ErrorIs(t, err, faas.ErrName)
			assert.ErrorIs(t, h.Remove(name), faas.ErrName)
		}
		assert.Empty(t, h.log.String())
	})
}

// assertHarmless asserts that an error's text can go into a log line or a
// header as it is.
func assertHarmless(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	text := err.Error()
	assert.NotRegexp(t, `[[:cntrl:]]`, text)
	assert.NotContains(t, text, "\u202e")
	assert.Less(t, len(text), 500)
}

func TestD09_WhatIsANameIsTaken(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		for _, name := range []string{"a", "_", "0", "A-b_c", strings.Repeat("x", 64), "a-", "__"} {
			require.True(t, nameRule.MatchString(name))
			serve(h, name, nothing)
			_, err := ask(t.Context(), h, name, "1")
			assert.NoError(t, err)
		}
	})
}

func TestD09_AnUnknownNameIsRefusedByTheRouter(t *testing.T) {
	t.Parallel()
	fault(t, func(t *testing.T, h *host) {
		_, err := ask(t.Context(), h, "nobody", "1")

		assertRefused(t, err, faas.ErrNotFound, faas.ReasonNotFound)
		assert.NotErrorIs(t, err, faas.ErrName)
		assert.EqualValues(t, 1, h.Stats().Rejected[faas.ReasonNotFound])
	})
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"", "a", "A-b_c", "-a", "a\nb", "\u0430", strings.Repeat("x", 64), strings.Repeat("x", 65), "a:b", "a:1", "a:", "a:$LATEST", "a:b:c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		r := faas.New()
		defer r.Close()

		_, err := faas.TryRegister(r, name, nothing)

		if nameRule.MatchString(name) {
			require.NoError(t, err)
			_, err = r.Info(name)
			require.NoError(t, err)
			return
		}
		require.ErrorIs(t, err, faas.ErrName)
		assertHarmless(t, err)
		_, err = r.Invoke(t.Context(), name, nil)
		if referenceRule.MatchString(name) {
			assertRefused(t, err, faas.ErrNotFound, faas.ReasonNotFound)
			return
		}
		assertRefused(t, err, faas.ErrName, faas.ReasonName)
	})
}

// FuzzPayload checks only what must hold for any payload.
func FuzzPayload(f *testing.F) {
	for _, seed := range []string{
		"", "null", "{}", `{"item":"nut","count":1}`, `{"item":1}`, `{"notes":[[[]]]}`, "{", "\xff", `{"count":1e400}`, strings.Repeat("[", 100),
	} {
		f.Add([]byte(seed))
	}
	// The handler is inline, so that the code that is covered depends only on the payload.
	h := newHost(faas.WithLimits(1<<10, 1<<10), faas.WithInline())
	f.Cleanup(func() { _ = h.Close() })
	faas.Register(h.Router, "typed", func(_ context.Context, in purchase) (purchase, error) { return in, nil })
	faas.Register(h.Router, "raw", func(_ context.Context, in []byte) ([]byte, error) { return in, nil })
	f.Fuzz(func(t *testing.T, payload []byte) {
		checkPayload(t, h, "typed", payload)
		raw := checkPayload(t, h, "raw", payload)
		assert.True(t, raw == nil || bytes.Equal(raw, payload))
	})
}

// checkPayload asserts that a call with the payload is answered and, if it was admitted, recorded.
// The answer must be one that callers can tell from others.
func checkPayload(t *testing.T, h *host, name string, payload []byte) []byte {
	t.Helper()
	before := h.Stats()
	out, err := h.Invoke(t.Context(), name, payload)
	after, records := h.Stats(), h.drain()
	assert.EqualValues(t, len(records), after.Admitted-before.Admitted)
	assert.EqualValues(t, 1, after.Admitted+refusals(after)-before.Admitted-refusals(before))
	if err == nil {
		assert.Len(t, records, 1)
		return out
	}
	assert.Nil(t, out)
	var e *faas.Error
	if assert.ErrorAs(t, err, &e) {
		assert.Equal(t, e.Reason == "", len(records) == 1)
	}
	known := errors.Is(err, faas.ErrInput) || errors.Is(err, faas.ErrTooLarge) || errors.Is(err, faas.ErrOutput)
	assert.True(t, known, err)
	return nil
}

// drain removes and returns the records, so that a long run does not keep them.
func (r *recorder) drain() []faas.Execution {
	r.guard.Lock()
	defer r.guard.Unlock()
	all := r.records
	r.records = nil
	return all
}
