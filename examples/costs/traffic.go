package main

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/inproc/faas"
)

// These are the simulated month, and the time at which the agent of one tenant begins to repeat the same call, by day and
// by night.
var (
	monthStart = time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	monthEnd   = monthStart.AddDate(0, 1, 0)
	loopStart  = time.Date(2026, time.March, 16, 9, 12, 0, 0, time.UTC)
)

const (
	looping   = "initech"
	loopShare = 40 // the loop's calls, in percent of all calls
)

// tenants have these shares of the calls outside of the loop.
var tenants = []struct {
	name    string
	percent int
}{{"acme", 40}, {"globex", 20}, {"hooli", 14}, {looping, 18}, {"umbrella", 8}}

// function is one of the functions that tenants call.
type function struct {
	name    string
	percent int // its share of the calls
	memory  int64
	median  time.Duration
	timeout time.Duration
	labels  map[string]string
}

var functions = []function{
	{"notify", 30, 128 << 20, 60 * time.Millisecond, 5 * time.Second, map[string]string{"team": "mail"}},
	{"render", 20, 1024 << 20, 4 * time.Second, 30 * time.Second, map[string]string{"team": "media"}},
	{"resize", 30, 512 << 20, 250 * time.Millisecond, 5 * time.Second, map[string]string{"team": "media"}},
	{"transcribe", 20, 1536 << 20, 25 * time.Second, time.Minute, map[string]string{"team": "media"}},
}

// call is a call that a tenant wants to make, with the record that it leaves if it is admitted.
type call struct {
	timeout time.Duration
	record  faas.Execution
}

// invocation returns the Invocation that a gate gets.
func (c *call) invocation() faas.Invocation {
	r := &c.record
	return faas.Invocation{ID: r.ID, Function: r.Function, Tenant: r.Tenant, Labels: r.Labels, Attempt: r.Attempt, Timeout: c.timeout, Memory: r.Memory}
}

// newTraffic makes the calls of a month, sorted by their start.
func newTraffic(seed uint64, n int) []call {
	g := generator{rand.New(rand.NewPCG(seed, 0))} // seeded, because the same seed must give the same month
	calls := make([]call, n)
	for i := range calls {
		if i < n*loopShare/100 {
			calls[i] = g.call(looping, g.between(loopStart, monthEnd))
		} else {
			calls[i] = g.call(g.tenant(), g.officeHours())
		}
	}
	slices.SortFunc(calls, func(a, b call) int { return a.record.Start.Compare(b.record.Start) })
	for i := range calls {
		binary.BigEndian.PutUint64(calls[i].record.ID[8:], uint64(i))
	}
	return calls
}

type generator struct{ *rand.Rand }

// between returns a random time. It leaves out the last two minutes, so that no call ends, and is billed, in the next
// month.
func (g generator) between(start, end time.Time) time.Time {
	return start.Add(time.Duration(g.Int64N(int64(end.Sub(start) - 2*time.Minute))))
}

// officeHours returns a random time that is usually within working hours.
func (g generator) officeHours() time.Time {
	for {
		t := g.between(monthStart, monthEnd)
		weekend := t.Weekday() == time.Saturday || t.Weekday() == time.Sunday
		if !weekend && t.Hour() >= 7 && t.Hour() < 19 || g.Float64() < 0.25 {
			return t
		}
	}
}

func (g generator) tenant() string {
	at := g.IntN(100)
	for _, t := range tenants {
		if at -= t.percent; at < 0 {
			return t.name
		}
	}
	panic("the shares of tenants don't add up to 100 percent")
}

func (g generator) function() *function {
	at := g.IntN(100)
	for i := range functions {
		if at -= functions[i].percent; at < 0 {
			return &functions[i]
		}
	}
	panic("the shares of functions don't add up to 100 percent")
}

// call makes a random call and its record.
func (g generator) call(tenant string, start time.Time) call {
	f := g.function()
	c := call{timeout: f.timeout, record: faas.Execution{
		Function: f.name, Tenant: tenant, Labels: f.labels, Attempt: 1, Start: start, Memory: f.memory,
		Duration: time.Duration(float64(f.median) * math.Exp(0.6*g.NormFloat64())), // log-normal: most are near the median, a few far above
	}}
	if g.Float64() < 0.01 {
		c.record.Cold, c.record.Init = true, 300*time.Millisecond+time.Duration(g.Int64N(int64(600*time.Millisecond)))
		c.record.Queued = c.record.Init
	}
	g.end(&c)
	return c
}

// These are the errors of the simulated calls.
var (
	errUpstream = errors.New("upstream answered 502")
	errBug      = &faas.PanicError{Value: "index out of range"}
)

// end chooses how the call ends. A call that fails does so after half of its time.
func (g generator) end(c *call) {
	r := &c.record
	switch luck := g.Float64(); {
	case luck < 0.003:
		r.Outcome, r.Err, r.Duration = faas.Panicked, errBug, r.Duration/2
	case luck < 0.02:
		r.Outcome, r.Err, r.Duration = faas.Failed, errUpstream, r.Duration/2
	case luck < 0.025:
		r.Outcome, r.Err, r.Duration = faas.Canceled, context.Canceled, r.Duration/2
	}
	if r.Duration >= c.timeout {
		r.Outcome, r.Err, r.Duration = faas.TimedOut, faas.ErrTimeout, c.timeout
	}
}
