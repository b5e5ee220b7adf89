package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
)

// client is the reader of a stream. It is also the http.ResponseWriter of the answer.
type client struct {
	header http.Header
	leave  context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex
	status int
	data   bytes.Buffer
	slow   chan struct{} // each Write waits for a value; nil: no Write waits
}

func (c *client) Header() http.Header { return c.header }

func (c *client) WriteHeader(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

func (c *client) Write(p []byte) (int, error) {
	if c.slow != nil {
		<-c.slow
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.data.Write(p)
}

// event is an event of a stream.
type event struct{ id, name, data string }

// take returns the events since the last take.
func (c *client) take() (events []event) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for block := range strings.SplitSeq(c.data.String(), "\n\n") {
		e := event{}
		for line := range strings.SplitSeq(block, "\n") {
			switch key, value, _ := strings.Cut(line, ": "); key {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				e.data = value
			}
		}
		if e != (event{}) {
			events = append(events, e)
		}
	}
	c.data.Reset()
	return events
}

// frames decodes the events as frames.
func (c *client) frames(t *testing.T) (frames []admin.Frame, last string) {
	t.Helper()
	for _, e := range c.take() {
		var f admin.Frame
		dec := json.NewDecoder(strings.NewReader(e.data))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(&f), e.data)
		frames, last = append(frames, f), e.id
	}
	return frames, last
}

// open opens a stream. It sends resume as Last-Event-ID if that is not empty.
func (w *world) open(who access.Principal, path, resume string) *client {
	r := w.request(who, http.MethodGet, path, "")
	if resume != "" {
		r.Header.Set("Last-Event-ID", resume)
	}
	ctx, cancel := context.WithCancel(r.Context())
	c := &client{header: http.Header{}, leave: cancel, ended: make(chan struct{})}
	w.serve(c, r.WithContext(ctx))
	return c
}

func (w *world) serve(c *client, r *http.Request) {
	go func() {
		defer close(c.ended)
		w.api.ServeHTTP(c, r)
	}()
}

// close ends the stream.
func (c *client) close() {
	c.leave()
	<-c.ended
}

// offBeat waits until half a second after a frame. What follows then happens between two
// frames, so that its order is known.
func offBeat() { time.Sleep(500 * time.Millisecond) }

// column returns a number of a row by the name of its column.
func column(t *testing.T, columns []string, row []admin.Int, name string) admin.Int {
	t.Helper()
	i := slices.Index(columns, name)
	require.GreaterOrEqual(t, i, 0, name)
	require.Len(t, row, len(columns))
	return row[i]
}

func TestAStreamHasAFrameEachSecondOfWhatHasChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		offBeat()
		c := w.open(root, "/v1/events", "")
		defer c.close()
		frames, _ := c.frames(t)
		require.Len(t, frames, 1)
		first := frames[0]
		assert.True(t, first.Full)
		assert.Len(t, first.Functions, 2)
		assert.Equal(t, "no-store", c.header.Get("Cache-Control"))
		assert.Equal(t, "text/event-stream", c.header.Get("Content-Type"))

		time.Sleep(3 * time.Second)
		frames, _ = c.frames(t)
		require.Len(t, frames, 3)
		assert.Empty(t, frames[2].Functions, "nothing has happened")
		assert.Empty(t, frames[2].Totals)

		require.Error(t, w.call("resize:2", "acme", `{}`))
		require.NoError(t, w.call("resize:1", "acme", `{"url":"u"}`))
		time.Sleep(time.Second)
		frames, _ = c.frames(t)
		require.Len(t, frames, 1)
		require.Len(t, frames[0].Functions, 1)
		for _, row := range [][]admin.Int{frames[0].Functions["resize"], frames[0].Totals} {
			assert.Equal(t, admin.Int(2), column(t, first.Columns, row, "calls")-column(t, first.Columns, first.Totals, "calls"))
			assert.Equal(t, admin.Int(1), column(t, first.Columns, row, "failures"))
		}
		assert.Equal(t, admin.StateFailing, first.States[column(t, first.Columns, frames[0].Functions["resize"], "state")])

		time.Sleep(2 * time.Minute)
		require.NoError(t, w.router.Remove("export"))
		time.Sleep(time.Second)
		frames, _ = c.frames(t)
		require.Len(t, frames, 121)
		assert.Equal(t, []string{"export"}, frames[120].Gone)
		idle := false // after a minute, the failure no longer counts
		for _, f := range frames {
			if row := f.Functions["resize"]; row != nil {
				idle = first.States[column(t, first.Columns, row, "state")] == admin.StateIdle
			}
		}
		assert.True(t, idle)
	})
}

