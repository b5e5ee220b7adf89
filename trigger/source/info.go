package source

import (
	"context"
	"sync/atomic"
	"time"
)

// State is the state of a driver.
type State uint8

// The states of a driver. The set is closed. The zero value is no state.
const (
	Running    State = iota + 1 // the source runs
	Paused                      // the source runs, and the sink takes no items, see Driver.Pause
	Restarting                  // the source has failed, and will be started again
	Stopping                    // no more items are taken, and some are under way
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

// Info describes a driver at one moment. It is a copy that the driver does not change.
type Info struct {
	Name     string
	Function string // the function of To
	State    State
	Since    time.Time // when the state began: the source was started or failed, or the driver was stopped; for Paused, when the source was started

	Lag      Lag   // what waits in the source
	LagError error // the error that the source's method Lag has returned; the field Lag is then not known

	Restarts    int       // how often the source was started again
	LastError   string    // the last failure of the source; empty: there was none
	LastErrorAt time.Time // zero: there was none

	UnderWay int // items that are taken and not acknowledged
	Counts   Counts
}

// Counts has the numbers of items since the driver was made.
type Counts struct {
	Received   uint64 // taken by the sink; each of these is under way, or counts as Filtered, Accepted, Rejected or Returned
	Filtered   uint64 // left out by WithFilter, and acknowledged
	Accepted   uint64 // acknowledged because the queue has accepted the job, or the job is settled
	Duplicates uint64 // those of Accepted whose job the queue had already
	Rejected   uint64 // see ErrRejected
	Returned   uint64 // given back with ErrStopped
	Batches    uint64 // batches that were sent
}

// Info returns the state of the driver. It calls the source's Lag, and waits for the result at most
// until ctx ends. If ctx has ended already, Info does not call Lag.
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

// counters are the driver's counts. The driver's goroutines change them while Info reads them.
type counters struct {
	received, filtered, accepted, duplicates, rejected, returned, batches atomic.Uint64
	underWay                                                              atomic.Int64
}

func (c *counters) read() Counts {
	return Counts{
		Filtered: c.filtered.Load(), Accepted: c.accepted.Load(), Duplicates: c.duplicates.Load(), Rejected: c.rejected.Load(),
		Returned: c.returned.Load(), Batches: c.batches.Load(), Received: c.received.Load(), // last: it is not less than the sum of the others
	}
}
