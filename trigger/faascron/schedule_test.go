package faascron_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas/trigger/faascron"
)

// change is a day on which the clock of a zone is set forward or back.
type change struct {
	zone string
	day  string
}

// changes has both changes of a year for more than ten zones. Among them are changes by half an
// hour and by two hours, at midnight, at one minute past midnight, for the month of Ramadan,
// and a day that was skipped.
var changes = []change{
	{"Europe/Berlin", "2026-03-29"},
	{"Europe/Berlin", "2026-10-25"},
	{"America/New_York", "2026-03-08"},
	{"America/New_York", "2026-11-01"},
	{"Australia/Lord_Howe", "2026-04-05"},
	{"Australia/Lord_Howe", "2026-10-04"},
	{"Africa/Casablanca", "2026-02-15"},
	{"Africa/Casablanca", "2026-03-22"},
	{"Pacific/Apia", "2011-12-30"},
	{"Pacific/Apia", "2011-09-24"},
	{"Pacific/Apia", "2012-04-01"},
	{"America/St_Johns", "2010-03-14"},
	{"America/St_Johns", "2010-11-07"},
	{"America/Sao_Paulo", "2017-10-15"},
	{"America/Sao_Paulo", "2018-02-18"},
	{"Africa/Cairo", "2026-04-24"},
	{"Africa/Cairo", "2026-10-30"},
	{"Antarctica/Troll", "2026-03-29"},
	{"Antarctica/Troll", "2026-10-25"},
	{"Pacific/Chatham", "2026-04-05"},
	{"Pacific/Chatham", "2026-09-27"},
	{"Europe/Dublin", "2026-03-29"},
	{"Europe/Dublin", "2026-10-25"},
	{"Asia/Tehran", "2021-03-22"},
	{"Asia/Tehran", "2021-09-22"},
}

// entry is an expression with its meaning, as a function that needs no parser.
type entry struct {
	expr     string
	matches  func(h, m, s int) bool
	wildcard bool
}

func entries() []entry {
	all := []entry{
		{"* * * * *", func(_, _, s int) bool { return s == 0 }, true},
		{"*/15 * * * *", func(_, m, s int) bool { return m%15 == 0 && s == 0 }, true},
		{"30 * * * *", func(_, m, s int) bool { return m == 30 && s == 0 }, true},
		{"*/20 2 * * *", func(h, m, s int) bool { return h == 2 && m%20 == 0 && s == 0 }, true},
		{"0,15,45 0,1,2,3 * * *", func(h, m, s int) bool { return h < 4 && (m == 0 || m == 15 || m == 45) && s == 0 }, false},
		{"10 30 1-3 * * *", func(h, m, s int) bool { return h >= 1 && h <= 3 && m == 30 && s == 10 }, false},
	}
	for _, h := range []int{0, 1, 2, 3, 6, 23} {
		for _, m := range []int{0, 1, 30, 45, 59} {
			all = append(all, entry{fmt.Sprintf("%d %d * * *", m, h), func(hh, mm, s int) bool { return hh == h && mm == m && s == 0 }, false})
		}
	}
	return all
}

// readings returns what the clock shows at each second of [begin, end), in seconds of a
// calendar without zones. It does not use offsets and transitions, so it can check code that
// does.
func readings(zone *time.Location, begin, end time.Time) (all []int64) {
	for at := begin; at.Before(end); at = at.Add(time.Second) {
		y, mo, d := at.In(zone).Date()
		h, m, s := at.In(zone).Clock()
		all = append(all, time.Date(y, mo, d, h, m, s, 0, time.UTC).Unix())
	}
	return all
}

// oracle returns the indexes in shown at which an entry fires. shown begins one second before
// the time that is checked.
func oracle(e entry, shown []int64, strict bool) (fires []int) {
	const most = 3 * 60 * 60 // seconds; a larger step is a new time
	match := func(r int64) bool { return e.matches(int(r/3600%24), int(r/60%60), int(r%60)) }
	latest := shown[0]
	for at := 1; at < len(shown); at++ {
		r := shown[at]
		skipped := r - latest - 1
		switch {
		case e.wildcard && !strict, strict && r > latest, skipped > most:
			if match(r) {
				fires = append(fires, at)
			}
		default:
			for reading := latest + 1; reading <= r; reading++ {
				if match(reading) {
					fires = append(fires, at)
					break
				}
			}
		}
		latest = max(latest, r)
	}
	return fires
}

