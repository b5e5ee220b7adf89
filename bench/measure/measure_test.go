package measure

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/inproc/faas/bench/peers"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		xs   []float64
		want float64
	}{
		{[]float64{7}, 7},
		{[]float64{3, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
		{[]float64{5, 5, 1000}, 5},
		{[]float64{math.MaxFloat64, math.MaxFloat64}, math.MaxFloat64},
	} {
		if got := Median(c.xs); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.xs, got, c.want)
		}
	}
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("Median of nothing = %v, want NaN", got)
	}
}

func TestMedianLeavesItsArgument(t *testing.T) {
	t.Parallel()
	xs := []float64{3, 1, 2}
	Median(xs)
	if !slices.Equal(xs, []float64{3, 1, 2}) {
		t.Errorf("the argument became %v", xs)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	thousand := make([]int, 1000)
	for i := range thousand {
		thousand[i] = i + 1
	}
	for _, c := range []struct {
		xs   []int
		q    float64
		want int
	}{
		{nil, .5, 0},
		{[]int{9}, 0, 9},
		{[]int{9}, 1, 9},
		{[]int{1, 2, 3, 4}, .5, 2},
		{[]int{1, 2, 3, 4}, .51, 3},
		{[]int{1, 2, 3, 4}, 1, 4},
		{thousand, 0, 1},
		{thousand, .5, 500},
		{thousand, .99, 990},
		{thousand, .999, 999},
		{thousand, 1, 1000},
	} {
		if got := Quantile(c.xs, c.q); got != c.want {
			t.Errorf("Quantile of %d elements at %v = %d, want %d", len(c.xs), c.q, got, c.want)
		}
	}
}

// TestQuantileRank compares Quantile with its definition for various sizes.
func TestQuantileRank(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 60; n++ {
		xs := make([]int, n)
		for i := range xs {
			xs[i] = i + 1
		}
		for percent := 1; percent <= 100; percent++ {
			want := (n*percent + 99) / 100
			if got := Quantile(xs, float64(percent)/100); got != want {
				t.Fatalf("of %d elements at %d %%: %d, want %d", n, percent, got, want)
			}
		}
	}
}

//nolint:paralleltest // changes GOMAXPROCS
func TestModesStayBelowTheLimit(t *testing.T) {
	for _, procs := range []int{1, 2, 16, 512} {
		old := runtime.GOMAXPROCS(procs)
		for _, m := range Modes {
			if n := m.Callers(); n < 1 || n > max(peers.Default.Limit, procs) {
				t.Errorf("%s on %d processors: %d callers", m.Name, procs, n)
			}
		}
		runtime.GOMAXPROCS(old)
	}
}

func instance(t *testing.T, name string, h peers.Handler) peers.Instance {
	t.Helper()
	p, err := peers.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	inst := p.New(h, peers.Default)
	t.Cleanup(inst.Close)
	return inst
}

// goChan allocates a channel and a closure for each call, so the right numbers are known.
//
//nolint:paralleltest // counts the process's allocations
func TestThroughputCounts(t *testing.T) {
	for _, callers := range []int{1, 8} {
		inst := instance(t, peers.GoChan, peers.Works[0].Handler)
		r, err := Throughput(inst.Call, callers, 20*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if r.Calls < callers || r.Wall < 15*time.Millisecond || r.CPU <= 0 || r.PerSecond() <= 0 {
			t.Errorf("%d callers: implausible %+v", callers, r)
		}
		if math.Round(r.Allocs) != 2 || r.Bytes < 50 || r.Bytes > 500 {
			t.Errorf("%d callers: a channel and a closure were %v allocations of %v bytes", callers, r.Allocs, r.Bytes)
		}
	}
}

func TestErrorsStopTheMeasurement(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	call := func(context.Context, int) error { return broken }
	for _, callers := range []int{1, 8} {
		if _, err := Throughput(call, callers, time.Millisecond); !errors.Is(err, broken) {
			t.Errorf("Throughput with %d callers: %v", callers, err)
		}
		if _, err := Latency(call, callers, time.Millisecond); !errors.Is(err, broken) {
			t.Errorf("Latency with %d callers: %v", callers, err)
		}
	}
}

func TestLatencySamples(t *testing.T) {
	t.Parallel()
	inst := instance(t, peers.GoTimeout, peers.Works[3].Handler)
	all, err := Latency(inst.Call, 8, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 8 || !slices.IsSorted(all) || all[0] < time.Millisecond {
		t.Errorf("%d samples, sorted %v, the smallest %v", len(all), slices.IsSorted(all), all[0])
	}
}

// TestLatencyKeepsTheNewest: more calls than the buffer holds.
func TestLatencyKeepsTheNewest(t *testing.T) {
	t.Parallel()
	all, err := Latency(func(context.Context, int) error { return nil }, 1, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) > samplesPerCaller {
		t.Errorf("%d samples, the buffer has room for %d", len(all), samplesPerCaller)
	}
}

func TestLateness(t *testing.T) {
	t.Parallel()
	for _, name := range []string{peers.GoTimeout, peers.FaasTyped} {
		p, _ := peers.Find(name)
		late, err := Lateness(p, 4, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(late) != 8 || !slices.IsSorted(late) || late[0] < 0 {
			t.Errorf("%s: %v", name, late)
		}
	}
	p, _ := peers.Find(peers.Direct)
	late, err := Lateness(p, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if late[0] < lateHandler-lateTimeout {
		t.Errorf("a peer without a deadline returned before its handler: %v", late)
	}
}

//nolint:paralleltest // counts all goroutines
func TestWaiting(t *testing.T) {
	for _, name := range []string{peers.GoTimeout, peers.FaasTyped} {
		for _, heed := range []bool{false, true} {
			p, _ := peers.Find(name)
			h, err := Waiting(p, 2000, heed)
			if err != nil {
				t.Fatal(err)
			}
			// One goroutine calls and one runs the handler.
			if h.Goroutines < 1.9 || h.Goroutines > 2.1 {
				t.Errorf("%s, heed %v: %v goroutines for each call, want 2", name, heed, h.Goroutines)
			}
		}
	}
}

// Only the goroutines are checked here. The memory of other tests is freed meanwhile,
// so the test of cmd/table checks the bytes, in a process of its own.
//
//nolint:paralleltest // counts all goroutines
func TestIdle(t *testing.T) {
	if h := Idle(1000); h.Goroutines > 0.01 {
		t.Errorf("a registered function holds %v goroutines", h.Goroutines)
	}
}
