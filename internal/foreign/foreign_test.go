package foreign_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/foreign"
)

// rude is an error whose Error method misbehaves: it does what act does.
type rude struct{ act func() string }

func (r rude) Error() string { return r.act() }

// rudeStringer does the same for a value that is not an error.
type rudeStringer struct{ act func() string }

func (r rudeStringer) String() string { return r.act() }

// runtimeLikeError has the methods of a [runtime.Error], but is not an error of the runtime.
type runtimeLikeError struct{ rude }

func (runtimeLikeError) RuntimeError() {}

// embeddingError embeds a [runtime.Error] that may be nil.
type embeddingError struct{ runtime.Error }

type (
	name   string
	number int
	mood   float64
)

func (name) String() string   { panic("the name is asked") }
func (number) Error() string  { panic("the number is asked") }
func (mood) GoString() string { panic("the mood is asked") }

func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestPlainCallsNoMethodOfAValue(t *testing.T) {
	t.Parallel()
	called := func() string { t.Error("a method was called"); return "called" }
	for want, v := range map[string]any{
		"nil":                              nil,
		`"a\nb"`:                           "a\nb",
		`"Ada"`:                            name("Ada"),
		"7":                                number(7),
		"1.5":                              mood(1.5),
		"true":                             true,
		"255":                              uint8(255),
		"(1+2i)":                           complex(1, 2),
		"(foreign_test.rude)":              rude{called},
		"(*foreign_test.rude)":             &rude{called},
		"(foreign_test.rudeStringer)":      rudeStringer{called},
		"(foreign_test.runtimeLikeError)":  runtimeLikeError{rude{called}},
		"(*foreign_test.runtimeLikeError)": &runtimeLikeError{rude{called}},
		"(foreign_test.embeddingError)":    embeddingError{},
		"([]int)":                          []int{1},
		"(*errors.errorString)":            errors.New("whatever it says"),
	} {
		assert.Equal(t, want, foreign.Plain(v))
	}
}

func TestPlainTellsWhatTheRuntimeSays(t *testing.T) {
	t.Parallel()
	var (
		none    map[string]int
		pointer *int
		value   any = "text"
		zero    int
		keys    = map[any]int{}
	)
	for want, f := range map[string]func(){
		"assignment to entry in nil map": func() { none["a"] = 1 },
		"integer divide by zero":         func() { zero = 1 / zero },
		"nil pointer dereference":        func() { *pointer = 1 },
		"is string, not int":             func() { zero = value.(int) },
		"hash of unhashable type []int":  func() { keys[[]int{}] = 1 },
		"index out of range [5]":         func() { _ = make([]int, 1)[zero+5] },
	} {
		v := recovered(f)
		require.NotNil(t, v, want)
		assert.Contains(t, foreign.Plain(v), want)
	}
}

func TestTextIsWhatTheValueSays(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]any{
		"nil":                         nil,
		"disk full":                   errors.New("disk full"),
		"1s":                          time.Second,
		`"boom"`:                      "boom",
		"42":                          42,
		"(struct {})":                 struct{}{},
		"read: context canceled":      fmt.Errorf("read: %w", context.Canceled),
		"said by its String method":   rudeStringer{func() string { return "said by its String method" }},
		"runtime error: said by rude": runtimeLikeError{rude{func() string { return "runtime error: said by rude" }}},
	} {
		assert.Equal(t, want, foreign.Text(v))
		text, ok := foreign.TextWithin(v, time.Minute)
		assert.Equal(t, want, text)
		assert.True(t, ok)
	}
}

func TestTextOfAValueWhoseMethodPanicsNamesItsType(t *testing.T) {
	t.Parallel()
	explode := func() string { panic("boom") }
	for name, v := range map[string]any{
		"foreign_test.rude":         rude{explode},
		"foreign_test.rudeStringer": rudeStringer{explode},
		"*foreign_test.rude":        (*rude)(nil),
		"foreign_test.name":         name("Ada"),
		"foreign_test.number":       number(7),
	} {
		assert.Equal(t, "("+name+" that panics when formatted)", foreign.Text(v))
		text, ok := foreign.TextWithin(v, time.Minute)
		assert.Equal(t, "("+name+" that does not say what it is)", text)
		assert.False(t, ok)
	}
}

func TestTextWithinOutlivesAMethodThatEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	text, ok := foreign.TextWithin(rude{func() string { runtime.Goexit(); return "unreachable" }}, time.Minute)
	assert.Equal(t, "(foreign_test.rude that does not say what it is)", text)
	assert.False(t, ok)
}

func TestTextWithinWaitsNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		start := time.Now()
		text, ok := foreign.TextWithin(rude{func() string { <-release; return "too late" }}, 3*time.Second)
		assert.Equal(t, "(foreign_test.rude that does not answer)", text)
		assert.False(t, ok)
		assert.Equal(t, 3*time.Second, time.Since(start))
	})
}

func TestTextWithinWaitsForASlowMethodAsLongAsItMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		text, ok := foreign.TextWithin(rude{func() string { time.Sleep(2 * time.Second); return "slow" }}, 3*time.Second)
		assert.Equal(t, "slow", text)
		assert.True(t, ok)
		assert.Equal(t, 2*time.Second, time.Since(start))
	})
}

func TestTextWithinStartsNoGoroutineForAValueWithoutMethods(t *testing.T) {
	t.Parallel()
	text, ok := foreign.TextWithin(42, 0) // there is no time to wait for another goroutine
	assert.Equal(t, "42", text)
	assert.True(t, ok)
}
