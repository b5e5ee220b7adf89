package faas

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// clock counts nanoseconds since it was made. Its method now reads only the monotonic clock,
// which costs half of time.Now, because time.Now reads the wall clock as well. The wall clock is
// read at most once a second; the method time adds what has passed since that reading. So if
// the wall clock is set while the process runs, a record's Start follows at most a second later.
type clock struct {
	base time.Time // when the clock was made, with a monotonic reading
	wall atomic.Pointer[anchor]
}

// anchor pairs a reading of the clock with the wall clock's time at that moment. It does not
// change once it is stored: readers load the pointer without a lock.
type anchor struct {
	at   int64     // a reading of the clock
	time time.Time // the wall clock's time
	unix int64     // the field time in Unix nanoseconds
}

func newClock() *clock {
	c := &clock{base: time.Now()}
	c.wall.Store(&anchor{time: c.base, unix: c.base.UnixNano()})
	return c
}

func (c *clock) now() int64 { return int64(time.Since(c.base)) }

// reading returns the clock's reading at t: at least 0, at most math.MaxInt64. If t has no
// monotonic reading, for example because it was parsed from a header, reading adds the
// difference between t and the wall clock's present time to the present reading. The wall clock
// may have been set since c was made, so the distance to base would be wrong.
func (c *clock) reading(t time.Time) int64 {
	if t != t.Round(0) { // t has a monotonic reading, which Round removes; the method Equal ignores it
		return max(0, int64(t.Sub(c.base)))
	}
	now, left := c.now(), int64(time.Until(t))
	if left > math.MaxInt64-now {
		return math.MaxInt64
	}
	return max(0, now+left)
}

// time returns the wall clock's time at a reading. It is exact for readings that are about
// as recent as the last anchor. If the wall clock was set after an older reading, the time of
// that reading is off by the change.
func (c *clock) time(at int64) time.Time {
	a := c.anchor(at)
	return a.time.Add(time.Duration(at - a.at))
}

// anchor returns the latest anchor. If that is more than a second older than the reading at,
// it makes a new one. Two goroutines may both store a new anchor. Each anchor is right, so
// no compare-and-swap is needed.
func (c *clock) anchor(at int64) *anchor {
	a := c.wall.Load()
	if at-a.at >= int64(time.Second) {
		t := time.Now()
		a = &anchor{at: int64(t.Sub(c.base)), time: t, unix: t.UnixNano()}
		c.wall.Store(a)
	}
	return a
}

// newID returns a UUIDv7 for the time of a reading (RFC 9562, section 5.7; rand_a holds
// the fraction of the millisecond, method 3 of section 6.2). Its 62 random bits are the
// upper bits of random. The caller takes random from math/rand/v2, whose source is the
// runtime's ChaCha8. That source is seeded by the system, and there is one per thread, so
// that it needs no lock and no system call.
func (c *clock) newID(at int64, random uint64) uuid.UUID {
	const msec = int64(time.Millisecond)
	a := c.anchor(at)
	ns := a.unix + at - a.at
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(ns/msec)<<16|7<<12|uint64(ns%msec)<<12/uint64(msec))
	binary.BigEndian.PutUint64(id[8:], random>>2|1<<63)
	return id
}
