package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"github.com/inproc/faas/admin"
)

func (a *app) topCommand() *cobra.Command {
	by := "calls"
	cmd := &cobra.Command{
		Use: "top", Short: "Watch the functions, drawn anew each second", Args: between(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Watch the functions, drawn anew each second, until Ctrl-C. Without a terminal, or with -o, they are printed once.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if orders()[by] == nil {
				return usagef("--sort is one of %s", strings.Join(sortedKeys(orders()), ", "))
			}
			c, err := a.host()
			if err != nil {
				return err
			}
			host, err := get[admin.Host](cmd.Context(), c, path("host"), nil)
			if err != nil {
				return err
			}
			w := &watch{name: host.Name, by: by}
			if _, _, ok := a.size(); ok && a.text() {
				return a.live(cmd.Context(), c, w)
			}
			return a.once(cmd.Context(), c, w)
		},
	}
	cmd.Flags().StringVar(&by, "sort", by, "by which `column`: "+strings.Join(sortedKeys(orders()), ", "))
	choices(cmd, "sort", sortedKeys(orders())...)
	return cmd
}

// rates has the load of a function, as top shows it.
type rates struct {
	Function       string    `json:"function"`
	State          string    `json:"state"`
	CallsPerSecond float64   `json:"callsPerSecond"`
	FailsPerSecond float64   `json:"failuresPerSecond"`
	RefusedPerSec  float64   `json:"refusedPerSecond"`
	InFlight       admin.Int `json:"inFlight"`
	Queued         admin.Int `json:"queued"`
	Limit          admin.Int `json:"limit"` // -1: no limit
	Instances      admin.Int `json:"instances"`
	JobsWaiting    admin.Int `json:"jobsWaiting"`
	JobsDead       admin.Int `json:"jobsDead"`
	RunP50NS       admin.Int `json:"runP50NS"`
	RunP99NS       admin.Int `json:"runP99NS"`
}

// report is what top prints at one moment.
type report struct {
	Now       time.Time  `json:"now"`
	Capacity  *admin.Int `json:"capacity"`
	Functions []rates    `json:"functions"`
	Total     rates      `json:"total"`
}

// orders returns the orders by which functions may be sorted.
func orders() map[string]func(x, y rates) int {
	return map[string]func(x, y rates) int{
		"name":    func(rates, rates) int { return 0 },
		"calls":   func(x, y rates) int { return cmp.Compare(y.CallsPerSecond, x.CallsPerSecond) },
		"failed":  func(x, y rates) int { return cmp.Compare(y.FailsPerSecond, x.FailsPerSecond) },
		"running": func(x, y rates) int { return cmp.Compare(y.InFlight, x.InFlight) },
		"queued":  func(x, y rates) int { return cmp.Compare(y.Queued, x.Queued) },
		"p99":     func(x, y rates) int { return cmp.Compare(y.RunP99NS, x.RunP99NS) },
	}
}

const (
	rateTime      = 5 * time.Second        // the time over which rates are computed
	leastRateTime = 900 * time.Millisecond // the least such time; less than a second, since frames may come a little early
)

// watch has the state of the host, as its frames describe it.
type watch struct {
	name, by string
	mu       sync.Mutex // guards what follows
	epoch    string
	columns  map[string]int
	states   []string
	capacity *admin.Int
	past     []scene // the oldest first; the last one is the present
	lost     error   // why there is no connection; nil: there is one
}

// scene is the state after a frame. It never changes.
type scene struct {
	now    time.Time
	rows   map[string][]admin.Int
	totals []admin.Int
}

// apply adds a frame. It returns the time over which rates can be computed.
func (w *watch) apply(f *admin.Frame) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost = nil
	if f.Full || f.Epoch != w.epoch {
		w.begin(f)
	}
	next := scene{now: f.Now, rows: map[string][]admin.Int{}, totals: f.Totals}
	if n := len(w.past); n > 0 {
		maps.Copy(next.rows, w.past[n-1].rows)
		if next.totals == nil {
			next.totals = w.past[n-1].totals
		}
	}
	for _, name := range f.Gone { // before the copy, since a function may have been removed and registered again
		delete(next.rows, name)
	}
	maps.Copy(next.rows, f.Functions)
	w.capacity = f.Capacity
	w.past = append(w.past, next)
	for len(w.past) > 2 && f.Now.Sub(w.past[0].now) > rateTime {
		w.past = w.past[1:]
	}
	return f.Now.Sub(w.past[0].now)
}

