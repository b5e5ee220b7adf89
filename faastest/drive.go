package faastest

import (
	"fmt"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/window"
)

// Drive drives a [faas.Scaler] through a load curve and returns what it decided:
// an hour of traffic in milliseconds, with no router, no goroutine and no clock.
//
// It asks as a router does: where calls have come and find no free slot, and
// every two seconds while there are calls, instances above Min, or a window that
// is not empty. Calls that come in the same step are asked about together.
// Instances that serve calls are not taken away before they are free. CPU and
// Latency are zero.
type Drive struct {
	Scaler faas.Scaler
	Calls  func(at time.Duration) int // how many calls there are at that time, running and waiting
	For    time.Duration              // until when

	Step     time.Duration // how often Calls is looked at; 0: 100 ms
	Init     time.Duration // how long an instance takes to be ready; 0: no time
	Per      int           // calls that an instance serves at once; 0: 1
	Min, Max int           // the function's limits; Max 0: none
}

// ScaleStep is a change of the number of instances.
type ScaleStep struct {
	At       time.Duration // since the start
	From, To int
	Rule     string // what the scaler gave as its rule
}

// String tells the step on one line.
func (s ScaleStep) String() string {
	return fmt.Sprintf("%v: %d to %d (%s)", s.At, s.From, s.To, s.Rule)
}

// driveTick is how often a router asks.
const driveTick = 2 * time.Second

// Run drives the scaler and returns the steps in their order. Each run begins
// with Min instances that are ready, and no state. A panic of the scaler or of
// Calls comes through.
func (d Drive) Run() []ScaleStep {
	r := d.start()
	for at := time.Duration(0); at <= d.For; at += r.Step {
		r.at = at
		came := r.look()
		if came && r.calls > r.ready*r.Per {
			r.ask(true)
		}
		if at >= r.next {
			r.tick()
		}
	}
	return r.steps
}

// driveRun is a run of a Drive.
type driveRun struct {
	Drive

	stable, burst time.Duration
	window        *window.Concurrency
	state         faas.State
	at, next      time.Duration // now, and when the next tick is
	calls         int           // there are
	ready         int           // instances that can serve
	starting      []batch       // the others, in the order in which they will
	steps         []ScaleStep
}

// batch is instances that were started together.
type batch struct {
	n  int
	at time.Duration // when they will be ready
}

func (d Drive) start() *driveRun {
	r := &driveRun{Drive: d, stable: time.Minute, burst: 6 * time.Second, ready: d.Min}
	if r.Step <= 0 {
		r.Step = 100 * time.Millisecond
	}
	r.Per = max(1, r.Per)
	if w, ok := d.Scaler.(faas.Windower); ok {
		r.stable, r.burst = w.Windows()
	}
	r.window = window.New(r.stable, time.Second)
	return r
}

// look takes in what has happened, and tells whether calls have come.
func (r *driveRun) look() bool {
	for len(r.starting) > 0 && r.starting[0].at <= r.at {
		r.ready += r.starting[0].n
		r.starting = r.starting[1:]
	}
	calls := max(0, r.Calls(r.at))
	more := calls - r.calls
	r.calls = calls
	if more != 0 {
		r.window.Add(int64(r.at), more)
	}
	return more > 0
}

func (r *driveRun) tick() {
	r.next += driveTick
	if r.calls > 0 || r.instances() > r.Min || !r.window.Empty(int64(r.at)) {
		r.ask(false)
	}
	r.window.ResetPeak()
}

func (r *driveRun) instances() int {
	n := r.ready
	for _, b := range r.starting {
		n += b.n
	}
	return n
}

func (r *driveRun) ask(arrival bool) {
	serving := min(r.calls, r.ready*r.Per)
	t, state := r.Scaler.Desired(faas.Load{
		Now:       driveEpoch().Add(r.at),
		Stable:    r.window.Average(int64(r.at), r.stable),
		Burst:     r.window.Average(int64(r.at), r.burst),
		Instances: r.instances(), Ready: r.ready,
		InFlight: serving, Queued: r.calls - serving, Peak: r.window.Peak(),
		Per: r.Per, Min: r.Min, Max: r.Max,
		Arrival: arrival,
	}, r.state)
	if t.N >= 0 {
		r.state = state
		r.scale(t, (serving+r.Per-1)/r.Per)
	}
}

// driveEpoch is when a run begins: as a bubble of testing/synctest does.
func driveEpoch() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// scale goes to the target within the limits; those in use stay.
func (r *driveRun) scale(t faas.Target, inUse int) {
	n, from := max(t.N, r.Min), r.instances()
	if r.Max > 0 {
		n = min(n, r.Max)
	}
	n = max(n, min(inUse, from))
	switch {
	case n == from:
		return
	case n < from:
		r.stop(from - n)
	case r.Init <= 0:
		r.ready += n - from
	default:
		r.starting = append(r.starting, batch{n: n - from, at: r.at + r.Init})
	}
	r.steps = append(r.steps, ScaleStep{At: r.at, From: from, To: n, Rule: t.Rule})
}

// stop takes instances away, the latest of those that are not ready yet first.
func (r *driveRun) stop(n int) {
	for i := len(r.starting) - 1; i >= 0 && n > 0; i-- {
		some := min(n, r.starting[i].n)
		r.starting[i].n -= some
		n -= some
	}
	r.ready -= n
}
