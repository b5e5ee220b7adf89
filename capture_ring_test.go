package faas_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
)

func captured(id uuid.UUID, input []byte) faas.Captured {
	return faas.Captured{Execution: faas.Execution{ID: id, Outcome: faas.Failed, Err: errNo}, Input: input}
}

func TestARingNeedsRoom(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]int{{0, 1}, {1, 0}, {-1, 1}, {1, -1}} {
		assert.Panics(t, func() { faas.NewRing(c[0], c[1], nil) }, c)
	}
}

func TestARingBlanksKeysAndWithholdsWhatIsNoJSON(t *testing.T) {
	t.Parallel()
	redact := func(key string) bool { return strings.EqualFold(key, "password") }
	for in, want := range map[string]struct {
		input string
		state faas.InputState
	}{
		`{"a":[{"Password":{"x":"hunter2"}}]}`: {`{"a":[{"Password":"[redacted]"}]}`, faas.InputAsLeft},
		`{"password":"hunter2"`:                {"", faas.InputWithheld},
		`password=hunter2`:                     {"", faas.InputWithheld},
		``:                                     {"", faas.InputWithheld},
		`{"a":"` + strings.Repeat("x", 100) + `"}`: {"", faas.InputTooLarge},
	} {
		ring := faas.NewRing(10, 60, redact)
		c := captured(uuid.New(), []byte(in))
		c.State = faas.InputAsLeft
		ring.Keep(t.Context(), c)
		got, ok := ring.Get(c.ID)
		require.True(t, ok)
		assert.Equal(t, want.state, got.State, in)
		assert.Equal(t, want.input, string(got.Input), in)
		assert.Equal(t, len(want.input), ring.Bytes())
		assert.NoError(t, got.Err, "an error may quote the input")

		open := faas.NewRing(10, 60, nil)
		open.Keep(t.Context(), c)
		got, _ = open.Get(c.ID)
		if want.state != faas.InputTooLarge {
			assert.Equal(t, in, string(got.Input), "without redact all is kept")
		}
	}
	ring := faas.NewRing(10, 60, redact)
	c := captured(uuid.New(), nil)
	c.State = faas.InputInUse
	ring.Keep(t.Context(), c)
	got, _ := ring.Get(c.ID)
	assert.Equal(t, faas.InputInUse, got.State, "what was not captured says why")
}

func TestARingKeepsNothingOfACallWhoseRedactPanics(t *testing.T) {
	t.Parallel()
	ring := faas.NewRing(10, 100, func(string) bool { panic("boom") })
	assert.Panics(t, func() { ring.Keep(t.Context(), captured(uuid.New(), []byte(`{"a":1}`))) })
	assert.Zero(t, ring.Len())
	ring.Keep(t.Context(), captured(uuid.New(), []byte(`1`)))
	assert.Equal(t, 1, ring.Len())
}

func TestARingCopiesInAndOut(t *testing.T) {
	t.Parallel()
	ring := faas.NewRing(10, 100, nil)
	in := []byte("input")
	header := strings.Repeat("tenant", 1000)
	c := captured(uuid.New(), in)
	c.Tenant = header[:6]
	ring.Keep(t.Context(), c)
	in[0] = 'x'
	got, _ := ring.Get(c.ID)
	require.Equal(t, "input", string(got.Input))
	assert.NotSame(t, unsafe.StringData(header), unsafe.StringData(got.Tenant), "it would keep the header")
	got.Input[0] = 'y'
	again, _ := ring.Get(c.ID)
	assert.Equal(t, "input", string(again.Input))
}

func TestAnIterationSeesWhatWasThereWhenItBegan(t *testing.T) {
	t.Parallel()
	ring := faas.NewRing(2, 100, nil)
	for _, s := range []string{"a", "b"} {
		ring.Keep(t.Context(), captured(uuid.New(), []byte(s)))
	}
	var seen []string
	for c := range ring.All() {
		seen = append(seen, string(c.Input))
		ring.Keep(t.Context(), captured(uuid.New(), []byte("c"))) // no lock is held
	}
	assert.Equal(t, []string{"b", "a"}, seen)
	for range ring.All() {
		break
	}
}

