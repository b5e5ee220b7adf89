package faas_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// order is an input that its handler can write to.
type order struct {
	Name  string   `json:"name"`
	Lines []string `json:"lines,omitempty"`
}

// kept is what a test looks at in a capture.
type kept struct {
	function  string
	outcome   faas.Outcome
	input     string
	state     faas.InputState
	truncated bool
}

func keptIn(ring *faas.Ring) (all []kept) {
	for c := range ring.All() {
		all = append(all, kept{c.Function, c.Outcome, string(c.Input), c.State, c.Truncated})
	}
	return all
}

func newRing() *faas.Ring { return faas.NewRing(100, 1<<20, nil) }

var errNo = errors.New("no")

// fails changes its input and ends as the name says.
func fails(ctx context.Context, in order) (order, error) {
	how := in.Name
	if len(in.Lines) > 0 {
		in.Lines[0] = "changed"
	}
	switch how {
	case "panic":
		panic("boom")
	case "exit":
		exit()
	case "late":
		<-ctx.Done()
		return in, ctx.Err()
	case "good":
		return in, nil
	}
	return in, errNo
}

func TestTheInputOfAFailedCallIsCaptured(t *testing.T) {
	t.Parallel()
	for _, inline := range []bool{false, true} {
		for _, stream := range []bool{false, true} {
			ring := newRing()
			r := router(t, faas.WithCapture(ring), faas.WithTimeout(time.Hour))
			var opts []faas.FunctionOption
			if inline {
				opts = append(opts, faas.WithInline())
			}
			var typed func(in order) error
			if stream {
				f := faas.RegisterStream(r, "f", func(ctx context.Context, in order, _ io.Writer) error {
					_, err := fails(ctx, in)
					return err
				}, opts...)
				typed = func(in order) error { return f.Invoke(t.Context(), in, io.Discard) }
			} else {
				f := faas.Register(r, "f", fails, opts...)
				typed = func(in order) error { _, err := f.Invoke(t.Context(), in); return err }
			}
			require.NoError(t, typed(order{Name: "good"}))
			require.Error(t, typed(order{Name: "fail", Lines: []string{"a"}}))
			require.Error(t, typed(order{Name: "panic", Lines: []string{"a"}}))
			_, err := r.Invoke(t.Context(), "f", []byte(` {"name":"good"}`))
			require.NoError(t, err)
			_, err = r.Invoke(t.Context(), "f", []byte(` {"name":"fail","lines":["a"],"more":1}`))
			require.Error(t, err)
			assert.Equal(t, []kept{
				{"f", faas.Failed, ` {"name":"fail","lines":["a"],"more":1}`, faas.InputAsGiven, false},
				{"f", faas.Panicked, `{"name":"panic","lines":["changed"]}`, faas.InputAsLeft, false},
				{"f", faas.Failed, `{"name":"fail","lines":["changed"]}`, faas.InputAsLeft, false},
			}, keptIn(ring), "inline %v, stream %v", inline, stream)
			for c := range ring.All() {
				assert.Equal(t, "application/json", c.ContentType)
			}
		}
	}
}

