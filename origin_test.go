package faas_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// sent is an origin with all fields.
var sent = faas.Origin{Trigger: "http", Door: "front", RequestID: "r-1", Timeout: time.Hour, Key: "ana", ReplayOf: uuid.UUID{7}}

// origins has where a call came from, as its gate, handler, record and refusal report it.
type origins struct {
	recorder

	gate, handler faas.Invocation
	refused       []faas.Refusal
}

func (o *origins) Admit(_ context.Context, inv faas.Invocation) error {
	o.gate = inv
	return nil
}
func (*origins) Done(faas.Invocation, *faas.Execution) {}

func (o *origins) options() []faas.FunctionOption {
	return []faas.FunctionOption{
		faas.WithMeter(o), faas.WithGate(o),
		faas.WithRefusals(func(_ context.Context, ref faas.Refusal) { o.refused = append(o.refused, ref) }),
	}
}

func (o *origins) handle(ctx context.Context, _ struct{}) error {
	o.handler, _ = faas.FromContext(ctx)
	return nil
}

func TestTheOriginShowsWhereverACallIsDescribed(t *testing.T) {
	t.Parallel()
	ways := map[string]func(o *origins, r *faas.Router, more ...faas.FunctionOption) error{
		"typed": func(o *origins, r *faas.Router, more ...faas.FunctionOption) error {
			_, err := faas.Register(r, "f", faas.NoOutput(o.handle), append(o.options(), more...)...).Invoke(faas.WithOrigin(context.Background(), sent), struct{}{})
			return err
		},
		"by name": func(o *origins, r *faas.Router, more ...faas.FunctionOption) error {
			faas.Register(r, "f", faas.NoOutput(o.handle), append(o.options(), more...)...)
			_, err := r.Invoke(faas.WithOrigin(context.Background(), sent), "f", nil)
			return err
		},
		"a stream": func(o *origins, r *faas.Router, more ...faas.FunctionOption) error {
			f := faas.RegisterStream(r, "f", func(ctx context.Context, in struct{}, _ io.Writer) error { return o.handle(ctx, in) }, append(o.options(), more...)...)
			return f.Invoke(faas.WithOrigin(context.Background(), sent), struct{}{}, io.Discard)
		},
	}
	for name, call := range ways {
		for how, more := range map[string][]faas.FunctionOption{"": nil, ", inline": {faas.WithInline()}} {
			t.Run(name+how, func(t *testing.T) {
				t.Parallel()
				o := &origins{}
				require.NoError(t, call(o, router(t), more...))
				assert.Equal(t, sent, o.gate.Origin)
				assert.Equal(t, sent, o.handler.Origin)
				assert.Equal(t, sent, o.last(t).Origin)

				o = &origins{}
				require.ErrorIs(t, call(o, router(t), append(more, faas.WithConcurrency(0))...), faas.ErrOverloaded)
				require.Len(t, o.refused, 1)
				assert.Equal(t, sent, o.refused[0].Origin)
			})
		}
	}
}

func TestTheOriginShowsInRefusalsOfCallsThatNeverAskForASlot(t *testing.T) {
	t.Parallel()
	o := &origins{}
	r := router(t, faas.WithRefusals(func(_ context.Context, ref faas.Refusal) { o.refused = append(o.refused, ref) }))
	faas.Register(r, "f", double)
	ctx := faas.WithOrigin(t.Context(), sent)

	_, unknown := r.Invoke(ctx, "none", nil)
	_, malformed := r.Invoke(ctx, "f", []byte("{"))

	require.ErrorIs(t, unknown, faas.ErrNotFound)
	require.ErrorIs(t, malformed, faas.ErrInput)
	require.Len(t, o.refused, 2)
	assert.Equal(t, sent, o.refused[0].Origin)
	assert.Equal(t, sent, o.refused[1].Origin)
}

