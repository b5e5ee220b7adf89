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

// event is a server-sent event, as the HTML standard defines it.
type event struct{ id, data string }

// stream follows a stream of events, also across restarts of the host.
type stream struct {
	c      *client
	path   string
	query  url.Values
	last   string                          // the ID of the last event
	opened func(ctx context.Context) error // is called when the host has answered; an error makes a new connection; may be nil
	event  func(e event) error             // is called with each event; an error ends the stream
	lost   func(err error)                 // is called when the connection is lost
	quiet  time.Duration                   // after this time without an event the connection counts as lost; 0: never
	sleep  func(ctx context.Context, d time.Duration) bool
}

// follow calls s.event for each event of the stream. It ends in one of three cases: ctx ends,
// s.event returns an error, or the host answers that there is no such stream or that the
// request is wrong. If the first attempt gets no answer at all, follow returns its error; later
// attempts are repeated.
func (s *stream) follow(ctx context.Context) error {
	backoff, connected := firstBackoff, false
	for {
		got, err := s.connect(ctx)
		var own *eventError
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // ctx has ended
		case errors.As(err, &own):
			return own.err
		case isFinal(err) || err != nil && !connected && !got:
			return err
		case got:
			backoff, connected = firstBackoff, true
		case err != nil && s.lost != nil:
			s.lost(err)
		}
		// The wait is random, so that the clients of a host do not all return at the same moment.
		if !s.sleep(ctx, backoff/2+rand.N(backoff/2)) {
			return nil
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

// eventError is an error of s.event. It says nothing about the connection.
type eventError struct{ err error }

func (e *eventError) Error() string { return e.err.Error() }

// isFinal reports whether another attempt would get the same answer.
func isFinal(err error) bool {
	var f *exitError
	return errors.As(err, &f) && (f.code == exitAbsent || f.code == exitUsage)
}

// connect reads events until the connection ends. got reports whether the host has answered.
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

// read parses the stream into events.
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
