package faasevents_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faasevents"
)

func TestAnEventThatIsAcceptedAsAJobIsAnsweredAtOnceAndHandledLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := faastest.New(t, faasevents.WithEvent(), faas.WithCarrier(faasevents.Carrier()))
		var got []cloudevents.Event
		tries := 0
		faas.Register(r, "review", func(ctx context.Context, o order) (review, error) {
			time.Sleep(time.Second)
			if tries++; tries == 1 {
				return review{}, faas.RetryAfter(time.Hour, context.DeadlineExceeded)
			}
			e, ok := faasevents.FromContext(ctx)
			require.True(t, ok)
			require.Empty(t, e.Data(), "it is the input")
			require.Equal(t, order{Total: 7}, o)
			got = append(got, e)
			return review{true}, nil
		})
		h := faasevents.Handler(r, faasevents.On(catchAll, "review"), faasevents.WithJobs("review"))
		start := time.Now()
		res, body := post(t, h, binary("ce-shop", "7"), `{"total": 7}`)
		require.Equal(t, []any{202, ""}, []any{res.StatusCode, body})
		require.Zero(t, time.Since(start))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Len(t, got, 1)
		require.Equal(t, []any{"1", "/shops/7", "com.example.test", "7"}, []any{got[0].ID(), got[0].Source(), got[0].Type(), got[0].Extensions()["shop"]})
	})
}

func TestAnEventForAFunctionThatTakesEventsIsThatEventAlsoAsAJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, b := faastest.New(t), newBox()
		registerBox(r, b)
		h := faasevents.Handler(r, faasevents.On(catchAll, "keep"), faasevents.WithJobs())
		res, _ := post(t, h, binary(), `{"total": 7}`)
		require.Equal(t, 202, res.StatusCode)
		synctest.Wait()
		all := b.take()
		require.Len(t, all, 1)
		require.JSONEq(t, `{"total": 7}`, string(all[0].Data()))
	})
}

func TestABatchOfJobsIsAcceptedAndOneWithCallsAnswersTheirReplies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, b := faastest.New(t), newBox()
		registerBox(r, b)
		faas.Register(r, "review", func(context.Context, order) (review, error) { return review{true}, nil })
		h := faasevents.Handler(r, faasevents.On(`{"type": ["ask"]}`, "review"), faasevents.On(catchAll, "keep"), faasevents.WithJobs("keep"))
		one := `{"specversion":"1.0","id":"1","source":"/a","type":"tell","data":{"total":1}}`
		two := `{"specversion":"1.0","id":"2","source":"/a","type":"ask","data":{"total":2}}`
		batch := map[string]string{"Content-Type": "application/cloudevents-batch+json"}
		res, _ := post(t, h, batch, "["+one+"]")
		require.Equal(t, 202, res.StatusCode)
		res, body := post(t, h, batch, "["+one+","+two+"]")
		require.Equal(t, 200, res.StatusCode)
		require.Contains(t, body, "ask.reply")
		synctest.Wait()
		require.Len(t, b.take(), 2)
	})
}

// brokenJobs is a queue that fails.
type brokenJobs struct{ faas.JobQueue }

func (brokenJobs) Put(context.Context, faas.JobRecord) (faas.JobRecord, error) {
	return faas.JobRecord{}, context.DeadlineExceeded
}

func TestAnEventThatNoQueueTakesIsToBeSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, b := faastest.New(t, faas.WithJobs(brokenJobs{faas.NewMemoryJobs(0, 0)})), newBox()
		registerBox(r, b)
		res, body := post(t, faasevents.Handler(r, faasevents.On(catchAll, "keep"), faasevents.WithJobs()), binary(), `{}`)
		p := problemIn(t, res, body)
		require.Equal(t, []any{503, "jobs", "1"}, []any{p.Status, p.Reason, res.Header.Get("Retry-After")})
		require.NotContains(t, body, "deadline", "nothing is told of the queue")
	})
}
