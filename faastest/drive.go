package faastest

import (
	"fmt"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/window"
)

// Drive runs a [faas.Scaler] over a load curve and returns what it decided: an
// hour of traffic in milliseconds, without a router, a goroutine or a clock.
//
// It calls Desired when a router does: when calls arrive and find no free slot,
// and every two seconds while there are calls, instances above Min, or a window
// that is not empty. For calls that arrive in the same step it calls Desired
// once. It never stops an instance that serves calls. Load.CPU and Load.Latency
// are zero.
type Drive struct {
	Scaler faas.Scaler
	Calls  func(at time.Duration) int // returns the number of calls at that time, running and waiting
	For    time.Duration              // the length of the run

	Step     time.Duration // how often Calls is called; 0: every 100 ms
	Init     time.Duration // how long an instance takes to be ready; 0: no time
	Per      int           // calls that an instance serves at the same time; 0: 1
	Min, Max int           // the function's limits; Max 0: none
}

// ScaleStep is a change of the number of instances.
type ScaleStep struct {
	At       time.Duration // since the start
	From, To int
	Rule     string // from the scaler's answer
}

// String describes the step on one line.
func (s ScaleStep) String() string {
	return fmt.Sprintf("%v: %d to %d (%s)", s.At, s.From, s.To, s.Rule)
}

// driveTick is the interval at which a router calls Desired.
const driveTick = 2 * time.Second

// Run drives the scaler and returns its steps in order. Each run begins with Min
// ready instances and a nil state. A panic of the scaler or of Calls is not
// recovered.
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
	at, next      time.Duration // the present, and the next tick
	calls         int           // running and waiting
	ready         int           // instances
	starting      []batch       // instances that are not ready, the first to be ready first
	steps         []ScaleStep
}

// batch is a number of instances that were started together.
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

// look moves instances from starting to ready, updates the number of calls, and
// reports whether that number has grown.
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

// tick calls Desired unless the function is at rest. A router's scale loop leaves out such
// functions too, so a scaler gets the same sequence of loads from a Drive and from a router.
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

// ask calls Desired and applies the answer. If Target.N is negative, neither the number of
// instances nor the state changes, as in a router.
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

// driveEpoch is the time at which a run begins, that of a bubble of
// testing/synctest.
func driveEpoch() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// scale starts or stops instances to reach the target, within the limits. It stops none that
// is in use.
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

// stop removes n instances: first those that are not ready, the latest before the
// earlier ones.
func (r *driveRun) stop(n int) {
	for i := len(r.starting) - 1; i >= 0 && n > 0; i-- {
		some := min(n, r.starting[i].n)
		r.starting[i].n -= some
		n -= some
	}
	r.ready -= n
}