func TestTheDaysAroundAChangeOfTheClockAreAsALookAtEverySecondSays(t *testing.T) {
	t.Parallel()
	for _, c := range changes {
		t.Run(c.zone+" "+c.day, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(c.zone)
			require.NoError(t, err)
			day, err := time.Parse(time.DateOnly, c.day)
			require.NoError(t, err)
			begin, end := day.Add(-30*time.Hour), day.Add(42*time.Hour)
			require.NotEqual(t, offset(begin, zone), offset(end, zone), "the clock is not changed")
			shown := readings(zone, begin.Add(-time.Second), end)
			for _, e := range entries() {
				for _, strict := range []bool{false, true} {
					w, err := faascron.NewWalk(e.expr, c.zone, strict, faascron.None, begin)
					require.NoError(t, err)
					var got []int
					for at := w.After(begin.Add(-time.Second)); at.Before(end); at = w.After(at) {
						got = append(got, int(at.Sub(begin)/time.Second)+1)
					}
					require.Equal(t, oracle(e, shown, strict), got, "%s, strictly %v", e.expr, strict)
				}
			}
		})
	}
}

func offset(t time.Time, zone *time.Location) int {
	_, seconds := t.In(zone).Zone()
	return seconds
}

func TestSixInTheMorningInBerlinIsOnceADayAllYear(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w, err := faascron.NewWalk("0 6 * * *", "Europe/Berlin", false, faascron.None, at)
	require.NoError(t, err)
	for day := range 365 {
		at = w.After(at)
		require.Equal(t, 6, at.Hour())
		require.Equal(t, day+1, at.YearDay())
	}
}

func TestTheDaysThatAnExpressionMeans(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string][]string{
		"0 0 29 2 *":       {"2028-02-29", "2032-02-29"},
		"0 0 31 * *":       {"2026-01-31", "2026-03-31"},
		"0 0 1 1 *":        {"2027-01-01", "2028-01-01"},
		"0 0 13 * 5":       {"2026-01-02", "2026-01-09"}, // days that match one of the fields
		"0 0 */2 * 5":      {"2026-01-09", "2026-01-23"}, // days that match both fields
		"0 0 * jan mon":    {"2026-01-05", "2026-01-12"},
		"0 0 L * *":        {"2026-01-31", "2026-02-28"},
		"0 0 15W * *":      {"2026-01-15", "2026-02-16"},
		"0 0 * * 5#2":      {"2026-01-09", "2026-02-13"},
		"0 0 * * 7":        {"2026-01-04", "2026-01-11"},
		"@monthly":         {"2026-02-01", "2026-03-01"},
		"0 0 0 1 1 * 2030": {"2030-01-01"},
		"@every 24h":       {"2026-01-02", "2026-01-03"},
		"0 0 1-3,30 1,3 *": {"2026-01-02", "2026-01-03", "2026-01-30", "2026-03-01"},
	} {
		at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
		w, err := faascron.NewWalk(expr, "", false, faascron.None, at)
		require.NoError(t, err, expr)
		for _, day := range want {
			at = w.After(at)
			require.Equal(t, day+"T00:00:00Z", at.Format(time.RFC3339), expr)
		}
	}
	w, err := faascron.NewWalk("0 0 0 1 1 * 2030", "", false, faascron.None, time.Time{})
	require.NoError(t, err)
	require.Zero(t, w.After(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)))
}

