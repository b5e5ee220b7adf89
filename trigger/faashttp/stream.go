package faashttp

import (
	"net"
	"net/http"
)

const octets = "application/octet-stream"

// streamWriter sends each piece of a stream as soon as it is written. Its methods
// are called by one goroutine at a time: the router's sending goroutine during the
// call, and the goroutine of the request before and after it. InvokeStream returns
// only after the last Write has, which is the edge between the two.
type streamWriter struct {
	x       *exchange
	head    func(h http.Header)       // sets the headers of the answer
	frame   func(piece []byte) []byte // encodes a piece; nil: it is sent as it is
	started bool
}

// Write sends one piece.
func (s *streamWriter) Write(piece []byte) (int, error) {
	if s.frame == nil {
		return len(piece), s.send(piece)
	}
	return len(piece), s.send(s.frame(piece))
}

// start writes the head of the answer, unless it is written already.
func (s *streamWriter) start() {
	if !s.started {
		s.started = true
		s.x.extendWriteDeadline()
		s.head(s.x.w.Header())
		s.x.w.WriteHeader(http.StatusOK)
	}
}

// send writes data, after the head, and flushes it.
func (s *streamWriter) send(data []byte) error {
	s.start()
	s.x.extendWriteDeadline()
	if _, err := s.x.w.Write(data); err != nil {
		return err
	}
	return s.x.flush()
}

// breakOff ends the connection in the middle of an answer, so that the client does
// not take a part of the answer for the whole. It panics with
// [http.ErrAbortHandler], which is how net/http is told to do so.
//
// HTTP/1.1 and HTTP/2 mark the end of an answer, so that a client notices when the
// connection ends before it. Over HTTP/1.0, which nginx speaks to its upstreams
// unless configured otherwise, a stream ends where its connection is closed. There
// only a connection that is reset instead of closed shows that the stream is not
// whole.
func (x *exchange) breakOff() {
	if !x.r.ProtoAtLeast(1, 1) {
		x.reset()
	}
	panic(http.ErrAbortHandler)
}

// reset ends a TCP connection with RST. If the connection can't be taken over, it
// does nothing.
func (x *exchange) reset() {
	c, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return
	}
	for {
		below, ok := c.(interface{ NetConn() net.Conn }) // below TLS: its Close would end the stream properly
		if !ok {
			break
		}
		c = below.NetConn()
	}
	if tcp, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0) // makes Close drop what is not sent yet, and reset the connection
	}
	_ = c.Close()
}

// canBreakOff reports whether the client would notice breakOff. It would not over
// HTTP/1.0 if the connection can't be reset: because it is no TCP connection, or
// because a middleware's response writer hides it. Such a client gets a stream as
// one answer with its length.
func (x *exchange) canBreakOff() bool {
	if x.r.ProtoAtLeast(1, 1) {
		return true
	}
	_, tcp := x.Context.Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return tcp && canHijack(x.w)
}

// canHijack reports whether the connection can be taken over from w, as
// [http.ResponseController] would do it.
func canHijack(w http.ResponseWriter) bool {
	for {
		if _, ok := w.(http.Hijacker); ok {
			return true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
}
