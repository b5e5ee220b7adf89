package source_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/source"
)

// tally counts how often each item has run, and which items have succeeded.
type tally struct {
	mu    sync.Mutex
	runs  map[int]int
	ok    map[int]int
	sizes []int
	most  int // the most runs of one item
}

func newTally() *tally { return &tally{runs: map[int]int{}, ok: map[int]int{}} }

func (y *tally) run(batch source.Batch[int]) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.sizes = append(y.sizes, len(batch.Items))
	for _, item := range batch.Items {
		y.runs[item.Input]++
		y.most = max(y.most, y.runs[item.Input])
	}
}

func (y *tally) succeed(batch source.Batch[int], but func(int) bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, item := range batch.Items {
		if !but(item.Input) {
			y.ok[item.Input]++
		}
	}
}

// seen returns a copy of the present counts.
func (y *tally) seen() *tally {
	y.mu.Lock()
	defer y.mu.Unlock()
	return &tally{runs: maps.Clone(y.runs), ok: maps.Clone(y.ok), sizes: slices.Clone(y.sizes), most: y.most}
}

func poisonous(n int) bool { return n == 17 || n == 500 || n == 501 }

// deadLetters returns an option that collects the inputs of dead jobs.
func deadLetters(t *testing.T) (faas.FunctionOption, func() [][]int) {
	t.Helper()
	var (
		mu   sync.Mutex
		dead [][]int
	)
	to := faas.ToFunc(func(_ context.Context, e faas.JobEnvelope) error {
		var batch source.Batch[int]
		if err := json.Unmarshal(e.RequestPayload, &batch); err != nil {
			return err
		}
		var in []int
		for _, item := range batch.Items {
			in = append(in, item.Input)
		}
		mu.Lock()
		defer mu.Unlock()
		dead = append(dead, in)
		return nil
	})
	return faas.WithOnFailure(to), func() [][]int {
		mu.Lock()
		defer mu.Unlock()
		slices.SortFunc(dead, slices.Compare)
		return slices.Clone(dead)
	}
}

func TestOfAThousandItemsThreeThatAnAnswerNamesAreDeadAndRunNoMoreThanTheirAttempts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec faastest.Recorder
		r := faastest.New(t, faas.WithMeter(&rec))
		y := newTally()
		onFailure, dead := deadLetters(t)
		source.RegisterBatch(r, "index", func(_ context.Context, batch source.Batch[int]) (source.Failed, error) {
			y.run(batch)
			var failed source.Failed
			for _, item := range batch.Items {
				if poisonous(item.Input) {
					failed = append(failed, item.ID)
				}
			}
			y.succeed(batch, poisonous)
			return failed, nil
		}, onFailure)
		m := &source.Memory{}
		d := drive(t, r, m, source.To("index"), source.WithBatch(100, time.Second), source.WithConcurrency(400))
		m.Put(numbers(0, 1000)...)
		time.Sleep(time.Hour)
		require.Len(t, y.seen().ok, 997)
		for n, times := range y.seen().ok {
			require.Equal(t, 1, times, n)
		}
		require.Equal(t, [][]int{{17}, {500}, {501}}, dead())
		require.Equal(t, 3, y.seen().most)
		require.Zero(t, m.Len(), "all is acknowledged")
		require.Equal(t, source.Counts{Received: 1000, Accepted: 1000, Batches: 10}, info(d).Counts)
		items := 0
		for _, e := range rec.Executions() {
			require.Equal(t, faas.OK, e.Outcome)
			items += e.Items
		}
		require.Equal(t, 1000+2*3, items, "one record for each call, with the number of its items")
		require.Len(t, rec.Executions(), 10+2*2)
		requireSettled(t, r, 3)
	})
}

// requireSettled checks that all jobs of the router have ended, and that so many are dead.
func requireSettled(t *testing.T, r *faas.Router, dead int) {
	t.Helper()
	n := 0
	for job, err := range r.Jobs(t.Context(), faas.JobFilter{}) {
		require.NoError(t, err)
		require.True(t, job.State.IsSettled(), "%+v", job)
		if job.State == faas.JobDead {
			n++
			require.Equal(t, 1, job.Items)
			require.Equal(t, faas.ConditionRetriesExhausted, job.Condition)
		}
	}
	require.Equal(t, dead, n)
}

