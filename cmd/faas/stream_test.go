package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/admin"
)

// phases answers each connection of a stream in another way. The last answer goes on until the
// client leaves.
type phases struct {
	mu    sync.Mutex // guards what follows
	each  []func(w http.ResponseWriter)
	lasts []string // the header Last-Event-ID of each connection
}

func (p *phases) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.lasts = append(p.lasts, r.Header.Get("Last-Event-ID"))
	n := len(p.lasts)
	answer := p.each[min(n, len(p.each))-1]
	p.mu.Unlock()
	answer(w)
	if n >= len(p.each) {
		<-r.Context().Done()
	}
}

// sends answers with events, and then ends the connection.
func sends(events ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprint(w, "retry: 1000\n\n", strings.Join(events, ""))
		_ = http.NewResponseController(w).Flush()
	}
}

// breaks ends a connection without an answer, as if there were no host.
func breaks(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func refuses(status int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, absentBody)
	}
}

func logEvent(seq int, message string) string {
	return fmt.Sprintf("id: %d\nevent: line\ndata: {\"seq\":%d,\"time\":\"2026-11-30T14:00:00Z\",\"level\":\"INFO\",\"message\":%q,\"json\":\"{}\"}\n\n", seq, seq, message)
}

// until returns a context that ends when the command has written a text.
func until(t *testing.T, b *buffer, text string) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	b.watch = func(all string) {
		if strings.Contains(all, text) {
			cancel()
		}
	}
	return ctx
}

func TestALogIsFollowedAcrossARestartOfTheHost(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.set("GET /v1/log", answer{body: `{"lines":[],"last":40}`})
	restart := func(w http.ResponseWriter) {
		f.set("GET /v1/host", answer{body: `{"epoch":"another","name":"shop"}`})
		breaks(w)
	}
	p := &phases{each: []func(http.ResponseWriter){sends(logEvent(41, "one")), sends(logEvent(42, "two")), restart, breaks, sends(logEvent(1, "three"), logEvent(2, "four"))}}
	f.stream("/v1/log/events", p.serve)
	s := newShell(t, f.URL)
	assert.Equal(t, exitOK, s.faas(until(t, s.out, "four"), "logs", "-f", "resize", "--level", "warn"))
	assert.Equal(t, []string{"40", "41", "42", "42", "42", "0"}, p.lasts, "a host that was started anew counts from 1")
	assert.Equal(t, "14:00:00.000 INFO  one\n14:00:00.000 INFO  two\n14:00:00.000 INFO  three\n14:00:00.000 INFO  four\n", s.out.String())
	assert.Equal(t, 1, strings.Count(s.errOut.String(), "waiting for it"), "it is said once: %s", s.errOut)
	assert.Equal(t, 1, strings.Count(s.errOut.String(), "is back"))
	assert.Contains(t, f.asked(), "GET /v1/log/events function=resize&level=warn")
}

// TestALineOfAnotherHostIsNotTakenForOneOfThis replaces the host after its log was read and
// before it is followed. On the new host, the number of the last line is that of another line.
func TestALineOfAnotherHostIsNotTakenForOneOfThis(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.set("GET /v1/log", answer{body: `{"lines":[],"last":40}`})
	restarted := func(w http.ResponseWriter) {
		f.set("GET /v1/host", answer{body: `{"epoch":"another","name":"shop"}`})
		sends(logEvent(41, "forty-one"))(w)
	}
	p := &phases{each: []func(http.ResponseWriter){restarted, sends(logEvent(1, "one"), logEvent(2, "two"))}}
	f.stream("/v1/log/events", p.serve)
	s := newShell(t, f.URL)
	assert.Equal(t, exitOK, s.faas(until(t, s.out, "two"), "logs", "-f"))
	assert.Equal(t, []string{"40", "0"}, p.lasts)
	assert.Equal(t, "14:00:00.000 INFO  one\n14:00:00.000 INFO  two\n", s.out.String())
}

func TestAFollowedLogEndsWhenTheRightIsGone(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	p := &phases{each: []func(http.ResponseWriter){sends(logEvent(9999, "one")), refuses(http.StatusNotFound)}}
	f.stream("/v1/log/events", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel() // closes all connections
		p.serve(w, r.WithContext(ctx))
	})
	s := newShell(t, f.URL)
	assert.Equal(t, exitAbsent, s.faas(t.Context(), "logs", "-f"))
	assert.Contains(t, s.out.String(), "one")
}

func TestAFollowedLogIsJSONByLineAndCSV(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"jsonl": `{"seq":1,"time":"2026-11-30T14:00:00Z","level":"INFO","message":"one","json":"{}"}` + "\n",
		"csv":   "seq,time,level,function,tenant,message,json\n1,2026-11-30T14:00:00Z,INFO,,,one,{}\n",
	} {
		f := newFake(t)
		f.set("GET /v1/log", answer{body: `{"lines":[],"last":0}`})
		f.stream("/v1/log/events", (&phases{each: []func(http.ResponseWriter){sends(logEvent(1, "one"))}}).serve)
		s := newShell(t, f.URL)
		assert.Equal(t, exitOK, s.faas(until(t, s.out, "one"), "logs", "-f", "-o", format))
		assert.Equal(t, want, s.out.String())
	}
}

