package faas

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wallSet returns t as it would be if the wall clock had been wrong by d when t was
// read. Package time has no function for that: the seconds of the wall clock are above the 30
// bits of nanoseconds in the first word of a time with a monotonic reading.
func wallSet(t time.Time, d time.Duration) time.Time {
	word := (*uint64)(unsafe.Pointer(&t))
	*word += uint64(int64(d/time.Second) << 30)
	return t
}

// This test does not run in a bubble, because times have no monotonic reading there.
func TestADeadlineOfTheWallHoldsThoughTheWallClockIsSet(t *testing.T) {
	t.Parallel()
	for _, wrong := range []time.Duration{0, time.Hour, -time.Hour} {
		r := New()
		r.clock.base = wallSet(r.clock.base, wrong)
		r.clock.wall.Store(&anchor{time: r.clock.base, unix: r.clock.base.UnixNano()})
		f := Register(r, "f", func(ctx context.Context, _ int) (time.Duration, error) {
			d, _ := ctx.Deadline()
			return time.Until(d), ctx.Err()
		}, WithTimeout(time.Hour))
		now := time.Now()
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(now.Unix()+600, int64(now.Nanosecond())))
		left, err := f.Invoke(ctx, 0)
		cancel()
		require.NoError(t, err, "the wall was wrong by %v", wrong)
		assert.InDelta(t, 600, left.Seconds(), 60, "the wall was wrong by %v", wrong)
		assert.InDelta(t, r.clock.now()+int64(time.Hour), r.clock.reading(time.Now().Add(time.Hour)), float64(time.Minute))
		require.NoError(t, r.Close())
	}
}

func TestTheClockReadsAnyTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		time.Sleep(time.Minute)
		now := time.Now()
		for _, test := range []struct {
			at   time.Time
			want time.Duration
		}{
			{now, time.Minute},
			{now.Add(time.Second), 61 * time.Second},
			{now.Round(0), time.Minute},
			{now.Round(0).Add(-time.Second), 59 * time.Second},
			{now.Add(-time.Hour), 0},
			{now.Round(0).Add(-time.Hour), 0},
			{time.Time{}, 0},
			{time.Unix(math.MinInt64, 0), 0},
			{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), math.MaxInt64},
			{now.Round(0).Add(math.MaxInt64), math.MaxInt64},
			{now.Add(math.MaxInt64).Add(math.MaxInt64), math.MaxInt64},
		} {
			assert.Equal(t, test.want, time.Duration(c.reading(test.at)), "%v", test.at)
		}
	})
}