func TestOfAThousandItemsThreeThatFailTheirBatchAreDeadAndRunNoMoreThanTheBound(t *testing.T) {
	for name, fail := range map[string]func() error{
		"by an error": func() error { return errors.New("poison") },
		"by a panic":  func() error { panic("poison") },
		"by a timeout": func() error {
			time.Sleep(time.Minute)
			return nil
		},
		"for good": func() error { return faas.Permanent(errors.New("poison")) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := faastest.New(t)
				y := newTally()
				onFailure, dead := deadLetters(t)
				source.RegisterBatch(r, "index", func(_ context.Context, batch source.Batch[int]) (source.Failed, error) {
					y.run(batch)
					if slices.ContainsFunc(batch.Items, func(i source.BatchItem[int]) bool { return poisonous(i.Input) }) {
						return nil, fail()
					}
					y.succeed(batch, poisonous)
					return nil, nil
				}, onFailure, source.WithBisect(), faas.WithTimeout(10*time.Second))
				m := &source.Memory{}
				const size = 100
				drive(t, r, m, source.To("index"), source.WithBatch(size, time.Second), source.WithConcurrency(1000))
				m.Put(numbers(0, 1000)...)
				time.Sleep(3 * time.Hour)
				require.Len(t, y.seen().ok, 997)
				for n, times := range y.seen().ok {
					require.Equal(t, 1, times, n)
				}
				require.Equal(t, [][]int{{17}, {500}, {501}}, dead())
				bound := 3 * (1 + bits.Len(size-1))
				require.LessOrEqual(t, y.seen().most, bound)
				require.Zero(t, m.Len())
			})
		})
	}
}

func TestWithoutBisectABatchThatFailsIsDeadAsAWhole(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		onFailure, dead := deadLetters(t)
		source.RegisterBatch(r, "index", func(context.Context, source.Batch[int]) (source.Failed, error) {
			return nil, errors.New("no index")
		}, onFailure)
		m := &source.Memory{}
		drive(t, r, m, source.To("index"), source.WithBatch(3, time.Second))
		m.Put(numbers(0, 6)...)
		time.Sleep(time.Hour)
		require.Equal(t, [][]int{{0, 1, 2}, {3, 4, 5}}, dead())
		require.Zero(t, m.Len())
	})
}

func TestABatchIsSentWhenItIsFullOrItsWindowHasPassed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		y := newTally()
		source.RegisterBatch(r, "index", func(_ context.Context, batch source.Batch[int]) (source.Failed, error) {
			y.run(batch)
			return nil, nil
		})
		m := &source.Memory{}
		d := drive(t, r, m, source.To("index"), source.WithBatch(3, time.Minute))
		m.Put(numbers(0, 7)...)
		synctest.Wait()
		require.Equal(t, []int{3, 3}, y.seen().sizes)
		time.Sleep(time.Minute - 1)
		require.Len(t, y.seen().sizes, 2)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, []int{3, 3, 1}, y.seen().sizes)
		m.Put(numbers(7, 9)...)
		synctest.Wait()
		require.NoError(t, d.Stop(t.Context()))
		require.Equal(t, []int{3, 3, 1, 2}, y.seen().sizes, "what was taken is sent when the driver stops")
		require.Zero(t, m.Len())
	})
}

func TestABatchHasTheItemsOfOneTenantAndNoneTwice(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		var mu sync.Mutex
		tenants := map[string][]string{}
		source.RegisterBatch(r, "index", func(ctx context.Context, batch source.Batch[string]) (source.Failed, error) {
			inv, _ := faas.FromContext(ctx)
			mu.Lock()
			defer mu.Unlock()
			require.Equal(t, len(batch.Items), inv.Items)
			ids := map[string]bool{}
			for _, item := range batch.Items {
				tenants[inv.Tenant] = append(tenants[inv.Tenant], item.Input)
				require.False(t, ids[item.ID])
				ids[item.ID] = true
			}
			return nil, nil
		})
		m := &source.Memory{}
		drive(t, r, m, source.To("index"), source.WithBatch(10, time.Minute))
		want := map[string][]string{}
		for n := range 30 {
			tenant := fmt.Sprint("tenant ", n%4)
			m.Put(source.Item{ID: fmt.Sprint(n % 20), Tenant: tenant, Payload: []byte(strconv.Quote(tenant))})
			want[tenant] = append(want[tenant], tenant)
		}
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, want, tenants)
		require.Zero(t, m.Len())
	})
}