// begin drops the state, because the host was restarted or the viewer's rights have changed.
func (w *watch) begin(f *admin.Frame) {
	w.past, w.epoch, w.states, w.columns = nil, f.Epoch, f.States, map[string]int{}
	for i, name := range f.Columns {
		w.columns[name] = i
	}
}

// lose notes why there is no connection.
func (w *watch) lose(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost = err
}

// report returns the present state.
func (w *watch) report() (report, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := report{Functions: []rates{}, Capacity: w.capacity}
	if len(w.past) == 0 {
		return r, w.lost
	}
	first, last := w.past[0], w.past[len(w.past)-1]
	r.Now = last.now
	elapsed := last.now.Sub(first.now).Seconds()
	for _, name := range sortedKeys(last.rows) {
		r.Functions = append(r.Functions, w.rates(name, first.rows[name], last.rows[name], elapsed))
	}
	r.Total = w.rates("all", first.totals, last.totals, elapsed)
	r.Total.State = ""
	slices.SortStableFunc(r.Functions, orders()[w.by])
	return r, w.lost
}

// rates computes the rates between two rows of a function. They are zero for a new function.
func (w *watch) rates(name string, before, row []admin.Int, elapsed float64) rates {
	at := func(row []admin.Int, column string) admin.Int {
		if i, ok := w.columns[column]; ok && i < len(row) {
			return row[i]
		}
		return 0
	}
	rate := func(column string) float64 {
		if elapsed <= 0 || before == nil {
			return 0
		}
		return max(0, float64(at(row, column)-at(before, column))/elapsed)
	}
	r := rates{
		Function: name, CallsPerSecond: rate("calls"), FailsPerSecond: rate("failures"), RefusedPerSec: rate("refused"),
		InFlight: at(row, "inFlight"), Queued: at(row, "queued"), Limit: at(row, "limit"), Instances: at(row, "instances"),
		JobsWaiting: at(row, "jobsWaiting"), JobsDead: at(row, "jobsDead"), RunP50NS: at(row, "runP50NS"), RunP99NS: at(row, "runP99NS"),
	}
	if i := int(at(row, "state")); i >= 0 && i < len(w.states) {
		r.State = w.states[i]
	}
	return r
}

func topColumns() []column[rates] {
	return []column[rates]{
		{title: "FUNCTION", field: "function", flex: true, text: func(r rates) string { return r.Function }},
		{title: "STATE", field: "state", text: func(r rates) string { return r.State }, tone: func(r rates) tone { return stateTone(r.State) }},
		perSecond("CALLS/S", "callsPerSecond", 0, func(r rates) float64 { return r.CallsPerSecond }, plain),
		perSecond("FAILED/S", "failuresPerSecond", 0, func(r rates) float64 { return r.FailsPerSecond }, bad),
		perSecond("REFUSED/S", "refusedPerSecond", 3, func(r rates) float64 { return r.RefusedPerSec }, warn),
		now("RUNNING", "inFlight", 0, func(r rates) admin.Int { return r.InFlight }),
		now("QUEUED", "queued", 0, func(r rates) admin.Int { return r.Queued }),
		{title: "LIMIT", field: "limit", right: true, drop: 4, text: func(r rates) string { return topLimit(r.Limit) }, raw: func(r rates) string { return fmt.Sprint(r.Limit) }},
		now("INSTANCES", "instances", 5, func(r rates) admin.Int { return r.Instances }),
		now("JOBS", "jobsWaiting", 6, func(r rates) admin.Int { return r.JobsWaiting }),
		now("DEAD", "jobsDead", 6, func(r rates) admin.Int { return r.JobsDead }),
		timed("P50", "runP50NS", 2, func(r rates) admin.Int { return r.RunP50NS }),
		timed("P99", "runP99NS", 0, func(r rates) admin.Int { return r.RunP99NS }),
	}
}

