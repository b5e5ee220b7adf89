package bench

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/inproc/faas/bench/measure"
	"github.com/inproc/faas/bench/peers"
)

// BenchmarkJobs/<peer>/<callers> is the cost of Send and Wait of an inline function, compared with
// chan+map, a queue that is written by hand and does only what every queue must do. of-bound is the
// processor time of chan+map as a part of that of the peer, as the median of turns in one run. Run
// it with -benchtime 1x.
func BenchmarkJobs(b *testing.B) {
	for _, name := range []string{peers.FaasJobBytes, peers.FaasJob} {
		for _, callers := range []int{1, 128} {
			p, err := peers.Find(name)
			check(b, err)
			b.Run(fmt.Sprintf("%s/%d", benchName(p), callers), func(b *testing.B) { compareJobs(b, p, callers) })
		}
	}
}

func compareJobs(b *testing.B, p peers.Peer, callers int) {
	b.Helper()
	hand, err := peers.Find(peers.ChanMap)
	check(b, err)
	bound, own := serve(b, hand), serve(b, p)
	for b.Loop() {
		var ratios, cpu, bytes []float64
		for range turns {
			least, with := rateOf(b, bound, callers), rateOf(b, own, callers)
			ratios = append(ratios, least.CPU/with.CPU)
			cpu, bytes = append(cpu, with.CPU), append(bytes, with.Bytes)
		}
		b.ReportMetric(0, "ns/op") // removes the length of all turns, which means nothing
		b.ReportMetric(measure.Median(ratios), "of-bound")
		b.ReportMetric(measure.Median(cpu), "cpu-ns/job")
		b.ReportMetric(measure.Median(bytes), "B/job")
	}
}

// serve returns the Call of a peer that hosts an addition.
func serve(b *testing.B, p peers.Peer) peers.Call {
	b.Helper()
	inst := p.New(peers.Works[0].Handler, peers.Default)
	b.Cleanup(inst.Close)
	return inst.Call
}

// senders is how many goroutines send jobs in BenchmarkSend.
const senders = 8

// BenchmarkSend/<peer>/<callers> is the time that a Send takes until the job is accepted. Meanwhile that many
// callers call another function, which waits for 1 ms; each calls again when it has its answer. Each of a few
// senders waits for the end of its job before it sends the next one, so that the queue is never full. The
// peer chan+map is a queue that is written by hand, with the same live calls of faas. An "op" is half a
// second of this; run it with -benchtime 1x.
func BenchmarkSend(b *testing.B) {
	for _, name := range []string{peers.ChanMap, peers.FaasJobBytes} {
		for _, callers := range []int{0, 64} {
			p, err := peers.Find(name)
			check(b, err)
			b.Run(fmt.Sprintf("%s/%d", benchName(p), callers), func(b *testing.B) {
				m := peers.NewMixed(peers.Default)
				b.Cleanup(m.Close)
				for b.Loop() {
					all, err := sendBeside(m.Live, m.Send[name], callers, time.Second/2)
					check(b, err)
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(float64(measure.Quantile(all, .5)), "p50-ns")
					b.ReportMetric(float64(measure.Quantile(all, .99)), "p99-ns")
				}
			})
		}
	}
}

// sendBeside sends jobs for d while live calls are made, and returns the times of the Sends,
// sorted.
func sendBeside(live peers.Call, send peers.Sender, callers int, d time.Duration) ([]time.Duration, error) {
	var stop atomic.Bool
	defer time.AfterFunc(d, func() { stop.Store(true) }).Stop()
	var g errgroup.Group
	for range callers {
		g.Go(func() error { return callUntil(&stop, live) })
	}
	took := make([][]time.Duration, senders)
	for s := range took {
		g.Go(func() (err error) {
			took[s], err = sendUntil(&stop, send)
			return err
		})
	}
	err := g.Wait()
	all := slices.Concat(took...)
	slices.Sort(all)
	return all, err
}

func callUntil(stop *atomic.Bool, call peers.Call) error {
	for i := 0; !stop.Load(); i++ {
		if err := call(context.Background(), i); err != nil {
			return err
		}
	}
	return nil
}

func sendUntil(stop *atomic.Bool, send peers.Sender) (took []time.Duration, err error) {
	for i := 0; !stop.Load(); i++ {
		began := time.Now()
		wait, err := send(i)
		took = append(took, time.Since(began))
		if err != nil {
			return took, err
		}
		if err := wait(); err != nil {
			return took, err
		}
	}
	return took, nil
}