func TestOfAHandlerThatRunsOnOnlyBytesAndCopiesAreCaptured(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ring := newRing()
		r := router(t, faas.WithCapture(ring), faas.WithTimeout(time.Second))
		release := make(chan struct{})
		deaf := func(_ context.Context, in order) (order, error) {
			for {
				select {
				case <-release:
					return in, nil
				default:
					in.Lines[0] += "x" // a read of the input meanwhile is a data race
					time.Sleep(time.Millisecond)
				}
			}
		}
		f := faas.Register(r, "shared", deaf)
		g := faas.Register(r, "copied", deaf, faas.WithCopy())
		h := faas.RegisterStream(r, "stream", func(ctx context.Context, in order, _ io.Writer) error { _, err := deaf(ctx, in); return err })
		raw := faas.Register(r, "raw", func(_ context.Context, in []byte) ([]byte, error) { <-release; in[0] = 'x'; return in, nil })
		rawCopied := faas.Register(r, "rawCopied", func(_ context.Context, in []byte) ([]byte, error) { <-release; in[0] = 'x'; return in, nil }, faas.WithCopy())
		in := func() order { return order{Name: "n", Lines: []string{"a"}} }
		const text = `{"name":"n","lines":["a"]}`
		check := func(err error) { t.Helper(); require.ErrorIs(t, err, faas.ErrTimeout) }

		_, err := f.Invoke(t.Context(), in())
		check(err)
		check(h.Invoke(t.Context(), in(), io.Discard))
		_, err = g.Invoke(t.Context(), in())
		check(err)
		_, err = raw.Invoke(t.Context(), []byte("bytes"))
		check(err)
		_, err = rawCopied.Invoke(t.Context(), []byte("bytes"))
		check(err)
		for _, name := range []string{"shared", "copied", "stream", "raw", "rawCopied"} {
			_, err = r.Invoke(t.Context(), name, []byte(text))
			check(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err = f.Invoke(ctx, in())
		require.Error(t, err)
		const running = faas.InputInUse
		assert.Equal(t, []kept{
			{"shared", faas.Canceled, "", running, false},
			{"rawCopied", faas.TimedOut, text, faas.InputAsGiven, false},
			{"raw", faas.TimedOut, "", running, false},
			{"stream", faas.TimedOut, text, faas.InputAsGiven, false},
			{"copied", faas.TimedOut, text, faas.InputAsGiven, false},
			{"shared", faas.TimedOut, text, faas.InputAsGiven, false},
			{"rawCopied", faas.TimedOut, "bytes", faas.InputAsGiven, false},
			{"raw", faas.TimedOut, "", running, false},
			{"copied", faas.TimedOut, text, faas.InputAsGiven, false},
			{"stream", faas.TimedOut, "", running, false},
			{"shared", faas.TimedOut, "", running, false},
		}, keptIn(ring))
		assert.Equal(t, "not captured: still running", running.String())
		close(release)
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

func TestAHandlerThatAMiddlewareLeavesRunningIsNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ring := newRing()
		over := make(chan struct{})
		r := router(t, faas.WithCapture(ring))
		f := faas.Register(r, "f", func(_ context.Context, in order) (order, error) {
			defer close(over)
			for range 10 {
				in.Lines[0] += "x"
				time.Sleep(time.Millisecond)
			}
			return in, nil
		}, faas.WithMiddleware(func(next faas.Runner) faas.Runner {
			return func(ctx context.Context, inv faas.Invocation) error {
				if inv.Tenant == "" {
					return errNo // the handler never runs
				}
				go func() { _ = next(ctx, inv) }()
				time.Sleep(time.Millisecond)
				return errNo
			}
		}))
		in := order{Lines: []string{"a"}}
		_, err := f.Invoke(t.Context(), in)
		require.ErrorIs(t, err, errNo)
		_, err = f.Invoke(faas.WithTenant(t.Context(), "x"), in)
		require.ErrorIs(t, err, errNo)
		assert.Equal(t, []kept{
			{"f", faas.Failed, "", faas.InputInUse, false},
			{"f", faas.Failed, `{"name":"","lines":["a"]}`, faas.InputAsGiven, false},
		}, keptIn(ring))
		<-over
	})
}

func TestTheInputOfACallThatNeverStartedIsAsGiven(t *testing.T) {
	t.Parallel()
	ring := newRing()
	r := router(t, faas.WithCapture(ring))
	f := faas.RegisterInit(r, "f", func(context.Context) (faas.Handler[order, order], func(context.Context) error, error) {
		return nil, nil, errNo
	})
	_, err := f.Invoke(t.Context(), order{Name: "n"})
	require.ErrorIs(t, err, faas.ErrInit)
	assert.Equal(t, []kept{{"f", faas.InitFailed, `{"name":"n"}`, faas.InputAsGiven, false}}, keptIn(ring))
}

func TestWhatIsCapturedIsAChoice(t *testing.T) {
	t.Parallel()
	ring := newRing()
	r := router(t, faas.WithCapture(ring))
	f := faas.Register(r, "f", fails, faas.WithCapture(ring, faas.Panicked, faas.Exited))
	off := faas.Register(r, "off", fails, faas.WithCapture(nil))
	full := faas.Register(r, "full", fails, faas.WithConcurrency(0))
	for _, how := range []string{"good", "fail", "panic", "exit"} {
		_, _ = f.Invoke(t.Context(), order{Name: how})
		_, _ = off.Invoke(t.Context(), order{Name: how})
		_, err := full.Invoke(t.Context(), order{Name: how})
		require.ErrorIs(t, err, faas.ErrOverloaded, "refused: no input is captured")
	}
	_, err := r.Invoke(t.Context(), "f", []byte("no JSON"))
	require.ErrorIs(t, err, faas.ErrInput)
	var got []faas.Outcome
	for _, k := range keptIn(ring) {
		got = append(got, k.outcome)
	}
	assert.Equal(t, []faas.Outcome{faas.Exited, faas.Panicked}, got)
	for _, bad := range []faas.Outcome{faas.OK, faas.InitFailed + 1, 64, 255} {
		_, err := faas.TryRegister(r, "g", fails, faas.WithCapture(ring, faas.Failed, bad))
		require.ErrorIs(t, err, faas.ErrInput, bad)
	}
}