func TestEveryIsTheMultiplesSince1970(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(1, 1<<40).Draw(t, "ms")) % (1000 * time.Hour)
		d = max(d.Truncate(time.Millisecond), time.Millisecond)
		at := time.Unix(rapid.Int64Range(-1<<32, 1<<32).Draw(t, "at"), rapid.Int64Range(0, 999999999).Draw(t, "ns"))
		w, err := faascron.NewWalk("@every "+d.String(), "", false, faascron.None, at)
		require.NoError(t, err)
		next := w.After(at)
		require.True(t, next.After(at))
		require.LessOrEqual(t, next.Sub(at), d)
		require.Zero(t, next.UnixNano()%int64(d))
		require.Equal(t, d, w.After(next).Sub(next))
	})
}

func clock(day, hour, minute int) time.Time {
	return time.Date(2026, 5, day, hour, minute, 0, 0, time.UTC)
}

func TestClocksThatAreSetAndMachinesThatSleepAreSequencesOfWallTimes(t *testing.T) {
	t.Parallel()
	type look struct {
		wall time.Time
		want []faascron.Fired
	}
	fired := func(missed int, at ...time.Time) (all []faascron.Fired) {
		for _, t := range at {
			all = append(all, faascron.Fired{At: t, Missed: missed})
			missed = 0
		}
		return all
	}
	for name, c := range map[string]struct {
		expr    string
		catchUp faascron.Missed
		looks   []look
	}{
		"on time": {"0 6 * * *", faascron.None, []look{{clock(1, 5, 59), nil}, {clock(1, 6, 0), fired(0, clock(1, 6, 0))}, {clock(1, 6, 1), nil}}},
		"set back by minutes repeats nothing": {"0 6 * * *", faascron.None, []look{
			{clock(1, 6, 2), nil}, {clock(1, 5, 50), nil}, {clock(1, 6, 0), nil}, {clock(1, 6, 2), nil}, {clock(2, 6, 0), fired(0, clock(2, 6, 0))},
		}},
		"set back by three hours repeats nothing": {"0 * * * *", faascron.None, []look{
			{clock(1, 12, 0), nil}, {clock(1, 9, 0), nil}, {clock(1, 10, 0), nil}, {clock(1, 12, 0), nil}, {clock(1, 13, 0), fired(0, clock(1, 13, 0))},
		}},
		"set back by more is a new time": {"0 * * * *", faascron.None, []look{
			{clock(1, 12, 0), nil}, {clock(1, 8, 59), nil}, {clock(1, 9, 0), fired(0, clock(1, 9, 0))},
		}},
		"set back by a day is a new time": {"0 6 * * *", faascron.None, []look{
			{clock(2, 6, 0), nil}, {clock(1, 5, 59), nil}, {clock(1, 6, 0), fired(0, clock(1, 6, 0))},
		}},
		"set forward by minutes": {"0 6 * * *", faascron.None, []look{{clock(1, 5, 55), nil}, {clock(1, 6, 20), fired(0, clock(1, 6, 0))}}},
		"set forward by an hour": {"0 6 * * *", faascron.None, []look{{clock(1, 5, 30), nil}, {clock(1, 6, 30), fired(0, clock(1, 6, 0))}}},
		"set forward by an hour, with a wildcard": {"*/10 * * * *", faascron.None, []look{
			{clock(1, 5, 30), nil}, {clock(1, 6, 35), nil}, {clock(1, 6, 40), fired(6, clock(1, 6, 40))}, {clock(1, 6, 50), fired(0, clock(1, 6, 50))},
		}},
		"set forward by a day": {"0 6 * * *", faascron.None, []look{
			{clock(1, 5, 0), nil}, {clock(2, 12, 0), nil}, {clock(3, 6, 0), fired(2, clock(3, 6, 0))},
		}},
		"asleep for three days": {"0 6 * * *", faascron.None, []look{
			{clock(1, 7, 0), nil}, {clock(4, 7, 0), fired(2, clock(4, 6, 0))},
		}},
		"asleep for three days, last": {"0 * * * *", faascron.Last, []look{
			{clock(1, 7, 0), nil}, {clock(4, 7, 30), fired(71, clock(4, 7, 0))}, {clock(4, 7, 31), nil},
		}},
		"asleep for three days, three": {"0 6 * * *", faascron.All(2), []look{
			{clock(1, 7, 0), nil}, {clock(4, 20, 0), fired(1, clock(3, 6, 0), clock(4, 6, 0))}, {clock(5, 6, 0), fired(0, clock(5, 6, 0))},
		}},
		"more than are there": {"0 6 * * *", faascron.All(9), []look{{clock(1, 5, 0), nil}, {clock(2, 7, 0), fired(0, clock(1, 6, 0), clock(2, 6, 0))}}},
		"very many":           {"* * * * * *", faascron.Last, []look{{clock(1, 5, 0), nil}, {clock(20, 7, 0), fired(999, clock(20, 7, 0))}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := faascron.NewWalk(c.expr, "", false, c.catchUp, c.looks[0].wall)
			require.NoError(t, err)
			if c.looks[0].want == nil {
				c.looks = c.looks[1:]
			}
			for _, l := range c.looks {
				require.Equal(t, l.want, w.Look(l.wall), l.wall)
			}
		})
	}
}