func TestABatchIsNoLargerThanTheFunctionsInputs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		var mu sync.Mutex
		var got, batches int
		source.RegisterBatch(r, "index", func(_ context.Context, batch source.Batch[[]byte]) (source.Failed, error) {
			mu.Lock()
			defer mu.Unlock()
			got += len(batch.Items)
			batches++
			require.LessOrEqual(t, len(batch.Items), 2)
			require.Len(t, batch.Items[0].Input, 100)
			return nil, nil
		}, faas.WithLimits(400, 1000))
		m := &source.Memory{}
		drive(t, r, m, source.To("index"), source.WithBatch(10, time.Minute))
		for range 10 {
			m.Put(source.Item{ID: "x" + fmt.Sprint(got), Payload: make([]byte, 100)})
		}
		m.Put(source.Item{ID: "large", Payload: make([]byte, 1000)})
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, 10, got)
		require.GreaterOrEqual(t, batches, 5)
		require.Len(t, m.Rejected(), 1)
		require.Zero(t, m.Len())
	})
}

func TestAnItemThatIsNoJSONIsRejectedFromABatchOfJSON(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		y := newTally()
		source.RegisterBatch(r, "index", func(_ context.Context, batch source.Batch[int]) (source.Failed, error) {
			y.run(batch)
			return nil, nil
		})
		m := &source.Memory{}
		drive(t, r, m, source.To("index"), source.WithBatch(2, time.Minute))
		m.Put(source.Item{Payload: []byte("1")}, source.Item{Payload: []byte("{")}, source.Item{Payload: []byte("2")})
		synctest.Wait()
		require.Equal(t, []int{2}, y.seen().sizes)
		require.Len(t, m.Rejected(), 1)
	})
}

// Which answers mean success and which failure is in the Developer Guide of AWS Lambda,
// "Implementing partial batch responses", section "Success and failure conditions".
func TestAnAnswerIsReadAsLambdaReadsIt(t *testing.T) {
	t.Parallel()
	for answer, failed := range map[string][]int{
		``: nil, `null`: nil, `{}`: nil,
		`{"batchItemFailures": null}`:                      nil,
		`{"batchItemFailures": []}`:                        nil,
		`{"more": 1}`:                                      nil,
		`{"batchItemFailures": [{"itemIdentifier": "b"}]}`: {1},
		`{"batchItemFailures": [{"itemIdentifier": "c"}, {"itemIdentifier": "a"}]}`:         {2, 0},
		`{"batchItemFailures": [{"itemIdentifier": "b", "x": 1}, {"itemIdentifier": "b"}]}`: {1, 1},
		`{"batchItemFailures": [{"itemIdentifier": ""}]}`:                                   {-1},
		`{"batchItemFailures": [{"itemIdentifier": null}]}`:                                 {-1},
		`{"batchItemFailures": [{"itemIdentifier": 5}]}`:                                    {-1},
		`{"batchItemFailures": [{"ItemIdentifier": "b"}]}`:                                  {-1},
		`{"batchItemFailures": [{"itemIdentifier": "b"}, {}]}`:                              {-1},
		`{"batchItemFailures": [{"itemIdentifier": "d"}]}`:                                  {-1},
		`{"batchItemFailures": ["b"]}`:                                                      {-1},
		`{"batchItemFailures": {"itemIdentifier": "b"}}`:                                    {-1},
		`{"batchItemFailures": "b"}`:                                                        {-1},
		`[]`:                                                                                {-1},
		`"done"`:                                                                            {-1},
		`{`:                                                                                 {-1},
	} {
		got := source.FailedOf([]byte(`{"items":[{"id":"a","input":1},{"id":"b","input":2},{"id":"c","input":3}]}`), []byte(answer))
		assert.Equal(t, failed, got, answer)
	}
}