// shouting is a codec that counts its calls, and fails or panics if a test sets that.
type shouting struct {
	encoded *steps
	do      func(v any) ([]byte, error)
}

func (c shouting) Marshal(v any) ([]byte, error) {
	c.encoded.add(fmt.Sprintf("%T", v))
	return c.do(v)
}
func (shouting) Unmarshal([]byte, any) error { return nil }

func TestNothingIsEncodedForACallThatSucceeds(t *testing.T) {
	t.Parallel()
	ring, encoded := newRing(), &steps{}
	r := router(t, faas.WithCapture(ring), faas.WithCodec(shouting{encoded, func(any) ([]byte, error) { return []byte("in"), nil }}))
	f := faas.Register(r, "f", fails)
	for range 10 {
		_, err := f.Invoke(t.Context(), order{Name: "good"})
		require.NoError(t, err)
	}
	assert.Empty(t, encoded.list())
	_, err := f.Invoke(t.Context(), order{Name: "fail"})
	require.Error(t, err)
	assert.Equal(t, []string{"*faas_test.order"}, encoded.list())
	assert.Equal(t, "in", keptIn(ring)[0].input)
	for c := range ring.All() {
		assert.Equal(t, "application/octet-stream", c.ContentType)
	}
}

func TestACodecThatMisbehavesLosesTheInputAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(any) ([]byte, error)
		want []kept
	}{
		"panic": {func(any) ([]byte, error) { panic("boom") }, []kept{{"f", faas.Failed, "", faas.InputNotEncoded, false}}},
		"error": {func(any) ([]byte, error) { return nil, errNo }, []kept{{"f", faas.Failed, "", faas.InputNotEncoded, false}}},
		"exit":  {func(any) ([]byte, error) { exit(); return nil, nil }, nil},
		"huge":  {func(any) ([]byte, error) { return bytes.Repeat([]byte("x"), 1000), nil }, []kept{{"f", faas.Failed, strings.Repeat("x", 10), faas.InputAsLeft, true}}},
		"fits":  {func(any) ([]byte, error) { return []byte("0123456789"), nil }, []kept{{"f", faas.Failed, "0123456789", faas.InputAsLeft, false}}},
	} {
		ring, m := newRing(), &recorder{}
		r := router(t, faas.WithCapture(ring), faas.WithMeter(m), faas.WithCodec(shouting{&steps{}, c.do}), faas.WithLimits(10, 10))
		f := faas.Register(r, "f", fails)
		for i := range 3 {
			_, err := f.Invoke(t.Context(), order{Name: "fail"})
			require.ErrorIs(t, err, errNo, name)
			require.Len(t, m.all(), i+1, name)
		}
		all := keptIn(ring)
		require.Len(t, all, 3*len(c.want), name)
		assert.Equal(t, c.want, all[:len(c.want)], name)
		require.NoError(t, r.Shutdown(t.Context()), name)
	}
}

func TestACaptureThatPanicsOrEndsItsGoroutineChangesNothingElse(t *testing.T) {
	t.Parallel()
	for _, do := range []func(){exit, func() { panic("boom") }} {
		m := &recorder{}
		r := router(t, faas.WithMeter(m), faas.WithCapture(faas.CaptureFunc(func(context.Context, faas.Captured) { do() })))
		f := faas.Register(r, "f", fails)
		for i := range 3 {
			_, err := f.Invoke(t.Context(), order{Name: "fail"})
			require.ErrorIs(t, err, errNo)
			require.Len(t, m.all(), i+1)
		}
	}
}

func TestACaptureGetsTheRecordAndTheContextThatMetersGet(t *testing.T) {
	t.Parallel()
	m := &recorder{}
	var got []faas.Captured
	r := router(t, faas.WithMeter(m), faas.WithCapture(faas.CaptureFunc(func(ctx context.Context, c faas.Captured) {
		inv, ok := faas.FromContext(ctx)
		assert.True(t, ok)
		assert.Equal(t, c.ID, inv.ID)
		assert.NoError(t, ctx.Err())
		assert.Len(t, m.all(), 1, "the record is made before")
		got = append(got, c)
	})))
	f := faas.Register(r, "f", fails)
	_, err := f.Invoke(faas.WithTenant(t.Context(), "acme"), order{Name: "fail"})
	require.ErrorIs(t, err, errNo)
	require.Len(t, got, 1)
	assert.Equal(t, m.last(t), got[0].Execution)
}