// For any sequence of wall times: a time that was fired is not fired again, unless the clock
// was set back by more than three hours. Each time that the clock passes while it goes forward
// is fired or counted.
func TestNoWallClockMakesATimerRepeatItself(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		expr := rapid.SampledFrom([]string{"0 6 * * *", "*/10 * * * *", "30 2 * * *", "@every 7m", "0 1,2,3 * * *"}).Draw(t, "expression")
		zone := rapid.SampledFrom([]string{"", "Europe/Berlin", "Australia/Lord_Howe"}).Draw(t, "zone")
		catchUp := faascron.Missed(rapid.IntRange(0, 3).Draw(t, "catch up"))
		wall := time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC)
		w, err := faascron.NewWalk(expr, zone, false, catchUp, wall)
		require.NoError(t, err)
		latest, fired := wall, time.Time{}
		passed, told, pending := 0, 0, 0
		for _, step := range rapid.SliceOfN(rapid.IntRange(-180, 600), 1, 60).Draw(t, "minutes") {
			wall = wall.Add(time.Duration(step) * time.Minute)
			if latest.Sub(wall) > 3*time.Hour {
				return // a new time holds after a larger step
			}
			for at := w.After(latest); !at.After(wall); at = w.After(at) {
				passed++
			}
			for _, f := range w.Look(wall) {
				require.True(t, f.At.After(fired), "%v after %v", f.At, fired)
				require.False(t, f.At.After(wall))
				fired = f.At
				told += 1 + f.Missed
				pending = passed
			}
			if wall.After(latest) {
				latest = wall
			}
		}
		require.Equal(t, pending, told)
	})
}

func TestExpressionsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for _, expr := range []string{"", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "x * * * *", "*/0 * * * *", "@every", "@every x", "@every -1s", "@every 1us", "@reboot", "0,60 * * * *", "5-1 * * * *", "0 0 1 1 * 0 0 0"} {
		_, err := faascron.NewWalk(expr, "", false, faascron.None, time.Time{})
		require.Error(t, err, expr)
	}
	_, err := faascron.NewWalk("0 6 * * *", "Europe/Atlantis", false, faascron.None, time.Time{})
	require.ErrorContains(t, err, "Atlantis")
}

// FuzzExpression looks for an expression that panics or hangs, or whose next time is not later
// than the time before.
func FuzzExpression(f *testing.F) {
	for _, seed := range []string{"0 6 * * *", "*/5 1-3,7 L * 5#2", "@every 90s", "0 0 30 2 *", "10 0 0 15W 1 ? 2030", "@daily"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		at := time.Date(2026, 3, 28, 23, 59, 59, 7, time.UTC)
		w, err := faascron.NewWalk(expr, "Europe/Berlin", len(expr)%2 == 0, faascron.None, at)
		if err != nil {
			return
		}
		for range 5 {
			next := w.After(at)
			if next.IsZero() {
				return
			}
			require.True(t, next.After(at))
			at = next
		}
	})
}