func TestANestedCallInheritsRequestIDAndKeyAndNoMoreOfTheOrigin(t *testing.T) {
	t.Parallel()
	meter := &recorder{}
	r := router(t, faas.WithMeter(meter))
	inner := faas.Register(r, "inner", double)
	middle := faas.Register(r, "middle", func(ctx context.Context, n int) (int, error) { return inner.Invoke(ctx, n) })
	outer := faas.Register(r, "outer", func(ctx context.Context, n int) (int, error) { return middle.Invoke(faas.WithTenant(ctx, "bo"), n) })
	ctx := faas.WithDelivery(faas.WithOrigin(t.Context(), sent), uuid.New(), 3, 2)

	_, err := outer.Invoke(ctx, 1)

	require.NoError(t, err)
	assert.Equal(t, sent, meter.recordsOf("outer")[0].Origin)
	for _, name := range []string{"middle", "inner"} {
		e := meter.recordsOf(name)[0]
		assert.Equal(t, faas.Origin{RequestID: "r-1", Key: "ana"}, e.Origin, name)
		assert.Zero(t, e.Job, name)
		assert.Zero(t, e.Delivery, name)
		assert.Equal(t, 1, e.Attempt, name)
	}
}

func TestWithOriginKeepsWhatAnOuterOneHasSet(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ outer, inner, want faas.Origin }{
		"a front behind a middleware": {
			faas.Origin{Timeout: time.Second, Key: "ana"},
			faas.Origin{Trigger: "http", Door: "http", RequestID: "r-2"},
			faas.Origin{Trigger: "http", Door: "http", RequestID: "r-2", Timeout: time.Second, Key: "ana"},
		},
		"the inner names count":      {sent, faas.Origin{Trigger: "timer", Door: "cron", RequestID: "r-2", Key: "bo"}, faas.Origin{Trigger: "timer", Door: "cron", RequestID: "r-2", Timeout: time.Hour, Key: "bo", ReplayOf: uuid.UUID{7}}},
		"the shorter timeout counts": {faas.Origin{Timeout: time.Second}, faas.Origin{Timeout: time.Minute}, faas.Origin{Timeout: time.Second}},
		"also if it is the inner":    {faas.Origin{Timeout: time.Minute}, faas.Origin{Timeout: time.Second}, faas.Origin{Timeout: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &origins{}
			f := faas.Register(router(t), "f", faas.NoOutput(o.handle), o.options()...)
			ctx := faas.WithOrigin(faas.WithPriority(faas.WithTenant(faas.WithOrigin(t.Context(), c.outer), "bo"), 1), c.inner)
			_, err := f.Invoke(ctx, struct{}{})
			require.NoError(t, err)
			assert.Equal(t, c.want, o.last(t).Origin)
			assert.Equal(t, "bo", o.last(t).Tenant)
			assert.Equal(t, 1, o.handler.Priority)
		})
	}
}

func TestAHandlerMaySayWhereItsOwnCallsComeFrom(t *testing.T) {
	t.Parallel()
	meter := &recorder{}
	r := router(t, faas.WithMeter(meter))
	innermost := faas.Register(r, "innermost", double)
	inner := faas.Register(r, "inner", func(ctx context.Context, n int) (int, error) { return innermost.Invoke(ctx, n) })
	outer := faas.Register(r, "outer", func(ctx context.Context, n int) (int, error) {
		return inner.Invoke(faas.WithOrigin(ctx, faas.Origin{Trigger: "timer", Key: "bo"}), n)
	})
	_, err := outer.Invoke(faas.WithOrigin(t.Context(), sent), 1)
	require.NoError(t, err)
	assert.Equal(t, faas.Origin{Trigger: "timer", RequestID: "r-1", Key: "bo"}, meter.recordsOf("inner")[0].Origin)
	assert.Equal(t, faas.Origin{RequestID: "r-1", Key: "bo"}, meter.recordsOf("innermost")[0].Origin)
}

