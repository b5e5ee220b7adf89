package faashttp

import (
	"bytes"
	"net/http"
	"strings"
)

// stream serves a call piece by piece.
func (f *front) stream(x *exchange, name string, body []byte) {
	s := &pieces{x: x, head: func(h http.Header) { h.Set("Content-Type", octets) }}
	events := acceptsEvents(x.r)
	if events {
		s.head = func(h http.Header) {
			h.Set("Content-Type", "text/event-stream")
			h.Set("Cache-Control", "no-store")
		}
		s.frame = func(piece []byte) []byte { return event("", piece) }
	}
	err := f.router.InvokeStream(x.ctx, name, body, s)
	switch {
	case err == nil:
		s.start()
	case !s.started:
		x.fail(f.problem(x, err, name))
	case events:
		_ = s.send(event("error", f.problemOf(err, name).json(x.carried.ID))) // or the client has gone
	default:
		x.breakOff()
	}
}

// pieces sends each piece at once. Its methods are called by one goroutine at a
// time: the courier's, and the request's before and after it.
type pieces struct {
	x       *exchange
	head    func(h http.Header)       // says what is coming
	frame   func(piece []byte) []byte // wraps a piece; nil: as it is
	started bool
}

// Write sends a piece.
func (s *pieces) Write(piece []byte) (int, error) {
	if s.frame == nil {
		return len(piece), s.send(piece)
	}
	return len(piece), s.send(s.frame(piece))
}

func (s *pieces) start() {
	if !s.started {
		s.started = true
		s.x.patient()
		s.head(s.x.w.Header())
		s.x.w.WriteHeader(http.StatusOK)
	}
}

func (s *pieces) send(data []byte) error {
	s.start()
	s.x.patient()
	if _, err := s.x.w.Write(data); err != nil {
		return err
	}
	return s.x.flush()
}

// acceptsEvents tells whether the client asks for server-sent events by name.
func acceptsEvents(r *http.Request) bool {
	for _, accept := range r.Header["Accept"] {
		for kind := range strings.SplitSeq(accept, ",") {
			kind, _, _ = strings.Cut(kind, ";")
			if strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
				return true
			}
		}
	}
	return false
}

// event writes one event of the HTML standard's section 9.2. A line of the data
// is a field of its own; any of the three line ends would otherwise let a
// piece forge fields and events.
func event(name string, data []byte) []byte {
	var b bytes.Buffer
	if name != "" {
		b.WriteString("event: " + name + "\n")
	}
	for more := true; more; {
		line := data
		if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
			line, data = data[:i], data[i:]
			data = data[len(lineEnd(data)):]
		} else {
			more = false
		}
		b.WriteString("data: ")
		b.Write(line)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func lineEnd(data []byte) []byte {
	if bytes.HasPrefix(data, []byte("\r\n")) {
		return data[:2]
	}
	return data[:1]
}