// now returns a column of a number of the present moment.
func now(title, field string, drop int, of func(rates) admin.Int) column[rates] {
	return column[rates]{
		title: title, field: field, right: true, drop: drop,
		text: func(r rates) string { return count(of(r)) }, raw: func(r rates) string { return fmt.Sprint(of(r)) },
	}
}

func perSecond(title, field string, drop int, of func(rates) float64, t tone) column[rates] {
	return column[rates]{
		title: title, field: field, right: true, drop: drop,
		text: func(r rates) string { return digits(of(r)) }, raw: func(r rates) string { return fmt.Sprint(of(r)) },
		tone: func(r rates) tone {
			if of(r) == 0 {
				return plain
			}
			return t
		},
	}
}

func topLimit(n admin.Int) string {
	if n < 0 {
		return "–"
	}
	return limit(&n)
}

// frames returns a stream of the host's frames. It calls each after each frame.
func (a *app) frames(c *client, w *watch, each func(elapsed time.Duration) error) *stream {
	return &stream{
		c: c, path: path("events"), sleep: a.sleep, lost: w.lose, quiet: 15 * time.Second,
		event: func(e event) error {
			var f admin.Frame
			if err := json.Unmarshal([]byte(e.data), &f); err != nil {
				return failedf("a frame of the host can't be read: %v", err)
			}
			return each(w.apply(&f))
		},
	}
}

var errEnough = errors.New("that is enough")

// once prints the state of one moment, with rates over about a second.
func (a *app) once(ctx context.Context, c *client, w *watch) error {
	err := a.frames(c, w, func(elapsed time.Duration) error {
		if elapsed < leastRateTime {
			return nil
		}
		return errEnough
	}).follow(ctx)
	if !errors.Is(err, errEnough) {
		return errors.Join(err, ctx.Err())
	}
	r, _ := w.report()
	if !a.text() {
		return list(a, r, r.Functions, topColumns(), "")
	}
	return a.print(w.draw(&r, nil, a.width(), 0, false)...)
}

const (
	enter = ansi.SetModeAltScreenSaveCursor + ansi.HideCursor
	leave = ansi.ShowCursor + ansi.ResetModeAltScreenSaveCursor
)

// live draws the state until ctx ends. Another goroutine reads the stream; this one draws.
func (a *app) live(ctx context.Context, c *client, w *watch) error {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- a.frames(c, w, func(time.Duration) error { return nil }).follow(ctx)
	}()
	fmt.Fprint(a.out, enter)
	for more := true; more; more = a.sleep(ctx, time.Second) {
		width, height, _ := a.size()
		r, lost := w.report()
		fmt.Fprint(a.out, screen(w.draw(&r, lost, width, height, a.colors())))
	}
	cancel()
	fmt.Fprint(a.out, leave)
	return <-ended
}

// screen returns lines that are drawn from the upper left corner, over the earlier ones.
func screen(lines []string) string {
	return ansi.CursorHomePosition + strings.Join(lines, ansi.EraseLineRight+"\n") + ansi.EraseLineRight + ansi.EraseScreenBelow
}

// draw lays out the lines of the screen. A height of 0 has room for all.
func (w *watch) draw(r *report, lost error, width, height int, colors bool) []string {
	columns := topColumns()
	rows := r.Functions
	if room := height - 4; height > 0 && len(rows) > room {
		rows = rows[:max(room, 0)]
	}
	items := append(slices.Clone(rows), r.Total)
	table := layOut(columns, items, width).lines(items, colors)
	out := append([]string{w.headline(r, lost, width), ""}, table...)
	if height > 0 && len(out) > height {
		out = out[:height]
	}
	return out
}

// headline returns the first line: the host's name and state.
func (w *watch) headline(r *report, lost error, width int) string {
	text := w.name
	switch {
	case lost != nil:
		text += "  no connection: " + lost.Error()
	case r.Now.IsZero():
		text += "  connecting"
	default:
		text += "  " + r.Now.UTC().Format("15:04:05 UTC") + "  " + plural(admin.Count(len(r.Functions)), "function", "functions")
		if r.Capacity != nil {
			text += "  " + count(r.Total.InFlight) + " of " + count(*r.Capacity) + " running"
		}
	}
	text = strings.TrimSpace(printable(text))
	if width > 0 {
		text = ansi.Truncate(text, width, "…")
	}
	return text
}