// Calls and refusals before and after the first frame are counted, and are dropped a minute
// later.
func TestFramesCountTheLastMinuteAsTheListOfFunctionsDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		require.Error(t, w.call("resize:2", "acme", `{}`))
		offBeat()
		c := w.open(root, "/v1/events", "")
		defer c.close()
		frames, _ := c.frames(t)
		columns, row := frames[0].Columns, frames[0].Functions["resize"]
		assert.Equal(t, admin.Int(1), column(t, columns, row, "minuteFailures"), "it failed before the stream began")
		most, refused := admin.Int(0), admin.Count(0)
		for second := range 100 {
			if second < 40 { // in several stretches of ten seconds, each of which is dropped by itself
				require.NoError(t, w.call("resize", "acme", `{"url":"u"}`))
			}
			if second == 45 {
				w.do(root, http.MethodPut, "/v1/functions/resize/limit", `{"limit": 0}`)
				require.Error(t, w.call("resize", "acme", `{"url":"u"}`), "it is switched off")
				w.do(root, http.MethodPut, "/v1/functions/resize/limit", `{"limit": null}`)
				refused = get[admin.Function](w, root, "/v1/functions/resize").Numbers.Minute.Refused
			}
			time.Sleep(time.Second)
			frames, _ = c.frames(t)
			if changed := frames[0].Functions["resize"]; changed != nil {
				row = changed
			}
			var minute admin.Window
			if m := get[admin.Function](w, root, "/v1/functions/resize").Numbers.Minute; m != nil {
				minute = *m
			}
			for name, n := range map[string]admin.Count{"minuteCalls": minute.Calls, "minuteFailures": minute.Failures, "minuteRefused": minute.Refused, "minuteCold": minute.Cold} {
				require.Equal(t, admin.Int(n), column(t, columns, row, name), "%s after %d s", name, second+1)
			}
			most = max(most, column(t, columns, row, "minuteCalls"))
		}
		assert.Equal(t, admin.Int(41), most)
		assert.Equal(t, admin.Count(1), refused)
		assert.Zero(t, column(t, columns, row, "minuteCalls"))
	})
}

// All counts of ten seconds become too old at the same second. The rows of functions that were not called since come in the
// frames of the next ten seconds.
func TestRowsThatChangeOnlyWithTimeAreSpreadOverTenFrames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const many, mostRows = 450, 100
		name := func(i int) string { return fmt.Sprintf("many-%03d", i) }
		for i := range many {
			faas.Register(w.router, name(i), func(context.Context, struct{}) (string, error) { return "done", nil })
			require.NoError(t, w.call(name(i), name(i), ``))
		}
		offBeat()
		c, m := w.open(root, "/v1/events", ""), mirror{}
		defer c.close()
		m.next(t, c)
		rows, most := 0, 0
		for range 90 {
			time.Sleep(time.Second)
			for _, f := range m.next(t, c) {
				rows, most = rows+len(f.Functions), max(most, len(f.Functions))
			}
		}
		assert.LessOrEqual(t, most, mostRows)
		assert.Equal(t, 2*many, rows, "the percentiles end, and then the counts")
		for i := range many {
			assert.Zero(t, column(t, m.columns, m.functions[name(i)], "minuteCalls"), name(i))
		}
		assert.Zero(t, column(t, m.columns, m.totals, "minuteCalls"))
	})
}

// While there is no viewer, nothing is computed. The first frame after that has no old counts, however many functions there are.
func TestTheFirstFrameAfterAWhileHasNoOldCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 250 {
			name := fmt.Sprintf("many-%03d", i)
			faas.Register(w.router, name, func(context.Context, struct{}) (string, error) { return "done", nil })
			require.NoError(t, w.call(name, name, ``))
		}
		offBeat()
		c := w.open(root, "/v1/events", "")
		frames, _ := c.frames(t)
		require.Equal(t, admin.Int(250), column(t, frames[0].Columns, frames[0].Totals, "minuteCalls"))
		c.close()
		time.Sleep(2 * time.Minute)
		c = w.open(root, "/v1/events", "")
		defer c.close()
		frames, _ = c.frames(t)
		assert.Zero(t, column(t, frames[0].Columns, frames[0].Totals, "minuteCalls"))
	})
}

