package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// streamTime is how long a stream lasts. Then the client connects again, and its credentials
	// are checked again.
	streamTime = 15 * time.Minute
	// writeTime is how long a client may take to receive an event.
	writeTime = 30 * time.Second
)

// stream is an answer in the form of server-sent events, as the HTML standard defines them.
type stream struct {
	x     *exchange
	ctx   context.Context //nolint:containedctx // ends with the stream
	done  <-chan struct{}
	sends *http.ResponseController
}

// streaming begins a stream, calls run, and ends the stream.
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
	if s.write([]byte("retry: 1000\n\n")) {
		run(s)
	}
	return errWritten
}

// write sends a text, and reports whether the client has received it. It does not change the
// text, which several streams may share.
func (s *stream) write(text []byte) bool {
	_ = s.sends.SetWriteDeadline(time.Now().Add(writeTime)) // an error means that the writer has no deadlines
	if _, err := s.x.w.Write(text); err != nil {            //nolint:gosec // JSON in a stream of events, and nosniff says so
		return false
	}
	_ = s.sends.Flush() // an error means that the writer can't flush, and so does not buffer
	return s.ctx.Err() == nil
}

// send sends an event, and reports whether the client has received it.
func (s *stream) send(id, event string, data []byte) bool {
	return s.write(slices.Concat([]byte("id: "+id+"\nevent: "+event+"\ndata: "), data, []byte("\n\n")))
}

// events sends frames.
func (x *exchange) events() (any, error) {
	since, told, err := x.resumedFrom()
	if err != nil {
		return nil, err
	}
	return nil, x.streaming(func(s *stream) {
		unwatch := x.h.live.watch(x.h.router, x.h.recorder)
		defer unwatch()
		v, have := &sight{x: x, told: told}, x.h.live.known(since)
		since = have
		for {
			sc := x.h.live.after(s.ctx, s.done, since)
			if sc == nil {
				return
			}
			if v.look(sc) || have < sc.oldest {
				have = 0
			}
			event := sc.event(x.h.epoch, v.view, have)
			since, have = sc.rev, sc.rev
			if !s.write(event) {
				return
			}
		}
	})
}

// resumedFrom reads the ID of the last event that the reader has received: the revision of the
// frame, and the digest of its view. since is 0 if there is no such event from this run of the
// host.
func (x *exchange) resumedFrom() (since Count, told string, err error) {
	id := x.r.Header.Get("Last-Event-ID")
	if x.has("since") {
		id = x.param("since")
	}
	if id == "" {
		return 0, "", nil
	}
	epoch, rest, _ := strings.Cut(id, ".")
	rev, told, _ := strings.Cut(rest, ".")
	n, err := strconv.ParseUint(rev, 10, 64)
	if err != nil {
		return 0, "", badInput("A stream is resumed from the id of an event.")
	}
	if epoch != x.h.epoch { // from an earlier run of the host
		return 0, "", nil
	}
	return Count(n), told, nil
}

// logEvents sends lines of the log as they are written.
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
			return nil, badInput("A stream is resumed from the id of an event.")
		}
		after = Count(n)
	}
	return nil, x.streaming(func(s *stream) { x.followLog(s, &f, after) })
}

// followLog sends lines until the client leaves or the host shuts down.
func (x *exchange) followLog(s *stream, f *logFilter, after Count) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	go func() { // Follow ends with a context only, and not with s.done
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