func TestTheWaitsBetweenConnectionsGrow(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.set("GET /v1/log", answer{body: `{"lines":[],"last":0}`})
	each := []func(http.ResponseWriter){sends(logEvent(1, "one"))}
	for range 7 {
		each = append(each, breaks)
	}
	p := &phases{each: append(each, sends(logEvent(2, "two")))}
	f.stream("/v1/log/events", p.serve)
	s := newShell(t, f.URL)
	var waits []time.Duration
	s.sleep = func(ctx context.Context, d time.Duration) bool {
		waits = append(waits, d)
		return ctx.Err() == nil
	}
	assert.Equal(t, exitOK, s.faas(until(t, s.out, "two"), "logs", "-f"))
	require.Len(t, waits, 8)
	longest := firstBackoff
	for _, d := range waits {
		assert.GreaterOrEqual(t, d, longest/2)
		assert.LessOrEqual(t, d, longest)
		longest = min(2*longest, lastBackoff)
	}
}

func TestTopIsDrawnAnewAcrossARestart(t *testing.T) {
	t.Parallel()
	frame := func(epoch string, rev, calls int) string {
		return fmt.Sprintf("id: %s.%d\ndata: {\"rev\":%d,\"epoch\":%q,\"now\":\"2026-11-30T14:00:%02dZ\",\"full\":%v,\"columns\":[\"state\",\"calls\"],\"states\":[\"well\"],\"functions\":{\"resize\":[0,%d]},\"totals\":[0,%d]}\n\n",
			epoch, rev, rev, epoch, rev, rev == 1, calls, calls)
	}
	f := newFake(t)
	p := &phases{each: []func(http.ResponseWriter){
		sends(frame("a", 1, 100), frame("a", 2, 177)), breaks, sends(frame("b", 1, 0), frame("b", 2, 33)),
	}}
	f.stream("/v1/events", p.serve)
	s := newShell(t, f.URL)
	s.terminal(80, 24)
	s.vars["NO_COLOR"] = "1"
	ctx := until(t, s.out, "33.0")
	s.sleep = func(ctx context.Context, _ time.Duration) bool { return sleep(ctx, time.Millisecond) } // a short sleep, so that other goroutines run
	assert.Equal(t, exitOK, s.faas(ctx, "top"), s.errOut.String())
	assert.Equal(t, []string{"", "a.2", "a.2"}, p.lasts)
	assert.True(t, strings.HasPrefix(s.out.String(), enter))
	assert.True(t, strings.HasSuffix(s.out.String(), leave), "the terminal is as it was")
}

func TestTopShowsAFunctionThatWasRegisteredAgain(t *testing.T) {
	t.Parallel()
	w := &watch{by: "name"}
	w.apply(&admin.Frame{Full: true, Epoch: "a", Columns: []string{"inFlight"}, Functions: map[string][]admin.Int{"resize": {1}, "mail": {2}}})
	w.apply(&admin.Frame{Epoch: "a", Gone: []string{"mail", "resize"}, Functions: map[string][]admin.Int{"resize": {3}}})
	r, err := w.report()
	require.NoError(t, err)
	require.Len(t, r.Functions, 1)
	assert.Equal(t, "resize", r.Functions[0].Function)
	assert.EqualValues(t, 3, r.Functions[0].InFlight)
}

func TestTopKeepsToTheHeightOfTheTerminal(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	w := &watch{name: "shop", by: "calls"}
	f.stream("/v1/events", twoFrames)
	s := newShell(t, f.URL)
	c, err := s.host()
	require.NoError(t, err)
	err = s.frames(c, w, func(elapsed time.Duration) error {
		if elapsed > 0 {
			return errEnough
		}
		return nil
	}).follow(t.Context())
	require.ErrorIs(t, err, errEnough)
	c.close()
	r, lost := w.report()
	require.NoError(t, lost)
	assert.Len(t, w.draw(&r, nil, 80, 24, false), 9)
	assert.Len(t, w.draw(&r, nil, 80, 6, false), 6)
	short := w.draw(&r, nil, 80, 7, false)
	assert.Contains(t, short[len(short)-1], "all", "the sum is always there")
	assert.Len(t, w.draw(&r, nil, 80, 2, false), 2)
	assert.Contains(t, w.draw(&r, context.DeadlineExceeded, 80, 24, false)[0], "no connection")
}

func TestAConnectionThatSaysNothingIsMadeAnew(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.stream("/v1/events", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Last-Event-ID") == "" {
			sends("id: 1\ndata: one\n\n")(w)
			<-r.Context().Done() // the client leaves, and the host does not
			return
		}
		sends("id: 2\ndata: two\n\n")(w)
	})
	s := newShell(t, f.URL)
	c, err := s.host()
	require.NoError(t, err)
	defer c.close()
	var got []string
	err = (&stream{c: c, path: path("events"), quiet: 20 * time.Millisecond, sleep: s.sleep, event: func(e event) error {
		if got = append(got, e.data); e.data == "two" {
			return errEnough
		}
		return nil
	}}).follow(t.Context())
	assert.ErrorIs(t, err, errEnough)
	assert.Equal(t, []string{"one", "two"}, got)
}

func FuzzAStreamIsTakenApart(f *testing.F) {
	f.Add("retry: 1000\n\nid: 1\ndata: a\ndata: b\n\n: a comment\n\nid:2\ndata:c\r\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := &stream{event: func(e event) error {
			assert.NotEmpty(t, e.data)
			assert.NotContains(t, e.id, "\n")
			return nil
		}}
		_ = s.read(strings.NewReader(text), func() {})
	})
}
