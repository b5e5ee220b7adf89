package cost_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"
	_ "time/tzdata" // has the zones of the tests, on every machine

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/cost"
)

func zone(tb testing.TB, name string) *time.Location {
	tb.Helper()
	z, err := time.LoadLocation(name)
	require.NoError(tb, err)
	return z
}

func TestPeriodsFollowTheClocksOfTheirZone(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, zone, at, start, end string }{
		{"month", "UTC", "2026-02-28T23:59:59.999999999Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"month", "Europe/Berlin", "2026-03-15T12:00:00Z", "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00"},
		{"week", "UTC", "2026-03-15T12:00:00Z", "2026-03-09T00:00:00Z", "2026-03-16T00:00:00Z"}, // a Sunday
		{"week", "UTC", "2026-03-16T00:00:00Z", "2026-03-16T00:00:00Z", "2026-03-23T00:00:00Z"},
		{"week over the new year", "UTC", "2026-01-01T00:00:00Z", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"},
		{"day of 23 hours", "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"},
		{"day of 25 hours", "Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"},
		{"day without a midnight", "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"},
		{"day with two midnights", "America/Havana", "2025-11-02T12:00:00Z", "2025-11-02T00:00:00-04:00", "2025-11-03T00:00:00-05:00"},
		{"day before a skipped one", "Pacific/Apia", "2011-12-30T01:00:00-10:00", "2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"},
		{"hour", "Asia/Kolkata", "2026-03-15T12:00:00Z", "2026-03-15T17:00:00+05:30", "2026-03-15T18:00:00+05:30"},
		{"hour that occurs twice", "Europe/Berlin", "2026-10-25T02:30:00+01:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"},
		{"hour of the last day of a leap year", "Europe/Berlin", "2040-12-31T15:30:00+01:00", "2040-12-31T15:00:00+01:00", "2040-12-31T16:00:00+01:00"},
		{"hour in which the last UTC day of a leap year begins", "Australia/Adelaide", "2028-12-31T10:15:00+10:30", "2028-12-31T10:00:00+10:30", "2028-12-31T11:00:00+10:30"},
		{"hour in which a UTC year begins", "Australia/Adelaide", "2040-01-01T10:45:00+10:30", "2040-01-01T10:00:00+10:30", "2040-01-01T11:00:00+10:30"},
		{"hour cut by half an hour", "Australia/Lord_Howe", "2026-04-05T01:45:00+10:30", "2026-04-05T01:30:00+10:30", "2026-04-05T02:00:00+10:30"},
	}
	every := map[string]cost.Every{"m": cost.Month, "w": cost.Week, "d": cost.Day, "h": cost.Hour}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at, err := time.Parse(time.RFC3339Nano, tt.at)
			require.NoError(t, err)
			z := zone(t, tt.zone)
			if tt.name == "day before a skipped one" { // this day ends at the change itself
				at = at.Add(-2 * time.Hour)
			}
			p := cost.Calendar{Every: every[tt.name[:1]], Zone: z}.Period(at)
			assert.Equal(t, tt.start, p.Start.Format(time.RFC3339))
			assert.Equal(t, tt.end, p.End.Format(time.RFC3339))
			assert.True(t, p.Contains(at))
			assert.True(t, p.Contains(p.Start))
			assert.False(t, p.Contains(p.End))
		})
	}
}

// Every instant is in exactly one period: the period of an instant contains the instant, and
// the next period follows without a gap.
func TestPeriodsTileTime(t *testing.T) {
	t.Parallel()
	zones := []string{
		"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/Havana", "America/St_Johns", "Pacific/Apia",
		"Australia/Lord_Howe", "Asia/Kathmandu", "Atlantic/Azores", "Africa/Cairo", "Antarctica/Troll", "America/Scoresbysund",
	}
	rng := rand.New(rand.NewPCG(3, 4))
	from, to := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(2037, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	for _, name := range zones {
		z := zone(t, name)
		for range 1500 {
			at := time.Unix(from+rng.Int64N(to-from), rng.Int64N(1e9)).In(z)
			if _, change := at.ZoneBounds(); rng.IntN(2) == 0 && !change.IsZero() { // half of the instants are near a change of the clocks
				at = change.Add(time.Duration(rng.Int64N(int64(4*time.Hour))) - 2*time.Hour)
			}
			for _, every := range []cost.Every{cost.Month, cost.Week, cost.Day, cost.Hour} {
				c := cost.Calendar{Every: every, Zone: z}
				p := c.Period(at)
				require.True(t, p.Contains(at), "%s: %s in the %s %s", name, at, every, p)
				for _, inside := range []time.Time{p.Start, p.End.Add(-1)} {
					require.Equal(t, p, c.Period(inside), "%s: the %s of %s", name, every, inside)
				}
				require.True(t, c.Period(p.End).Start.Equal(p.End), "%s: after the %s %s", name, every, p)
				require.True(t, c.Period(p.Start.Add(-1)).End.Equal(p.Start), "%s: before the %s %s", name, every, p)
			}
		}
	}
}

// On the last UTC day of a leap year, ZoneBounds may return an end that is before the instant
// (golang/go#81583).
func TestPeriodsTileTheTurnOfAYear(t *testing.T) {
	t.Parallel()
	zones := []string{"Europe/Berlin", "America/New_York", "Australia/Adelaide", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Auckland", "Pacific/Chatham"}
	for _, name := range zones {
		z := zone(t, name)
		for _, year := range []int{2024, 2028, 2039, 2040, 2096, 2400} {
			start := time.Date(year, 12, 30, 0, 0, 0, 0, time.UTC)
			for at := start; at.Before(start.Add(96 * time.Hour)); at = at.Add(13 * time.Minute) {
				for _, every := range []cost.Every{cost.Month, cost.Week, cost.Day, cost.Hour} {
					c := cost.Calendar{Every: every, Zone: z}
					p := c.Period(at)
					require.True(t, p.Contains(at), "%s: %s in the %s %s", name, at, every, p)
					require.True(t, c.Period(p.End).Start.Equal(p.End), "%s: after the %s %s", name, every, p)
					if every == cost.Hour {
						require.Equal(t, time.Hour, p.End.Sub(p.Start), "%s: no clock is moved there: %s", name, p)
					}
				}
			}
		}
	}
}

// jumpingZone returns a zone that does not exist: its clocks are put back by five days.
func jumpingZone(tb testing.TB, at time.Time) *time.Location {
	tb.Helper()
	data := append([]byte("TZif"), make([]byte, 16)...)
	for _, n := range []uint32{0, 0, 0, 1, 2, 4, uint32(at.Unix())} {
		data = binary.BigEndian.AppendUint32(data, n)
	}
	data = append(data, 1) // the type after the change
	data = append(binary.BigEndian.AppendUint32(data, 5*24*3600), 0, 0)
	data = append(binary.BigEndian.AppendUint32(data, 0), 0, 0)
	z, err := time.LoadLocationFromTZData("Jumping", append(data, "JMP\x00"...))
	require.NoError(tb, err)
	return z
}

func TestZeroCalendarIsMonthsInUTC(t *testing.T) {
	t.Parallel()
	p := cost.Calendar{}.Period(time.Date(2026, 3, 31, 23, 30, 0, 0, time.FixedZone("", -3600)))
	assert.Equal(t, "2026-04-01T00:00:00Z to 2026-05-01T00:00:00Z", p.String())
	assert.Equal(t, "month week day hour Every(?)", cost.Month.String()+" "+cost.Week.String()+" "+cost.Day.String()+
		" "+cost.Hour.String()+" "+cost.Every(9).String())
}
