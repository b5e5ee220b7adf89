package admin

import (
	"encoding/json"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/inproc/faas/observe"
)

// Frame is an event of GET /v1/events: what has changed since the frame before. There is one
// each second. If a reader is slow, several are merged into one.
type Frame struct {
	Rev   Count     `json:"rev"`   // higher in each frame
	Epoch string    `json:"epoch"` // different after each start of the host
	Now   time.Time `json:"now"`   // of the host's clock
	// Full: the frame has all functions that the viewer may see, and replaces everything that
	// the reader has. It is set in the first frame, unless the stream is resumed and its viewer
	// sees the same functions as before. It is also set when the viewer's rights have changed.
	Full bool `json:"full,omitempty"`
	// Columns and States are only in full frames. Columns has the names of the numbers in a row,
	// in the same order. States has the names of the states; the column state is an index into
	// it.
	Columns []string `json:"columns,omitempty"`
	States  []string `json:"states,omitempty"`
	// Functions has the rows of the functions that have changed, by name.
	Functions map[string][]Int `json:"functions,omitempty"`
	Gone      []string         `json:"gone,omitempty"`   // functions that were removed; these are not in Functions
	Totals    []Int            `json:"totals,omitempty"` // a row with the sums over all functions that the viewer sees, if one of them has changed or was removed
	Capacity  *Int             `json:"capacity,omitempty"`
}

// The columns of a row. The columns from calls to cold count what has ended since some moment
// before the first frame, so that only their differences have a meaning. The percentiles are of
// what has ended within the last 10 to 20 seconds. The last four columns count what has ended
// within the last minute, as Window does, for a reader that has no differences yet. In a host
// with more than a hundred functions, a row that changes only because time has passed may come
// up to ten seconds later, so that not all rows are in the same frame.
const (
	colState = iota
	colInFlight
	colQueued
	colLimit
	colInstances
	colReady
	colRunaways
	colCalls
	colFailures
	colRefused
	colCold
	colJobsWaiting
	colJobsRunning
	colJobsDead
	colTimes                 // the first of six
	colMinute = colTimes + 6 // the first of four
	columns   = colMinute + 4
)

func frameColumns() []string {
	return []string{
		"state", "inFlight", "queued", "limit", "instances", "ready", "runaways", "calls", "failures", "refused", "cold",
		"jobsWaiting", "jobsRunning", "jobsDead", "waitP50NS", "waitP95NS", "waitP99NS", "runP50NS", "runP95NS", "runP99NS",
		"minuteCalls", "minuteFailures", "minuteRefused", "minuteCold",
	}
}

// states returns the names of the states, by their number in a row. In the column limit, -1
// means no limit.
func states() []string {
	return []string{StateWell, StateIdle, StateFailing, StateRefusing, StateStuck, StateOff}
}

// row has the numbers of a function.
type row [columns]Int

// entry is a function's state in a scene. It never changes.
type entry struct {
	name      string
	rev       Count // the revision of the scene in which it was made
	row       row
	wait, run observe.Histogram
	json      []byte // the row as JSON: "name":[…]
}

// encode makes e.json. name is the name as JSON, followed by a colon.
func (e *entry) encode(name []byte) {
	e.json = e.row.append(append(make([]byte, 0, len(name)+96), name...))
}

// append appends the row as JSON.
func (r *row) append(out []byte) []byte {
	for i, n := range r {
		out = append(out, ",["[btoi(i == 0)])
		if n > exact || n < -exact {
			out = append(strconv.AppendInt(append(out, '"'), int64(n), 10), '"')
		} else {
			out = strconv.AppendInt(out, int64(n), 10)
		}
	}
	return append(out, ']')
}

func btoi(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// setTimes sets the percentiles.
func (r *row) setTimes(wait, run *observe.Histogram) {
	for i, h := range []*observe.Histogram{wait, run} {
		t := timesOf(h)
		copy(r[colTimes+3*i:], []Int{t.P50, t.P95, t.P99})
	}
}

// scene is the state of all functions at one second, sorted by name. Only its cache of frames
// changes.
type scene struct {
	*roster

	rev      Count
	now      time.Time
	entries  []*entry // in the order of the roster's names
	capacity Int

	mu     sync.Mutex          // guards what follows
	events map[eventKey][]byte // frames that have been made; empty after the last viewer has left
}

// eventKey is what distinguishes the frames of a scene.
type eventKey struct {
	view  *view
	since Count // the revision of the reader's last frame; 0: the reader gets a full one
}

// event returns the frame for readers who have this view, and whose last frame has the revision
// since. It is encoded as an event of the stream. Viewers with the same view share it.
func (s *scene) event(epoch string, v *view, since Count) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := eventKey{v, since}
	event := s.events[key]
	if event == nil {
		if s.events == nil {
			s.events = map[eventKey][]byte{}
		}
		d := draft{scene: s, view: v, epoch: epoch, since: since}
		event = d.event()
		s.events[key] = event
	}
	return event
}

