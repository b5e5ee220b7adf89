package window_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas/internal/window"
)

func TestMaxIsTheHighestOfTheLastSlotsAndOlderOnesStay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(1, 12).Draw(t, "slots")
		type version struct {
			max  window.Max
			want float64
		}
		versions := []version{{max: window.NewMax(slots)}}
		seen := map[int64]float64{}
		slot := rapid.Int64Range(-50, 50).Draw(t, "start")
		for range rapid.IntRange(1, 60).Draw(t, "records") {
			slot += rapid.SampledFrom([]int64{0, 0, 1, 1, 1, 2, 5, 20}).Draw(t, "skip")
			v := float64(rapid.IntRange(0, 9).Draw(t, "v"))
			seen[slot] = max(seen[slot], v)
			want := 0.0
			for i := range int64(slots) {
				want = max(want, seen[slot-i])
			}
			latest := versions[len(versions)-1]
			versions = append(versions, version{max: latest.max.With(slot, v), want: want})
		}
		for i, v := range versions { // no version has changed since it was made
			require.InDelta(t, v.want, v.max.Value(), 0, "version %d", i)
		}
	})
}

func TestTwoMayGoOnFromOneMax(t *testing.T) {
	t.Parallel()
	base := window.NewMax(3).With(1, 9).With(2, 5)
	a, b := base.With(3, 1), base.With(3, 2)
	require.InDelta(t, 1, a.With(5, 0).Value(), 0)
	require.InDelta(t, 2, b.With(5, 0).Value(), 0)
	require.InDelta(t, 5, base.With(4, 0).Value(), 0)
}

func TestAClockThatGoesBackDoesNotMakeItGrow(t *testing.T) {
	t.Parallel()
	m := window.NewMax(3)
	for i := range 100 {
		m = m.With(int64(-i), float64(100-i))
	}
	require.InDelta(t, 3, m.Value(), 0) // the highest of the last three
	require.Zero(t, window.Max{}.With(1, 5).Value(), "no slots, nothing to say")
}