// veiled hides itself when it is encoded, as access.Secret does.
type veiled struct{ text string }

func (veiled) MarshalText() ([]byte, error)       { return []byte("[redacted]"), nil }
func (v *veiled) UnmarshalText(text []byte) error { v.text = string(text); return nil }

func TestAValueThatHidesItselfIsHiddenInWhateverWasGiven(t *testing.T) {
	t.Parallel()
	type inner struct {
		Deep []map[string]*veiled `json:"deep"`
	}
	type login struct {
		User  string `json:"user"`
		Inner *inner `json:"inner"`
	}
	ring := newRing()
	r := router(t, faas.WithCapture(ring))
	f := faas.Register(r, "f", func(_ context.Context, in login) (int, error) {
		assert.Equal(t, "hunter2", in.Inner.Deep[0]["k"].text)
		in.User = "changed"
		return 0, errNo
	})
	s := faas.RegisterStream(r, "s", func(_ context.Context, in login, _ io.Writer) error { return errNo })
	in := login{"ann", &inner{[]map[string]*veiled{{"k": {"hunter2"}}}}}
	_, err := f.Invoke(t.Context(), in)
	require.ErrorIs(t, err, errNo)
	require.ErrorIs(t, s.Invoke(t.Context(), in, io.Discard), errNo)
	for _, name := range []string{"f", "s"} {
		_, err = r.Invoke(t.Context(), name, []byte(`{"user":"ann","inner":{"deep":[{"k":"hunter2"}]},"more":"hunter2"}`))
		require.ErrorIs(t, err, errNo)
	}
	const hidden = `{"user":"ann","inner":{"deep":[{"k":"[redacted]"}]}}`
	assert.Equal(t, []kept{
		{"s", faas.Failed, hidden, faas.InputAsGiven, false},
		{"f", faas.Failed, hidden, faas.InputAsGiven, false},
		{"s", faas.Failed, hidden, faas.InputAsLeft, false},
		{"f", faas.Failed, hidden, faas.InputAsLeft, false},
	}, keptIn(ring))
}

func TestAWriterThatIsKeptKeepsNoInputForACapture(t *testing.T) { //nolint:paralleltest // it waits for the garbage collector
	r := router(t, faas.WithCapture(newRing()))
	var writers []io.Writer
	f := faas.RegisterStream(r, "f", func(_ context.Context, in *[1024]byte, w io.Writer) error {
		writers = append(writers, w)
		if in[0] == 1 {
			return errNo
		}
		return nil
	})
	for i := range 2 {
		gone := func() weak.Pointer[[1024]byte] {
			big := new([1024]byte)
			big[0] = byte(i)
			_ = f.Invoke(context.Background(), big, io.Discard)
			return weak.Make(big)
		}()
		for range 100 {
			runtime.GC()
			if gone.Value() == nil {
				break
			}
		}
		assert.Nil(t, gone.Value(), i)
	}
	runtime.KeepAlive(writers)
}

// Callers, runaways that write to their inputs, and readers of the ring run at the same time.
func TestHammerCapture(t *testing.T) {
	t.Parallel()
	ring := faas.NewRing(20, 1000, func(key string) bool { return key == "name" })
	r := router(t, faas.WithCapture(ring), faas.WithTimeout(100*time.Microsecond))
	f := faas.Register(r, "f", func(ctx context.Context, in order) (order, error) {
		for i := range 50 {
			in.Lines[0] = strings.Repeat("x", i)
			if i == 25 && ctx.Err() == nil {
				return in, errNo
			}
			runtime.Gosched()
		}
		return in, nil
	})
	rounds := 500
	if testing.Short() {
		rounds = 50
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range rounds {
				_, _ = f.Invoke(context.Background(), order{Lines: []string{"a"}})
				_, _ = r.Invoke(context.Background(), "f", []byte(`{"name":"hunter2","lines":["a"]}`))
				for c := range ring.All() {
					assert.NotContains(t, string(c.Input), "hunter2")
					_, _ = ring.Get(c.ID)
				}
				assert.LessOrEqual(t, ring.Len(), 20)
				assert.LessOrEqual(t, ring.Bytes(), 1000)
			}
		})
	}
	all.Wait()
}
