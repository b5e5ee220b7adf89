package faas

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// clock measures in nanoseconds since it was made. That is one reading of the
// monotonic clock, at half the price of time.Now, which reads the wall as well.
// The wall is read once a second and carried forward from there, so that a
// record's Start follows a clock that is set while the process runs.
type clock struct {
	base time.Time
	wall atomic.Pointer[anchor]
}

// anchor is what the wall said at a moment of the clock.
type anchor struct {
	at   int64
	time time.Time
	unix int64 // the same in nanoseconds
}

func newClock() *clock {
	c := &clock{base: time.Now()}
	c.wall.Store(&anchor{time: c.base, unix: c.base.UnixNano()})
	return c
}

func (c *clock) now() int64 { return int64(time.Since(c.base)) }

// reading is what the clock says at t, or the end of its range that is nearer. A
// time without a monotonic reading (out of a header, from time.Unix) is measured
// from now on by the wall, which may have been set since the clock was made.
func (c *clock) reading(t time.Time) int64 {
	if t != t.Round(0) { // it has a monotonic reading, which Round strips; Equal would not see it
		return max(0, int64(t.Sub(c.base)))
	}
	now, left := c.now(), int64(time.Until(t))
	if left > math.MaxInt64-now {
		return math.MaxInt64
	}
	return max(0, now+left)
}

// time is the wall clock's for a reading not much older than a call.
func (c *clock) time(at int64) time.Time {
	a := c.anchor(at)
	return a.time.Add(time.Duration(at - a.at))
}

func (c *clock) anchor(at int64) *anchor {
	a := c.wall.Load()
	if at-a.at >= int64(time.Second) {
		t := time.Now()
		a = &anchor{at: int64(t.Sub(c.base)), time: t, unix: t.UnixNano()}
		c.wall.Store(a)
	}
	return a
}

// newID makes a UUIDv7 (RFC 9562, section 5.7, with method 3 for rand_a: a
// fraction of the millisecond) for that moment. Its 62 random bits are to come
// from the runtime's ChaCha8, which is seeded by the system and kept per
// thread: no lock, no system call.
func (c *clock) newID(at int64, random uint64) uuid.UUID {
	const msec = int64(time.Millisecond)
	a := c.anchor(at)
	ns := a.unix + at - a.at
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(ns/msec)<<16|7<<12|uint64(ns%msec)<<12/uint64(msec))
	binary.BigEndian.PutUint64(id[8:], random>>2|1<<63)
	return id
}
