package admin

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/inproc/faas/observe"
)

// Frame is an event of GET /v1/events: what has changed since the one before. There is one each second;
// those that a slow reader has not taken are merged into the next.
type Frame struct {
	Rev   Count     `json:"rev"`   // goes up with each frame; with the epoch it is the event's id, from which a stream is resumed
	Epoch string    `json:"epoch"` // another one after each start of the host
	Now   time.Time `json:"now"`   // of the host's clock
	// Full: it has all functions that the viewer sees; what the reader has is out of date. It is set
	// in the first frame, unless a stream is resumed, and when the viewer's rights have changed.
	Full bool `json:"full,omitempty"`
	// Columns and States are in full frames only: what the numbers of a row are, in this order,
	// and the states by the number in the column state.
	Columns []string `json:"columns,omitempty"`
	States  []string `json:"states,omitempty"`
	// Functions are the rows of the functions that have changed, by name.
	Functions map[string][]Int `json:"functions,omitempty"`
	Gone      []string         `json:"gone,omitempty"`   // functions that were removed
	Totals    []Int            `json:"totals,omitempty"` // the row of all functions that the viewer sees, in frames with functions
	Capacity  *Int             `json:"capacity,omitempty"`
}

// The columns of a row. From calls to cold they count what has ended since some moment
// before the first frame: only their differences mean something. The percentiles are of what
// has ended within the last 10 to 20 seconds. The last four count what has ended within the last
// minute, as Window does: a reader that has just come has no differences yet.
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
	colTimes                 // six of them
	colMinute = colTimes + 6 // four of them
	columns   = colMinute + 4
)

func frameColumns() []string {
	return []string{
		"state", "inFlight", "queued", "limit", "instances", "ready", "runaways", "calls", "failures", "refused", "cold",
		"jobsWaiting", "jobsRunning", "jobsDead", "waitP50NS", "waitP95NS", "waitP99NS", "runP50NS", "runP95NS", "runP99NS",
		"minuteCalls", "minuteFailures", "minuteRefused", "minuteCold",
	}
}

// states are the states by their number in a row. A limit of -1 in a row is none.
func states() []string {
	return []string{StateWell, StateIdle, StateFailing, StateRefusing, StateStuck, StateOff}
}

// row is a function's numbers.
type row [columns]Int

// entry is a function as the streams have it. It is constant.
type entry struct {
	name      string
	rev       Count // when it has changed last
	row       row
	wait, run observe.Histogram
	json      []byte // "name":[…]
}

func (e *entry) encode() {
	name, err := json.Marshal(e.name)
	if err != nil { // it is a string
		return
	}
	e.json = append(append(name, ':'), e.row.encode()...)
}

func (r *row) encode() []byte {
	out := make([]byte, 0, 64)
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

// gone is a function that was removed.
type gone struct {
	name string
	rev  Count
}

// scene is what there is at one tick: all functions, by name. It is constant, but for the frames
// that were made of it.
type scene struct {
	rev      Count
	now      time.Time
	entries  []*entry
	gone     []gone
	oldest   Count // since when gone is complete
	capacity Int

	mu     sync.Mutex // guards what follows
	frames map[frameKey][]byte
}

// frameKey is what the frames of viewers who see all functions differ by.
type frameKey struct {
	since Count
	host  bool
}

// totals adds up the functions that are seen. A limit has no sum.
func (s *scene) totals(seen func(name string) bool) row {
	var sum row
	var wait, run observe.Histogram
	for _, e := range s.entries {
		if !seen(e.name) {
			continue
		}
		for i, n := range e.row {
			sum[i] += n // the percentiles are set below
		}
		wait.Merge(&e.wait)
		run.Merge(&e.run)
	}
	sum[colState], sum[colLimit] = 0, -1
	sum.setTimes(&wait, &run)
	return sum
}

// draft is a frame that is made for a viewer.
type draft struct {
	*scene

	epoch string
	since Count // the frame that the reader has; 0: none
	full  bool
	seen  func(name string) bool
	host  bool // the viewer sees the host
}

// encode returns the frame as JSON. Viewers who see all functions share it.
func (d *draft) encode() []byte {
	if d.full || slices.ContainsFunc(d.entries, func(e *entry) bool { return !d.seen(e.name) }) ||
		slices.ContainsFunc(d.gone, func(g gone) bool { return !d.seen(g.name) }) {
		return d.make()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := frameKey{d.since, d.host}
	data := d.frames[key]
	if data == nil {
		if d.frames == nil {
			d.frames = map[frameKey][]byte{}
		}
		data = d.make()
		d.frames[key] = data
	}
	return data
}

// make writes the frame. The rows are encoded already, once for all viewers.
func (d *draft) make() []byte {
	var b bytes.Buffer
	d.writeHead(&b)
	rows := d.writeRows(&b)
	if names := d.goneNames(); len(names) > 0 {
		writeField(&b, "gone", names)
	}
	if d.full || rows {
		sum := d.totals(d.seen)
		b.WriteString(`,"totals":`)
		b.Write(sum.encode())
	}
	if d.host {
		writeField(&b, "capacity", d.capacity)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func (d *draft) writeHead(b *bytes.Buffer) {
	b.WriteString(`{"rev":` + strconv.FormatUint(uint64(d.rev), 10) + `,"epoch":` + strconv.Quote(d.epoch) + `,"now":"` + d.now.UTC().Format(time.RFC3339Nano) + `"`)
	if d.full {
		b.WriteString(`,"full":true`)
		writeField(b, "columns", frameColumns())
		writeField(b, "states", states())
	}
}

// writeRows reports whether there is any.
func (d *draft) writeRows(b *bytes.Buffer) (some bool) {
	sep := `,"functions":{`
	for _, e := range d.entries {
		if (d.full || e.rev > d.since) && d.seen(e.name) {
			b.WriteString(sep)
			b.Write(e.json)
			sep, some = ",", true
		}
	}
	if some || d.full {
		b.WriteString(strings.TrimSuffix(sep, ",") + "}")
	}
	return some
}

// goneNames are the functions that were removed since the reader's frame, and that the viewer
// saw.
func (d *draft) goneNames() (names []string) {
	if d.full {
		return nil
	}
	for _, g := range d.gone {
		if g.rev > d.since && d.seen(g.name) && !slices.Contains(names, g.name) {
			names = append(names, g.name)
		}
	}
	return names
}

func writeField(b *bytes.Buffer, name string, v any) {
	data, err := json.Marshal(v)
	if err != nil { // texts and numbers
		return
	}
	b.WriteString(`,"` + name + `":`)
	b.Write(data)
}