func TestASlowReaderGetsOneFrameOfAllThatItHasMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		offBeat()
		r := w.request(root, http.MethodGet, "/v1/events", "")
		ctx, cancel := context.WithCancel(r.Context())
		c := &client{header: http.Header{}, leave: cancel, ended: make(chan struct{}), slow: make(chan struct{})}
		w.serve(c, r.WithContext(ctx))
		c.slow <- struct{}{} // the retry line
		c.slow <- struct{}{} // the first frame
		frames, _ := c.frames(t)
		require.Len(t, frames, 1)
		columns := frames[0].Columns
		for range 5 {
			time.Sleep(time.Second)
			require.NoError(t, w.call("export", "acme", ``))
		}
		time.Sleep(time.Second)
		c.slow <- struct{}{} // the frame that was sent before the calls
		c.slow <- struct{}{}
		frames, _ = c.frames(t)
		require.Len(t, frames, 2)
		assert.Equal(t, admin.Int(5), column(t, columns, frames[1].Functions["export"], "calls"))
		assert.Len(t, frames[1].Functions, 1)
		c.leave()
		close(c.slow)
		<-c.ended
	})
}

func TestAStreamIsResumedWhereItEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		offBeat()
		require.NoError(t, w.call("resize", "acme", `{"url":"u"}`))
		c := w.open(root, "/v1/events", "")
		frames, last := c.frames(t)
		columns := frames[0].Columns
		before := column(t, columns, frames[0].Functions["export"], "calls")
		c.close()
		synctest.Wait()

		require.NoError(t, w.call("export", "acme", ``))
		time.Sleep(10 * time.Minute) // no viewer
		require.NoError(t, w.call("export", "acme", ``))
		c = w.open(root, "/v1/events", last)
		frames, _ = c.frames(t)
		require.Len(t, frames, 1)
		assert.False(t, frames[0].Full)
		assert.Equal(t, before+2, column(t, columns, frames[0].Functions["export"], "calls"))
		c.close()
		synctest.Wait()

		time.Sleep(2 * time.Hour) // longer than the recorder keeps points of ten seconds
		c = w.open(root, "/v1/events?since="+last, "")
		frames, _ = c.frames(t)
		assert.True(t, frames[0].Full)
		c.close()
		for _, other := range []string{"another-host.7", w.epoch() + ".999999999"} {
			c = w.open(root, "/v1/events", other)
			frames, _ = c.frames(t)
			require.NotEmpty(t, frames, other)
			assert.True(t, frames[0].Full, other)
			c.close()
		}
		assert.Equal(t, http.StatusBadRequest, w.do(root, http.MethodGet, "/v1/events?since=x", "").Code)
	})
}

func (w *world) epoch() string { return get[admin.Host](w, root, "/v1/host").Epoch }

func TestAStreamHoldsWhatItsViewerMaySee(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		offBeat()
		require.NoError(t, w.call("resize", "acme", `{"url":"u"}`))
		require.NoError(t, w.call("export", "bolt", ``))
		one, own, all := w.open(other, "/v1/events", ""), w.open(acme, "/v1/events", ""), w.open(viewer, "/v1/events", "")
		frames, _ := all.frames(t)
		require.NotEmpty(t, frames)
		columns := frames[0].Columns
		assert.Len(t, frames[0].Functions, 2)
		assert.NotNil(t, frames[0].Capacity)
		frames, _ = one.frames(t)
		assert.Len(t, frames[0].Functions, 1)
		assert.Nil(t, frames[0].Capacity)
		base := column(t, columns, frames[0].Totals, "calls")
		require.NoError(t, w.call("resize", "acme", `{"url":"u"}`))
		require.NoError(t, w.call("export", "bolt", ``))
		time.Sleep(time.Second)
		frames, _ = one.frames(t)
		assert.Equal(t, base+1, column(t, columns, frames[0].Totals, "calls"))
		frames, _ = own.frames(t)
		for _, f := range frames {
			assert.Empty(t, f.Functions, "other tenants are a part of these numbers")
			assert.Zero(t, column(t, columns, append(f.Totals, make([]admin.Int, len(columns)-len(f.Totals))...), "calls"))
		}
		for _, c := range []*client{one, own, all} {
			c.close()
		}
	})
}