func TestARequestIDThatIsNotPrintableIsReplacedByTheInvocations(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{
		"a line break": "r\n1", "an escape": "r\x1b[2J", "too long": strings.Repeat("r", 129), "not UTF-8": "r\xff",
		"a mark that turns the text around": "r\u202e1", "invisible": "r\u200b1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			meter := &recorder{}
			r := router(t, faas.WithMeter(meter))
			inner := faas.Register(r, "inner", double)
			outer := faas.Register(r, "outer", func(ctx context.Context, n int) (int, error) { return inner.Invoke(ctx, n) })
			for range 2 { // first with a new worker, then with an idle one
				_, err := outer.Invoke(faas.WithOrigin(t.Context(), faas.Origin{Door: "d", RequestID: id}), 1)
				require.NoError(t, err)
			}
			for i, e := range meter.recordsOf("outer") {
				assert.Equal(t, faas.Origin{Door: "d", RequestID: e.ID.String()}, e.Origin)
				assert.Equal(t, e.ID.String(), meter.recordsOf("inner")[i].Origin.RequestID)
			}
		})
	}
	for _, id := range []string{"r", "a b", "Ω-1", strings.Repeat("r", 128), "1-67891233-abcdef012345678912345678"} {
		meter := &recorder{}
		f := faas.Register(router(t, faas.WithMeter(meter)), "f", double)
		_, err := f.Invoke(faas.WithOrigin(t.Context(), faas.Origin{RequestID: id}), 1)
		require.NoError(t, err)
		assert.Equal(t, id, meter.last(t).Origin.RequestID)
	}
}

func TestAnOriginThatCanNotBeUsedRefusesTheCall(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]faas.Origin{
		"Timeout": {Timeout: -time.Second},
		"Trigger": {Trigger: "a\nb"},
		"Door":    {Door: strings.Repeat("d", 257)},
		"Key":     {Key: "a\x00b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var refused []faas.Refusal
			r := router(t, faas.WithRefusals(func(_ context.Context, ref faas.Refusal) { refused = append(refused, ref) }))
			f := faas.Register(r, "f", func(context.Context, int) (int, error) { t.Error("the handler ran"); return 0, nil })
			ctx := faas.WithOrigin(faas.WithOrigin(t.Context(), o), faas.Origin{Door: "d"})

			_, err := f.Invoke(ctx, 1)
			dry := r.DryRun(ctx, "f")

			for _, err := range []error{err, dry} {
				require.ErrorIs(t, err, faas.ErrInput)
				assert.ErrorContains(t, err, "Origin."+name)
				assert.NotContains(t, err.Error(), "\n")
			}
			assert.Equal(t, faas.End{Kind: faas.KindInvalid, Err: faas.EndOf(err, "f").Err}, faas.EndOf(err, "f"))
			require.Len(t, refused, 1)
			assert.Equal(t, faas.Origin{Door: "d"}, refused[0].Origin)
		})
	}
}

func TestTheOriginsTimeoutEndsTheCallAsTimedOut(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]faas.FunctionOption{"": nil, "inline": {faas.WithInline()}, "in instances": {faas.WithInstanceConcurrency(1)}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				meter := &recorder{}
				r := router(t, faas.WithMeter(meter), faas.WithTimeout(time.Minute))
				f := faas.Register(r, "f", func(ctx context.Context, _ struct{}) (struct{}, error) {
					inv, _ := faas.FromContext(ctx)
					assert.Equal(t, time.Second, inv.Timeout)
					assert.Equal(t, inv.Start.Add(time.Second), inv.Deadline)
					<-ctx.Done()
					assert.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
					assert.ErrorIs(t, context.Cause(ctx), faas.ErrTimeout)
					return struct{}{}, ctx.Err()
				}, opts...)
				start := time.Now()

				_, err := f.Invoke(faas.WithOrigin(t.Context(), faas.Origin{Timeout: time.Second}), struct{}{})

				assert.Equal(t, time.Second, time.Since(start))
				require.ErrorIs(t, err, faas.ErrTimeout)
				assert.Equal(t, faas.TimedOut, faas.EndOf(err, "f").Outcome)
				assert.ErrorContains(t, err, "timed out after 1s; see WithOrigin")
				var late interface{ After() time.Duration }
				require.ErrorAs(t, err, &late)
				assert.Equal(t, time.Second, late.After())
				assert.Equal(t, faas.TimedOut, meter.last(t).Outcome)
				assert.Equal(t, time.Second, meter.last(t).Duration)
			})
		})
	}
}

func TestTheOriginsTimeoutEndsAStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		f := faas.RegisterStream(r, "f", func(ctx context.Context, _ struct{}, w io.Writer) error {
			_, err := io.WriteString(w, "piece")
			<-ctx.Done()
			return err
		})
		var got bytes.Buffer
		start := time.Now()
		err := f.Invoke(faas.WithOrigin(t.Context(), faas.Origin{Timeout: time.Second}), struct{}{}, &got)
		assert.Equal(t, faas.TimedOut, faas.EndOf(err, "f").Outcome)
		assert.Equal(t, time.Second, time.Since(start))
		assert.Equal(t, "piece", got.String())
	})
}

func TestAnOriginsTimeoutThatIsNoShorterChangesNothing(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, time.Minute, time.Hour, 1<<63 - 1} {
		t.Run(d.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := faas.Register(router(t, faas.WithTimeout(time.Minute)), "f", func(ctx context.Context, _ struct{}) (struct{}, error) {
					<-ctx.Done()
					return struct{}{}, ctx.Err()
				})
				start := time.Now()
				_, err := f.Invoke(faas.WithOrigin(t.Context(), faas.Origin{Timeout: d, Door: "d"}), struct{}{})
				assert.Equal(t, time.Minute, time.Since(start))
				assert.ErrorContains(t, err, "timed out after 1m0s; see WithTimeout")
			})
		})
	}
}

func TestACallersEarlierDeadlineIsNoTimeoutOfTheOrigin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		meter := &recorder{}
		f := faas.Register(router(t, faas.WithMeter(meter)), "f", func(ctx context.Context, _ struct{}) (struct{}, error) {
			<-ctx.Done()
			return struct{}{}, ctx.Err()
		})
		for name, c := range map[string]struct {
			timeout time.Duration
			want    faas.Outcome
		}{"the caller's is earlier": {2 * time.Second, faas.Canceled}, "the origin's is earlier": {time.Second / 2, faas.TimedOut}} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := f.Invoke(faas.WithOrigin(ctx, faas.Origin{Timeout: c.timeout}), struct{}{})
			cancel()
			assert.Equal(t, c.want, faas.EndOf(err, "f").Outcome, name)
			assert.Equal(t, c.want, meter.last(t).Outcome, name)
			assert.ErrorIs(t, err, context.DeadlineExceeded, name)
		}
	})
}

func TestTheOriginsTimeoutCountsFromTheStartOfTheHandler(t *testing.T) {
	bubble(t, func(t *testing.T) {
		meter := &recorder{}
		f := faas.Register(router(t, faas.WithMeter(meter)), "f", func(ctx context.Context, d time.Duration) (struct{}, error) {
			select {
			case <-time.After(d):
				return struct{}{}, nil
			case <-ctx.Done():
				return struct{}{}, ctx.Err()
			}
		}, faas.WithConcurrency(1))
		var first sync.WaitGroup
		first.Go(func() {
			_, err := f.Invoke(t.Context(), 10*time.Second)
			assert.NoError(t, err)
		})
		synctest.Wait()

		_, err := f.Invoke(faas.WithOrigin(t.Context(), faas.Origin{Timeout: 2 * time.Second}), time.Second)

		require.NoError(t, err)
		assert.Equal(t, 10*time.Second, meter.last(t).Queued)
		first.Wait()
	})
}

func TestANestedCallHasTheTimeoutOfItsFunction(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		inner := faas.Register(r, "inner", func(ctx context.Context, _ struct{}) (time.Duration, error) {
			inv, _ := faas.FromContext(ctx)
			return inv.Timeout, nil
		}, faas.WithTimeout(time.Hour))
		outer := faas.Register(r, "outer", func(ctx context.Context, in struct{}) (time.Duration, error) { return inner.Invoke(ctx, in) })
		got, err := outer.Invoke(faas.WithOrigin(t.Context(), faas.Origin{Timeout: time.Second, Key: "ana"}), struct{}{})
		require.NoError(t, err)
		assert.Equal(t, time.Hour, got)
	})
}

func TestADeliveryShowsInInvocationAndRecord(t *testing.T) {
	t.Parallel()
	o := &origins{}
	f := faas.Register(router(t), "f", faas.NoOutput(o.handle), o.options()...)
	job := uuid.New()

	_, err := f.Invoke(faas.WithOrigin(faas.WithDelivery(t.Context(), job, 3, 2), sent), struct{}{})

	require.NoError(t, err)
	e := o.last(t)
	assert.Equal(t, []any{job, 3, 2, sent}, []any{e.Job, e.Delivery, e.Attempt, e.Origin})
	for _, inv := range []faas.Invocation{o.gate, o.handler} {
		assert.Equal(t, []any{job, 3, 2, sent}, []any{inv.Job, inv.Delivery, inv.Attempt, inv.Origin})
	}
}

