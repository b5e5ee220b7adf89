package bench

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/inproc/faas/bench/measure"
	"github.com/inproc/faas/bench/peers"
)

// BenchmarkInvoke/<work>/<callers>/<peer> is the cost of one call. Compare
// cpu-ns/op, the processor time of the whole process for each call: with many
// callers ns/op is divided by the number of processors.
func BenchmarkInvoke(b *testing.B) {
	for _, w := range peers.Works {
		for _, m := range measure.Modes {
			for _, p := range peers.All {
				b.Run(strings.Join([]string{w.Name, m.Name, benchName(p)}, "/"), func(b *testing.B) {
					benchmarkCalls(b, p, w, m)
				})
			}
		}
	}
}

// benchName has no slash, so that -bench can select the peer.
func benchName(p peers.Peer) string { return strings.ReplaceAll(p.Name, "/", ":") }

func benchmarkCalls(b *testing.B, p peers.Peer, w peers.Work, m measure.Mode) {
	b.Helper()
	inst := p.New(w.Handler, peers.Default)
	defer inst.Close()
	for i := range 100 { // a warm-up, in which pools start their workers
		check(b, inst.Call(context.Background(), i))
	}
	b.ReportAllocs()
	b.SetParallelism(m.Parallelism())
	b.ResetTimer()
	cpu := measure.CPU()
	if m.PerProc == 0 {
		callInTurn(b, inst.Call)
	} else {
		b.RunParallel(func(pb *testing.PB) { callInParallel(b, pb, inst.Call) })
	}
	cpu = measure.CPU() - cpu
	b.StopTimer()
	b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/op")
}

func callInTurn(b *testing.B, call peers.Call) {
	b.Helper()
	ctx := context.Background()
	for i := range b.N {
		if err := call(ctx, i); err != nil {
			b.Fatal(err)
		}
	}
}

func callInParallel(b *testing.B, pb *testing.PB, call peers.Call) {
	b.Helper()
	ctx := context.Background()
	for i := 0; pb.Next(); i++ {
		if err := call(ctx, i); err != nil {
			b.Error(err)
			return
		}
	}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkLatency/<work>/<peer> is the distribution of single calls with 64
// callers that each wait for the answer before they call again. An "op" is
// half a second of that; run it with -benchtime 1x.
func BenchmarkLatency(b *testing.B) {
	for _, w := range peers.Works {
		for _, name := range []string{peers.GoTimeout, peers.AntsObvious, peers.FaasTyped} {
			p, err := peers.Find(name)
			check(b, err)
			b.Run(w.Name+"/"+benchName(p), func(b *testing.B) { benchmarkLatency(b, p, w) })
		}
	}
}

func benchmarkLatency(b *testing.B, p peers.Peer, w peers.Work) {
	b.Helper()
	inst := p.New(w.Handler, peers.Default)
	defer inst.Close()
	for range b.N {
		all, err := measure.Latency(inst.Call, 64, time.Second/2)
		check(b, err)
		report(b, all, "latency")
	}
}

// BenchmarkDeadline/<peer> is how late 64 callers return if the handler ignores its
// context. An "op" is one round of them.
func BenchmarkDeadline(b *testing.B) {
	for _, name := range []string{peers.GoTimeout, peers.AntsObvious, peers.FaasTyped} {
		p, err := peers.Find(name)
		check(b, err)
		b.Run(benchName(p), func(b *testing.B) {
			late, err := measure.Lateness(p, 64, b.N)
			check(b, err)
			report(b, late, "late")
		})
	}
}

func report(b *testing.B, sorted []time.Duration, what string) {
	b.Helper()
	b.ReportMetric(0, "ns/op") // removes the length of a round, which has no meaning
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50", .5}, {"p99", .99}, {"p999", .999}, {"max", 1}} {
		b.ReportMetric(float64(measure.Quantile(sorted, q.at).Nanoseconds())/1e3, q.name+"-"+what+"-µs")
	}
}