// The model is a plain list; an entry that does not fit drops entries from its front.
func TestARingHoldsTheNewestThatFit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most, mostBytes := rapid.IntRange(1, 6).Draw(t, "n"), rapid.IntRange(1, 60).Draw(t, "bytes")
		var redact func(string) bool
		if rapid.Bool().Draw(t, "redacts") {
			redact = func(key string) bool { return key == "k" }
		}
		ring := faas.NewRing(most, mostBytes, redact)
		type entry struct {
			id    uuid.UUID
			input []byte
			state faas.InputState
		}
		var model []entry
		sum := func() (n int) {
			for _, e := range model {
				n += len(e.input)
			}
			return n
		}
		t.Repeat(map[string]func(*rapid.T){
			"keep": func(t *rapid.T) {
				e := entry{id: uuid.New(), state: faas.InputAsGiven}
				text, _ := json.Marshal(map[string]string{rapid.SampledFrom([]string{"k", "l"}).Draw(t, "key"): strings.Repeat("v", rapid.IntRange(0, 70).Draw(t, "size"))})
				switch rapid.IntRange(0, 3).Draw(t, "kind") {
				case 0:
					text = nil
					e.state = faas.InputInUse
				case 1:
					text = []byte("no JSON")
				}
				c := captured(e.id, text)
				c.State = e.state
				ring.Keep(t.Context(), c)

				e.input = bytes.Clone(text)
				if redact != nil && text != nil {
					if !json.Valid(text) {
						e.input, e.state = nil, faas.InputWithheld
					} else if bytes.HasPrefix(text, []byte(`{"k"`)) {
						e.input = []byte(`{"k":"[redacted]"}`)
					}
				}
				if len(e.input) > mostBytes {
					e.input, e.state = nil, faas.InputTooLarge
				}
				model = append(model, e)
				for len(model) > most || sum() > mostBytes {
					model = model[1:]
				}
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(model), ring.Len())
				require.Equal(t, sum(), ring.Bytes())
				var got []entry
				for c := range ring.All() {
					got = append(got, entry{c.ID, c.Input, c.State})
				}
				slices.Reverse(got)
				require.Equal(t, model, got)
				for _, e := range model {
					c, ok := ring.Get(e.id)
					require.True(t, ok)
					require.Equal(t, e.input, c.Input)
				}
				_, ok := ring.Get(uuid.New())
				require.False(t, ok)
			},
		})
	})
}

func TestARingKeepsErrorsIfItIsAskedTo(t *testing.T) {
	t.Parallel()
	ring := faas.NewRing(10, 100, nil).KeepErrors()
	keep := func(err error) *faas.CapturedError {
		c := captured(uuid.New(), nil)
		c.Err = err
		ring.Keep(t.Context(), c)
		got, ok := ring.Get(c.ID)
		require.True(t, ok)
		kept, _ := got.Err.(*faas.CapturedError) //nolint:errorlint // the ring makes it
		return kept
	}
	long := strings.Repeat("é", 4<<10)
	assert.Equal(t, &faas.CapturedError{Text: errNo.Error(), Type: "*errors.errorString"}, keep(errNo))
	assert.Equal(t, long[:4<<10], keep(errors.New(long)).Text)
	assert.Equal(t, long[:4<<10-2], keep(errors.New("x" + long)).Text[1:], "no half of a letter")
	assert.Contains(t, keep(rudeError{}).Text, "rudeError")
	p := keep(&faas.Error{Function: "f", Outcome: faas.Panicked, Err: &faas.PanicError{Value: "no", Stack: []byte("here")}})
	assert.Equal(t, "here", string(p.Stack))
	assert.Contains(t, p.Text, "no")
	wrapped := keep(fmt.Errorf("of another call: %w", &faas.PanicError{Value: "no", Stack: []byte("there")}))
	assert.Empty(t, wrapped.Stack)
	assert.Nil(t, keep(nil))
}

// rudeError panics when its Error method is called.
type rudeError struct{}

func (rudeError) Error() string { panic("no text") }
