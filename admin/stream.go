package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/inproc/faas/access"
)

const (
	// streamTime is how long a stream lasts. Then its client connects again, with credentials
	// that are checked again.
	streamTime = 15 * time.Minute
	// rightsTime is for how long a stream takes a viewer's rights to functions for what they were.
	rightsTime = 10 * time.Second
	// writeTime is how long a client may take to receive an event.
	writeTime = 30 * time.Second
)

// stream is an answer of events, as the HTML standard has them.
type stream struct {
	x     *exchange
	ctx   context.Context //nolint:containedctx // of the stream
	done  <-chan struct{}
	sends *http.ResponseController
}

// streaming begins a stream, runs it, and ends it.
func (x *exchange) streaming(run func(*stream)) error {
	if x.r.Method == http.MethodHead {
		return nil
	}
	done, leave, err := x.h.live.enter(x.h.router)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(x.r.Context(), streamTime)
	defer cancel()
	x.w.Header().Set("Content-Type", "text/event-stream")
	x.entry.Status = http.StatusOK
	s := &stream{x: x, ctx: ctx, done: done, sends: http.NewResponseController(x.w)}
	if s.write("retry: 1000\n\n") {
		run(s)
	}
	return errWritten
}

// write sends a text, and reports whether the client has taken it.
func (s *stream) write(text string) bool {
	_ = s.sends.SetWriteDeadline(time.Now().Add(writeTime)) // a writer without deadlines has none
	if _, err := s.x.w.Write([]byte(text)); err != nil {    //nolint:gosec // JSON in a stream of events, and nosniff says so
		return false
	}
	_ = s.sends.Flush() // a writer that can't flush is not buffered
	return s.ctx.Err() == nil
}

// send sends an event.
func (s *stream) send(id, event string, data []byte) bool {
	return s.write("id: " + id + "\nevent: " + event + "\ndata: " + string(data) + "\n\n")
}

// sight is what the viewer of a stream sees.
type sight struct {
	x     *exchange
	until time.Time // for so long known holds
	known map[string]bool
	host  bool
}

// renew asks about the functions of a scene again, if it is time to, and reports whether
// the answers about any that it knew have changed.
func (v *sight) renew(s *scene) (changed bool) {
	if s.now.Before(v.until) {
		return false
	}
	v.until = s.now.Add(rightsTime)
	was, host := v.known, v.host
	v.known, v.host = make(map[string]bool, len(s.entries)), v.x.allowsAll(access.See, "")
	for _, e := range s.entries {
		before, knew := was[e.name]
		changed = changed || knew && before != v.sees(e.name)
	}
	return was != nil && (changed || host != v.host)
}

// sees asks about a function that it does not know, for example a new one.
func (v *sight) sees(name string) bool {
	yes, ok := v.known[name]
	if !ok {
		yes = v.x.allowsAll(access.See, name)
		v.known[name] = yes
	}
	return yes
}

// events serves frames.
func (x *exchange) events() (any, error) {
	since, err := x.resumedFrom()
	if err != nil {
		return nil, err
	}
	return nil, x.streaming(func(s *stream) {
		unwatch := x.h.live.watch(x.h.router, x.h.recorder)
		defer unwatch()
		v, have := &sight{x: x}, x.h.live.known(since)
		since = have
		for {
			sc := x.h.live.after(s.ctx, s.done, since)
			if sc == nil {
				return
			}
			changed := v.renew(sc)
			d := draft{
				scene: sc, epoch: x.h.epoch, since: have, seen: v.sees, host: v.host,
				full: changed || have == 0 || have < sc.oldest,
			}
			since, have = sc.rev, sc.rev
			if !s.send(x.h.epoch+"."+strconv.FormatUint(uint64(sc.rev), 10), "frame", d.encode()) {
				return
			}
		}
	})
}

// resumedFrom is the revision of the frame that the reader has; 0: it has none of this host.
func (x *exchange) resumedFrom() (Count, error) {
	id := x.r.Header.Get("Last-Event-ID")
	if x.has("since") {
		id = x.param("since")
	}
	if id == "" {
		return 0, nil
	}
	epoch, rev, _ := strings.Cut(id, ".")
	n, err := strconv.ParseUint(rev, 10, 64)
	if err != nil {
		return 0, badInput("What a stream is resumed from is the id of an event.")
	}
	if epoch != x.h.epoch { // of the host before
		return 0, nil
	}
	return Count(n), nil
}

// logEvents serves lines of the log as they come.
func (x *exchange) logEvents() (any, error) {
	f, err := x.logFilter()
	if err != nil {
		return nil, err
	}
	after, err := x.number("after")
	if err != nil {
		return nil, err
	}
	if id := x.r.Header.Get("Last-Event-ID"); id != "" && !x.has("after") {
		n, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			return nil, badInput("What a stream is resumed from is the id of an event.")
		}
		after = Count(n)
	}
	return nil, x.streaming(func(s *stream) { x.followLog(s, &f, after) })
}

// followLog ends when the client leaves, and when the host shuts down.
func (x *exchange) followLog(s *stream, f *logFilter, after Count) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	go func() { // Follow knows of a context alone
		select {
		case <-s.done:
			cancel()
		case <-ended:
		}
	}()
	for l := range x.h.tail.Follow(ctx, uint64(after)) {
		if !x.isSeenLine(&l) || !f.match(&l) {
			continue
		}
		data, err := json.Marshal(x.shownLine(&l))
		if err != nil || !s.send(strconv.FormatUint(l.Seq, 10), "line", data) {
			return
		}
	}
}
