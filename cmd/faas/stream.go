package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 5 * time.Second
	maxEvent     = 16 << 20
)

// event is one of a stream, as the HTML standard has them.
type event struct{ id, data string }

// stream is one that is followed across restarts of the host.
type stream struct {
	c      *client
	path   string
	query  url.Values
	last   string                          // the ID of the last event
	opened func(ctx context.Context) error // the host has answered; an error closes the connection, and another is made; nil: nothing
	event  func(e event) error             // an error ends it
	lost   func(err error)                 // the host does not answer
	quiet  time.Duration                   // after so long without an event the connection is dead; 0: never
	sleep  func(ctx context.Context, d time.Duration) bool
}

// follow calls s.event for each event of the stream. It ends when ctx ends, when s.event returns an
// error, or when the host answers that there is no such stream or that the request is wrong. If the
// host does not answer at all, the first attempt returns an error, and later ones are repeated.
func (s *stream) follow(ctx context.Context) error {
	backoff, connected := firstBackoff, false
	for {
		got, err := s.connect(ctx)
		var own *eventError
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it was to end
		case errors.As(err, &own):
			return own.err
		case isFinal(err) || err != nil && !connected && !got:
			return err
		case got:
			backoff, connected = firstBackoff, true
		case err != nil && s.lost != nil:
			s.lost(err)
		}
		// Many clients of one host don't come back at the same moment.
		if !s.sleep(ctx, backoff/2+rand.N(backoff/2)) {
			return nil
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

// eventError is an error of the func event, which is no fault of the connection.
type eventError struct{ err error }

func (e *eventError) Error() string { return e.err.Error() }

// isFinal tells whether the answer will be the same the next time.
func isFinal(err error) bool {
	var f *exitError
	return errors.As(err, &f) && (f.code == exitAbsent || f.code == exitUsage)
}

// connect reads events until the connection ends. It reports whether the host has answered.
func (s *stream) connect(ctx context.Context) (got bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	header := http.Header{"Accept": {"text/event-stream"}}
	if s.last != "" {
		header.Set("Last-Event-ID", s.last)
	}
	resp, err := s.c.do(ctx, http.MethodGet, s.path, s.query, nil, header)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if s.opened != nil {
		if err := s.opened(ctx); err != nil {
			return true, err
		}
	}
	touch := func() {}
	if s.quiet > 0 {
		timer := time.AfterFunc(s.quiet, cancel)
		defer timer.Stop()
		touch = func() { timer.Reset(s.quiet) }
	}
	return true, s.read(resp.Body, touch)
}

// read takes events apart.
func (s *stream) read(body io.Reader, touch func()) error {
	in := bufio.NewScanner(body)
	in.Buffer(nil, maxEvent)
	var e event
	for in.Scan() {
		if line := in.Text(); line != "" {
			e.add(line)
			continue
		}
		if err := s.take(e); err != nil {
			return err
		}
		touch()
		e = event{}
	}
	return in.Err()
}

// add adds a line of the stream to the event.
func (e *event) add(line string) {
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch name {
	case "id":
		e.id = value
	case "data":
		if e.data != "" {
			e.data += "\n"
		}
		e.data += value
	}
}

func (s *stream) take(e event) error {
	if e.data == "" {
		return nil
	}
	if err := s.event(e); err != nil {
		return &eventError{err}
	}
	if e.id != "" {
		s.last = e.id
	}
	return nil
}
