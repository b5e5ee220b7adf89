package source

import (
	"context"
	"sync/atomic"
	"time"
)

// State is what a driver does.
type State uint8

// The states. The set is closed. The zero value is that of no driver.
const (
	Running    State = iota + 1 // the source runs
	Paused                      // it runs, and the sink takes nothing: see Pause
	Restarting                  // it has failed, and will run again
	Stopping                    // it takes no more; items are under way
	Stopped                     // the driver has ended
)

// String returns the state's name in small letters.
func (s State) String() string {
	switch s {
	case Running:
		return "running"
	case Paused:
		return "paused"
	case Restarting:
		return "restarting"
	case Stopping:
		return "stopping"
	case Stopped:
		return "stopped"
	}
	return "unknown"
}

// Info describes a driver at one moment. It is a copy.
type Info struct {
	Name     string
	Function string // of To
	State    State
	Since    time.Time // when the source began or failed, or the driver to stop; of Paused: when the source began

	Lag      Lag   // what waits in the source
	LagError error // why the source could not tell its lag, which then is not known

	Restarts    int       // how often the source was started again
	LastError   string    // why it has failed last; empty: it has not
	LastErrorAt time.Time // zero: it has not

	UnderWay int // items that are taken and not acknowledged
	Counts   Counts
}

// Counts are numbers of items since the driver was made.
type Counts struct {
	Received   uint64 // taken by the sink: each of them is one of those below, or under way
	Filtered   uint64 // left out by WithFilter, and acknowledged
	Accepted   uint64 // acknowledged: the queue has the job, or it is settled
	Duplicates uint64 // of the accepted: the queue had their job before
	Rejected   uint64 // see ErrRejected
	Returned   uint64 // given back with ErrStopped
	Batches    uint64 // that were sent
}

// Info describes the driver. It asks the source for its lag, and so takes as long as that, at most
// until ctx ends; with a context that has ended it does not ask.
func (d *Driver) Info(ctx context.Context) Info {
	lag, err := d.lag(ctx)
	d.mu.Lock()
	l := d.life
	d.mu.Unlock()
	info := Info{
		Name: d.set.name, Function: d.set.function, State: l.state, Since: l.since, Lag: lag, LagError: err,
		Restarts: l.restarts, LastErrorAt: l.failedAt, UnderWay: int(d.counts.underWay.Load()), Counts: d.counts.read(),
	}
	if l.failed != nil {
		info.LastError = l.failed.Error()
	}
	if l.state == Running && d.gate.closed() != nil {
		info.State = Paused
	}
	return info
}

// counters are what Info reads while items come and go.
type counters struct {
	received, filtered, accepted, duplicates, rejected, returned, batches atomic.Uint64
	underWay                                                              atomic.Int64
}

func (c *counters) read() Counts {
	return Counts{
		Filtered: c.filtered.Load(), Accepted: c.accepted.Load(), Duplicates: c.duplicates.Load(), Rejected: c.rejected.Load(),
		Returned: c.returned.Load(), Batches: c.batches.Load(), Received: c.received.Load(), // last: it is no less than their sum
	}
}