// release drops the cached frames, when no stream is left to use them. The scene itself stays.
func (s *scene) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = nil
}

// draft is a frame that is being made for a view.
type draft struct {
	*scene

	view  *view
	epoch string
	since Count
}

func (d *draft) isFull() bool { return d.since == 0 }

// event encodes the frame. The rows were encoded once, for all views.
func (d *draft) event() []byte {
	b := make([]byte, 0, 4<<10)
	b = append(append(append(b, "id: "...), d.epoch...), '.')
	b = append(strconv.AppendUint(b, uint64(d.rev), 10), '.')
	b = append(append(b, d.view.digest...), "\nevent: frame\ndata: "...)
	b = d.appendHead(b)
	b, rows := d.appendRows(b)
	names := d.goneNames()
	if len(names) > 0 {
		b = appendField(b, "gone", names)
	}
	if d.isFull() || rows || len(names) > 0 {
		sum := d.totals()
		b = sum.append(append(b, `,"totals":`...))
	}
	if d.view.host {
		b = appendField(b, "capacity", d.capacity)
	}
	return append(b, "}\n\n"...)
}

func (d *draft) appendHead(b []byte) []byte {
	b = strconv.AppendUint(append(b, `{"rev":`...), uint64(d.rev), 10)
	b = strconv.AppendQuote(append(b, `,"epoch":`...), d.epoch)
	b = append(d.now.UTC().AppendFormat(append(b, `,"now":"`...), time.RFC3339Nano), '"')
	if d.isFull() {
		b = append(b, `,"full":true`...)
		b = appendField(b, "columns", frameColumns())
		b = appendField(b, "states", states())
	}
	return b
}

// appendRows appends the rows that have changed and are visible, and reports whether there is
// one.
func (d *draft) appendRows(b []byte) (_ []byte, some bool) {
	begun := len(b)
	b = append(b, `,"functions":{`...)
	for i, e := range d.entries {
		if e.rev > d.since && d.view.names[i] {
			if some {
				b = append(b, ',')
			}
			b, some = append(b, e.json...), true
		}
	}
	if !some && !d.isFull() {
		return b[:begun], false
	}
	return append(b, '}'), some
}

// goneNames returns the functions that were removed since the reader's last frame, and that the
// viewer was allowed to see.
func (d *draft) goneNames() (names []string) {
	if d.isFull() {
		return nil
	}
	for i, g := range d.gone {
		if g.rev > d.since && d.view.gone[i] {
			names = append(names, g.name)
		}
	}
	return names
}

// totals returns the sums over the visible functions. There is no sum of limits.
func (d *draft) totals() row {
	var sum row
	for e := range d.seen() {
		for i, n := range e.row {
			sum[i] += n // setTimes below replaces the percentiles
		}
	}
	var wait, run observe.Histogram
	wait.MergeAll(d.durations(func(e *entry) *observe.Histogram { return &e.wait }))
	run.MergeAll(d.durations(func(e *entry) *observe.Histogram { return &e.run }))
	sum[colState], sum[colLimit] = 0, -1
	sum.setTimes(&wait, &run)
	return sum
}

// seen yields the entries that the viewer may see.
func (d *draft) seen() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for i, e := range d.entries {
			if d.view.names[i] && !yield(e) {
				return
			}
		}
	}
}

func (d *draft) durations(of func(*entry) *observe.Histogram) iter.Seq[*observe.Histogram] {
	return func(yield func(*observe.Histogram) bool) {
		for e := range d.seen() {
			if !yield(of(e)) {
				return
			}
		}
	}
}

// appendField appends a field of texts and numbers, whose encoding can't fail.
func appendField(b []byte, name string, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		return b
	}
	return append(append(append(append(b, `,"`...), name...), `":`...), data...)
}