func TestAStreamLosesWhatItsViewerMayNoLongerSee(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		hidden := ""
		w := newWorld(t, admin.WithAuthorize(func(_ context.Context, _ access.Principal, a admin.Action) error {
			mu.Lock()
			defer mu.Unlock()
			if a.Function == hidden {
				return context.Canceled
			}
			return nil
		}))
		offBeat()
		c := w.open(root, "/v1/events", "")
		defer c.close()
		c.frames(t)
		mu.Lock()
		hidden = "export"
		mu.Unlock()
		time.Sleep(11 * time.Second)
		frames, _ := c.frames(t)
		i := slices.IndexFunc(frames, func(f admin.Frame) bool { return f.Full })
		require.GreaterOrEqual(t, i, 0)
		assert.NotContains(t, frames[i].Functions, "export")
	})
}

func TestAHostServesThirtyTwoStreamsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		offBeat()
		var all []*client
		for range admin.MaxStreams {
			all = append(all, w.open(root, "/v1/events", ""))
		}
		synctest.Wait()
		refused := w.do(root, http.MethodGet, "/v1/log/events", "")
		assert.Equal(t, http.StatusServiceUnavailable, refused.Code)
		assert.Equal(t, "5", refused.Header().Get("Retry-After"))
		assert.Equal(t, admin.Count(32), get[admin.Process](w, root, "/v1/process").Streams)
		for _, c := range all {
			c.close()
		}
		assert.Zero(t, get[admin.Process](w, root, "/v1/process").Streams)
	})
}

func TestStreamsEndWithTheHostAndAfterTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		offBeat()
		c, l := w.open(root, "/v1/events", ""), w.open(root, "/v1/log/events", "")
		synctest.Wait()
		start := time.Now()
		<-c.ended
		<-l.ended
		assert.Equal(t, 15*time.Minute, time.Since(start))
		c, l = w.open(root, "/v1/events", ""), w.open(root, "/v1/log/events", "")
		synctest.Wait()
		require.NoError(t, w.router.Shutdown(t.Context()))
		<-c.ended
		<-l.ended
		assert.Equal(t, "closed", problem(t, w.do(root, http.MethodGet, "/v1/events", "")).Reason)
	})
}

func TestWithoutViewersTheAPIHasNoGoroutineAndNoTimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		offBeat()
		for range 3 {
			c, l := w.open(root, "/v1/events", ""), w.open(viewer, "/v1/log/events", "")
			time.Sleep(3 * time.Second)
			c.close()
			l.close()
		}
		synctest.Wait()
		assert.Empty(t, goroutinesOf(t, "faas/admin."))
		// A timer that was not stopped would fire within the hour, and a goroutine would run.
		time.Sleep(time.Hour)
		assert.Empty(t, goroutinesOf(t, "faas/admin."))
	})
}

// goroutinesOf returns the stacks of goroutines that run functions of the package, in this
// test's bubble, except this goroutine's.
func goroutinesOf(t *testing.T, pkg string) (found []string) {
	t.Helper()
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	all := strings.Split(string(buf), "\n\n") // the first is that of this goroutine
	_, bubble, ok := strings.Cut(strings.SplitN(all[0], "]", 2)[0], "synctest bubble ")
	require.True(t, ok, all[0])
	for _, one := range all[1:] {
		if strings.Contains(one, "synctest bubble "+bubble+"]") && strings.Contains(one, pkg) {
			found = append(found, one)
		}
	}
	return found
}

func TestLinesOfTheLogAreFollowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		offBeat()
		c, own := w.open(root, "/v1/log/events?function=resize", ""), w.open(acme, "/v1/log/events", "")
		require.NoError(t, w.call("resize", "bolt", `{"url":"of-bolt"}`))
		require.NoError(t, w.call("resize", "acme", `{"url":"of-acme"}`))
		require.NoError(t, w.call("export", "bolt", ``))
		var lines []admin.Line
		events := c.take()
		for _, e := range events {
			var l admin.Line
			require.NoError(t, json.Unmarshal([]byte(e.data), &l))
			lines = append(lines, l)
		}
		require.Len(t, lines, 4) // two lines for each call
		assert.Equal(t, []string{"resizing", "resize", "bolt"}, []string{lines[0].Message, lines[0].Function, lines[0].Tenant})
		for _, e := range own.take() {
			assert.NotContains(t, e.data, "bolt")
		}
		c.close()
		own.close()
		c = w.open(root, "/v1/log/events?function=resize", events[2].id)
		assert.Len(t, c.take(), 1)
		c.close()
	})
}
