package faascron_test

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats/embed"
	"github.com/inproc/faas/trigger/faascron"
)

// step is the time between two firings; sixty firings take three seconds.
const step = 50 * time.Millisecond

// host is one of three processes: a router on the shared queue, with the timer. A Close kills
// it: it settles nothing, and does not stop the timer.
func host(t *testing.T, queue faas.JobQueue, got func(faascron.Tick)) *faas.Router {
	t.Helper()
	r := faas.New(faas.WithJobs(queue))
	faas.Register(r, "often", func(_ context.Context, tick faascron.Tick) (struct{}, error) { got(tick); return struct{}{}, nil })
	_, err := faascron.Every(r, "often", "@every "+step.String(), faascron.CatchUp(faascron.All(200)), faascron.Log(nil))
	require.NoError(t, err)
	return r
}

// Sixty times fire 60 jobs and not 180, although three processes have the timer and some of
// them die.
func TestThreeProcessesOnOneQueueFireOnce(t *testing.T) {
	queue, err := embed.Open(t.TempDir())
	require.NoError(t, err)
	defer queue.Close()
	var mu sync.Mutex
	sixty := make(chan struct{})
	fired := map[time.Time]bool{}
	got := func(tick faascron.Tick) {
		mu.Lock()
		defer mu.Unlock()
		known := fired[tick.Scheduled]
		if fired[tick.Scheduled] = true; len(fired) == 60 && !known {
			close(sixty)
		}
	}
	hosts := []*faas.Router{host(t, queue, got), host(t, queue, got), host(t, queue, got)}
	kills := time.NewTicker(300 * time.Millisecond)
	defer kills.Stop()
	for over := false; !over; {
		select { // waits for events of the queue; the kills are at random moments
		case <-sixty:
			over = true
		case <-kills.C:
			i := rand.IntN(len(hosts))
			_ = hosts[i].Close()
			endOf(t, hosts[i])
			hosts[i] = host(t, queue, got)
		}
	}
	for _, r := range hosts {
		endOf(t, r)
	}
	accepted := map[string]int{}
	var first, last string
	for job, err := range queue.List(t.Context(), faas.JobFilter{}) {
		require.NoError(t, err)
		if at := job.Labels["faascron.scheduled"]; at != "" {
			accepted[at]++
			first, last = cmp.Or(min(cmp.Or(first, at), at), at), max(last, at)
		}
	}
	begin, err := time.Parse(time.RFC3339Nano, first)
	require.NoError(t, err)
	end, err := time.Parse(time.RFC3339Nano, last)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(accepted), 60)
	require.Len(t, accepted, int(end.Sub(begin)/step)+1, "none is left out")
	for at, jobs := range accepted {
		require.Equal(t, 1, jobs, at)
	}
}

// endOf waits until a router and its timer have ended.
func endOf(t *testing.T, r *faas.Router) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = r.Shutdown(ctx)
}
