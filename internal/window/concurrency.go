package window

import (
	"math"
	"time"
)

// Concurrency is the time-weighted average of a level that changes in steps, for
// example the number of calls in progress. It keeps the integral of the level over
// time exactly, in buckets. Only the start of the window is rounded, to the start
// of a bucket.
//
// Add and Average cost a few operations; after a time without calls, they cost at most one
// more for each bucket. The memory is 8 bytes for each bucket and about 100 more.
type Concurrency struct {
	area        ring[int64] // level × nanoseconds, one sum for each bucket; the head is still being filled
	granularity int64
	level       int64
	peak        int64 // the highest level since ResetPeak
	last        int64 // the area is known up to this time
	first       int64 // the time of the first Add after the window was empty
	busy        int64 // the last time at which the level was known not to be 0
}

// New returns an empty window over the last span. The granularity is the length of
// a bucket; an average may cover a time that is longer than the span by up to one bucket. Both
// must be positive.
//
// The level times the span must fit into an int64. For a span of a minute, that allows a level
// of 150 million.
func New(span, granularity time.Duration) *Concurrency {
	c := &Concurrency{granularity: int64(granularity), last: math.MinInt64, busy: math.MinInt64}
	c.area.cells = make([]int64, cellsFor(span, granularity)+1) // and one more for the bucket that is being filled
	return c
}

// Level returns the level after the last Add.
func (c *Concurrency) Level() int { return int(c.level) }

// Peak returns the highest level since ResetPeak, including the level at ResetPeak.
func (c *Concurrency) Peak() int { return int(c.peak) }

// ResetPeak sets the peak to the present level.
func (c *Concurrency) ResetPeak() { c.peak = c.level }

// Add adds delta to the level. If now is earlier than the time of the previous call, it
// counts as that time. For example, a goroutine may read the clock and then wait for the
// caller's lock, so that it arrives with a time that is a little old.
func (c *Concurrency) Add(now int64, delta int) {
	if c.Empty(now) {
		c.first = max(now, c.last)
	}
	c.advance(now)
	c.level += int64(delta)
	c.peak = max(c.peak, c.level)
	c.busy = c.last
}

// Average returns the mean level over the time from now-over to now. over is rounded up to
// whole buckets, and is limited to the span. If the window was empty before the first Add in
// that time, the mean begins with that Add. But it covers at least the length of one bucket, so
// that a load that has just begun does not count in full.
func (c *Concurrency) Average(now int64, over time.Duration) float64 {
	if c.Empty(now) {
		return 0
	}
	c.advance(now)
	from := c.area.head - min(int64(cellsFor(over, time.Duration(c.granularity))), c.area.size()-1)
	start := max(from*c.granularity, c.first)
	passed := max(c.last-start, c.granularity)
	return float64(c.area.sum(from, c.area.head)) / float64(passed)
}

// Empty reports whether the level is zero and was zero for the whole window. Such
// a window may be replaced by a new one.
func (c *Concurrency) Empty(now int64) bool {
	if c.level != 0 {
		return false
	}
	if c.busy == math.MinInt64 {
		return true
	}
	now = max(now, c.last)
	return c.busy <= (floorDiv(now, c.granularity)-c.area.size()+1)*c.granularity
}

// advance adds the level to the area, for the time up to now.
func (c *Concurrency) advance(now int64) {
	if c.last == math.MinInt64 {
		c.last = now
		c.area.head = floorDiv(now, c.granularity)
	}
	if now <= c.last {
		return
	}
	head := floorDiv(now, c.granularity)
	if head > c.area.head {
		*c.area.at(c.area.head) += c.level * ((c.area.head+1)*c.granularity - c.last)
		c.area.advance(head, c.level*c.granularity)
		c.last = head * c.granularity
		*c.area.at(head) = 0
	}
	*c.area.at(head) += c.level * (now - c.last)
	c.last = now
	if c.level != 0 {
		c.busy = now
	}
}