func TestFailedIsWrittenAsLambdaHasIt(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(source.Failed{"a", "b"})
	require.NoError(t, err)
	require.JSONEq(t, `{"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]}`, string(data))
	var f source.Failed
	require.NoError(t, json.Unmarshal(data, &f))
	require.Equal(t, source.Failed{"a", "b"}, f)
	data, err = json.Marshal(source.Failed(nil))
	require.NoError(t, err)
	require.JSONEq(t, `{"batchItemFailures": []}`, string(data))
	require.Error(t, json.Unmarshal([]byte(`[]`), &f))
}

func TestAFunctionWithAnAnswerOfItsOwnTypeTakesBatches(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		y := newTally()
		faas.Register(r, "raw", func(_ context.Context, batch source.Batch[int]) (json.RawMessage, error) {
			y.run(batch)
			if len(batch.Items) > 1 {
				return json.RawMessage(`{"batchItemFailures": [{"itemIdentifier": "1"}]}`), nil
			}
			return json.RawMessage(`null`), nil
		}, source.WithFailures())
		m := &source.Memory{}
		drive(t, r, m, source.To("raw"), source.WithBatch(3, time.Minute))
		m.Put(numbers(0, 3)...)
		time.Sleep(time.Hour)
		require.Equal(t, []int{3, 1}, y.seen().sizes)
		require.Equal(t, map[int]int{0: 1, 1: 2, 2: 1}, y.seen().runs)
		require.Zero(t, m.Len())
	})
}

func TestABatchFunctionWithoutWithBatchGetsBatchesOfOne(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := faastest.New(t)
		y := newTally()
		source.RegisterBatch(r, "index", func(_ context.Context, batch source.Batch[int]) (source.Failed, error) {
			y.run(batch)
			return nil, nil
		})
		m := &source.Memory{}
		drive(t, r, m, source.To("index"))
		m.Put(numbers(0, 3)...)
		synctest.Wait()
		require.Equal(t, []int{1, 1, 1}, y.seen().sizes)
	})
}

func TestDriveRefusesBatchesThatCannotWork(t *testing.T) {
	t.Parallel()
	r := faastest.New(t)
	faas.Register(r, "plain", func(context.Context, int) (struct{}, error) { return struct{}{}, nil })
	source.RegisterBatch(r, "index", func(context.Context, source.Batch[int]) (source.Failed, error) { return nil, nil })
	m := &source.Memory{}
	for _, c := range []struct {
		opts []source.Option
		want error
	}{
		{[]source.Option{source.To("plain"), source.WithBatch(2, time.Second)}, faas.ErrType},
		{[]source.Option{source.WithName("x"), source.WithBatch(2, time.Second)}, faas.ErrInput},
		{[]source.Option{source.To("index"), source.WithBatch(2, 0)}, faas.ErrInput},
		{[]source.Option{source.To("index"), source.WithBatch(-2, time.Second)}, faas.ErrInput},
		{[]source.Option{source.To("index"), source.WithBatch(65, time.Second)}, faas.ErrInput},
	} {
		_, err := source.Drive(r, m, c.opts...)
		require.ErrorIs(t, err, c.want)
	}
}

// FuzzFailures looks for an answer that is read neither as success nor as a list of items, and
// for a batch that can't be split.
func FuzzFailures(f *testing.F) {
	f.Add([]byte(`{"items":[{"id":"a","input":1},{"id":"b","input":2}]}`), []byte(`{"batchItemFailures": [{"itemIdentifier": "b"}]}`))
	f.Add([]byte(`{"items":null}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, input, output []byte) {
		var batch source.Batch[json.RawMessage]
		known := json.Unmarshal(input, &batch) == nil
		for _, i := range source.FailedOf(input, output) {
			require.GreaterOrEqual(t, i, -1)
			require.True(t, i < 0 || known && i < len(batch.Items))
		}
		if !known {
			return
		}
		for i := range batch.Items {
			var one source.Batch[json.RawMessage]
			require.NoError(t, json.Unmarshal(source.Pick(input, []int{i}), &one))
			require.Len(t, one.Items, 1)
			require.Equal(t, batch.Items[i].ID, one.Items[0].ID)
		}
		require.Nil(t, source.Pick(input, []int{len(batch.Items)}))
	})
}
