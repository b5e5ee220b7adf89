package window

import (
	"math"
	"time"
)

// Concurrency is the time-weighted average of a level that changes by steps. The
// integral of the level over time is kept exactly, in buckets; only the edge of
// the window is rounded, to the edge of a bucket.
//
// Add and Average cost a few operations, after a silence at most one for each
// bucket. It takes 8 bytes a bucket and about a hundred.
type Concurrency struct {
	area        ring[int64] // level × nanoseconds; the head is still being filled
	granularity int64
	level       int64
	peak        int64 // the highest level since ResetPeak
	last        int64 // until when the area is known
	first       int64 // when the first came after it was empty
	busy        int64 // until when there was something
}

// New returns an empty window over the last span. The granularity is by how much
// that may be exceeded. Both are positive.
//
// The level times the span must fit into an int64: with a minute that is a level
// of 150 million.
func New(span, granularity time.Duration) *Concurrency {
	c := &Concurrency{granularity: int64(granularity), last: math.MinInt64, busy: math.MinInt64}
	c.area.cells = make([]int64, cellsFor(span, granularity)+1) // and the one that is being filled
	return c
}

// Level is the level after the last Add.
func (c *Concurrency) Level() int { return int(c.level) }

// Peak is the highest level there was since ResetPeak, at which it may have been
// already.
func (c *Concurrency) Peak() int { return int(c.peak) }

// ResetPeak has Peak begin anew with the present level.
func (c *Concurrency) ResetPeak() { c.peak = c.level }

// Add changes the level. A time before one that has been seen counts as that one:
// who reads a clock before he waits for a lock comes a little late.
func (c *Concurrency) Add(now int64, delta int) {
	if c.Empty(now) {
		c.first = max(now, c.last)
	}
	c.advance(now)
	c.level += int64(delta)
	c.peak = max(c.peak, c.level)
	c.busy = c.last
}

// Average is the mean level over the last while, which is rounded up to whole
// buckets and extends to now; at most over the span. Where there was nothing
// before a moment in that while, the mean is over what has passed since, but not
// over less than one bucket: what has just begun is no trend.
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

// Empty tells whether the level is zero and was for the whole window, so that
// whoever has made it may drop it.
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

// advance brings the area up to now.
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