func TestACallInCodeHasNoOriginAndNoJob(t *testing.T) {
	t.Parallel()
	o := &origins{}
	f := faas.Register(router(t), "f", faas.NoOutput(o.handle), o.options()...)
	_, err := f.Invoke(t.Context(), struct{}{})
	require.NoError(t, err)
	for _, got := range [][]any{
		{o.handler.Origin, o.handler.Job, o.handler.Delivery, o.handler.Attempt},
		{o.last(t).Origin, o.last(t).Job, o.last(t).Delivery, o.last(t).Attempt},
	} {
		assert.Equal(t, []any{faas.Origin{}, uuid.Nil, 0, 1}, got)
	}
}

func TestTheRequestIDStandsInTheLogOfARunaway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		r := router(t, faas.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), faas.WithTimeout(time.Second))
		f := faas.Register(r, "f", func(context.Context, struct{}) (struct{}, error) {
			time.Sleep(time.Minute)
			panic("late")
		})
		_, err := f.Invoke(faas.WithOrigin(t.Context(), faas.Origin{RequestID: "r-1"}), struct{}{})
		require.ErrorIs(t, err, faas.ErrTimeout)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, 2, strings.Count(log.String(), "request=r-1"), log.String())
	})
}

func TestTheLogOfAHooksPanicNamesTheCallAndItsRequest(t *testing.T) {
	t.Parallel()
	bad := closing{func() { panic("no") }}
	for name, opts := range map[string][]faas.FunctionOption{
		"meter": {faas.WithMeter(faas.MeterFunc(bad.Record))}, "reserving meter": {faas.WithMeter(&onlyReserve{closing: bad})},
		"unreserving meter": {faas.WithMeter(&unreserving{closing: bad}), faas.WithConcurrency(0)},
		"gate's Admit":      {faas.WithGate(onlyAdmit{bad})}, "gate's Done": {faas.WithGate(onlyDone{bad})},
		"WithTenantKey": {faas.WithTenantKey(bad.tenant)}, "WithContext": {faas.WithContext(bad.carry)},
		"WithRefusals": {faas.WithRefusals(bad.refused), faas.WithConcurrency(0)},
		"WithTracing":  {faas.WithTracing(bad.trace)}, "trace's End": {faas.WithTracing(bad.traced)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			r := router(t, faas.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			_, _ = faas.Register(r, "f", double, opts...).Invoke(faas.WithOrigin(t.Context(), faas.Origin{RequestID: "r-1"}), 1)
			assert.Regexp(t, `hook panicked.* function=f .*id=\S{36} request=r-1\n`, log.String())
		})
	}
}

// Each call has its own origin, whichever worker, queue and path it takes.
func TestOriginsOfManyCallsAtOnceAreNotMixed(t *testing.T) {
	t.Parallel()
	meter := &recorder{}
	r := router(t, faas.WithMeter(meter), faas.WithCapacity(4))
	inner := faas.Register(r, "inner", func(ctx context.Context, want string) (struct{}, error) {
		inv, _ := faas.FromContext(ctx)
		assert.Equal(t, want, inv.Origin.RequestID)
		return struct{}{}, nil
	})
	outer := faas.Register(r, "outer", func(ctx context.Context, want string) (struct{}, error) {
		inv, _ := faas.FromContext(ctx)
		assert.Equal(t, want, inv.Origin.RequestID)
		return inner.Invoke(ctx, want)
	})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for i := range 200 {
				ctx, want := t.Context(), ""
				if i%3 > 0 {
					want = uuid.NewString()
					ctx = faas.WithOrigin(ctx, faas.Origin{Door: "d", RequestID: want, Timeout: time.Duration(i%2) * time.Minute})
				}
				_, err := outer.Invoke(ctx, want)
				assert.NoError(t, err)
			}
		})
	}
	callers.Wait()
	require.Len(t, meter.all(), 2*8*200)
}
