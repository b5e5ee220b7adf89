package admin

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/observe"
)

// SeriesAnswer is the answer of GET /v1/series.
type SeriesAnswer struct {
	Now     time.Time `json:"now"`    // by the host's clock
	StepNS  Int       `json:"stepNS"` // the length of each point
	Since   time.Time `json:"since"`
	Columns []string  `json:"columns"` // the names of a point's numbers, in the same order
	Series  []Series  `json:"series"`
}

// Series has what has ended in each step of time, of a version of a function.
type Series struct {
	Function string  `json:"function"`          // empty: the sum over all functions that the viewer may see
	Version  string  `json:"version,omitempty"` // empty: the sum over all versions
	Points   [][]Int `json:"points"`            // the oldest first; a step in which nothing ended has no point
	// Run and Wait have the histograms of the points, if they were requested: [from, count] of
	// each bucket that is not empty, with from in nanoseconds.
	Run  [][][2]Int `json:"run,omitempty"`
	Wait [][][2]Int `json:"wait,omitempty"`
}

// pointColumns returns the names of a point's numbers.
func pointColumns() []string {
	columns := []string{"start"} // seconds since 1970
	for o := faas.OK; o <= faas.InitFailed; o++ {
		columns = append(columns, strings.ToLower(o.String()[:1])+o.String()[1:])
	}
	columns[1] = "ok"
	return append(columns, "cold", "refused", "bytesIn", "bytesOut",
		"waitP50NS", "waitP95NS", "waitP99NS", "runP50NS", "runP95NS", "runP99NS", "waitNS", "runNS")
}

func (p *point) row() []Int {
	row := []Int{Int(p.Start.Unix())}
	for _, n := range p.Outcomes {
		row = append(row, integer(n))
	}
	wait, run := timesOf(&p.Wait), timesOf(&p.Run)
	return append(row, integer(p.Cold), integer(p.Refused), integer(p.BytesIn), integer(p.BytesOut),
		wait.P50, wait.P95, wait.P99, run.P50, run.P95, run.P99, sumOf(&p.Wait), sumOf(&p.Run))
}

// sumOf returns the sum of all durations, in nanoseconds. Divided by the length of the step, it
// is the average number of calls at once (Little's law).
func sumOf(h *observe.Histogram) Int { return Int(h.Seconds() * float64(time.Second)) }

// integer converts a count of what has happened within a day, which always fits an Int.
func integer(n uint64) Int { return Int(n) }

// stepOf reads the parameter step.
func (x *exchange) stepOf() (observe.Step, error) {
	switch cmp.Or(x.param("step"), "1s") {
	case "1s":
		return observe.Second, nil
	case "10s":
		return observe.TenSeconds, nil
	case "1m":
		return observe.Minute, nil
	}
	return 0, badInput("The parameter step is 1s, 10s or 1m.")
}

// series returns the points of what the viewer may see: by version, by function, or all added
// up.
func (x *exchange) series() (any, error) {
	step, err := x.stepOf()
	if err != nil {
		return nil, err
	}
	since, err := x.time("since")
	if err != nil {
		return nil, err
	}
	by := cmp.Or(x.param("by"), "function")
	if by != "version" && by != "function" && by != "total" {
		return nil, badInput("The parameter by is version, function or total.")
	}
	buckets, err := x.flag("histograms")
	if err != nil {
		return nil, err
	}
	if x.has("function") {
		if err := x.needNumbers(x.param("function")); err != nil {
			return nil, err
		}
	}
	now := time.Now()
	if oldest := now.Add(-step.Kept()); since.Before(oldest) {
		since = oldest
	}
	out := SeriesAnswer{Now: now, StepNS: Int(step.Length()), Since: since, Columns: pointColumns(), Series: []Series{}}
	for _, s := range x.collect(step, since, by) {
		out.Series = append(out.Series, s.shown(buckets))
	}
	return out, nil
}

// sums has the points of a series, by their start.
type sums struct {
	key    [2]string
	points map[int64]*point
}

// collect adds up the recorder's points that the viewer may see.
func (x *exchange) collect(step observe.Step, since time.Time, by string) []*sums {
	all, seen := map[[2]string]*sums{}, map[string]bool{}
	only, version := nameOf(x.param("function"))
	for l := range x.h.recorder.Live(step, since) {
		if l.Function == "" || only != "" && l.Function != only || version != "" && l.Version != version || !x.isVisible(seen, l.Function) {
			continue
		}
		key := [2]string{l.Function, l.Version}
		switch by {
		case "function":
			key[1] = ""
		case "total":
			key = [2]string{}
		}
		s := all[key]
		if s == nil {
			s = &sums{key: key, points: map[int64]*point{}}
			all[key] = s
		}
		s.add(l.Points)
	}
	list := slices.Collect(maps.Values(all))
	slices.SortFunc(list, func(a, b *sums) int { return slices.Compare(a.key[:], b.key[:]) })
	return list
}

func (s *sums) add(points []observe.Point) {
	for i := range points {
		at := points[i].Start.Unix()
		p := s.points[at]
		if p == nil {
			p = &point{observe.Point{Start: points[i].Start}}
			s.points[at] = p
		}
		p.Merge(&points[i])
	}
}

func (s *sums) shown(buckets bool) Series {
	out := Series{Function: s.key[0], Version: s.key[1], Points: [][]Int{}}
	for _, at := range slices.Sorted(maps.Keys(s.points)) {
		p := s.points[at]
		out.Points = append(out.Points, p.row())
		if buckets {
			out.Run, out.Wait = append(out.Run, bucketsOf(&p.Run)), append(out.Wait, bucketsOf(&p.Wait))
		}
	}
	return out
}

func bucketsOf(h *observe.Histogram) [][2]Int {
	rows := [][2]Int{}
	for b := range h.Buckets() {
		rows = append(rows, [2]Int{Int(b.From), integer(b.Count)})
	}
	return rows
}
