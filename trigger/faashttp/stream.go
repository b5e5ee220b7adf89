package faashttp

import (
	"net"
	"net/http"
)

const octets = "application/octet-stream"

// streamWriter sends each piece of a stream as soon as it is written. One goroutine at a time
// calls its methods: the router's sending goroutine during the call, and the goroutine of the
// request before and after the call. InvokeStream returns only after the last Write has
// returned; this is the happens-before edge between the two goroutines.
type streamWriter struct {
	x       *exchange
	head    func(h http.Header)       // sets the headers of the answer
	frame   func(piece []byte) []byte // encodes a piece; if nil, pieces are sent unchanged
	started bool
}

// Write sends one piece.
func (s *streamWriter) Write(piece []byte) (int, error) {
	if s.frame == nil {
		return len(piece), s.send(piece)
	}
	return len(piece), s.send(s.frame(piece))
}

// start writes the head of the answer if it is not written yet.
func (s *streamWriter) start() {
	if !s.started {
		s.started = true
		s.x.extendWriteDeadline()
		s.head(s.x.w.Header())
		s.x.w.WriteHeader(http.StatusOK)
	}
}

// send writes data and flushes it. It writes the head of the answer first if that is missing.
func (s *streamWriter) send(data []byte) error {
	s.start()
	s.x.extendWriteDeadline()
	if _, err := s.x.w.Write(data); err != nil {
		return err
	}
	return s.x.flush()
}

// breakOff ends the connection in the middle of an answer, so that the client does not take a
// part of the answer for the whole. It panics with [http.ErrAbortHandler], which makes net/http
// close the connection.
//
// HTTP/1.1 and HTTP/2 mark the end of an answer, so a client notices a connection that ends
// before the mark. Over HTTP/1.0 the close of the connection is the end of the stream. (nginx
// uses HTTP/1.0 to its upstreams by default.) There the connection must be reset instead of
// closed, so that the client notices an incomplete stream.
func (x *exchange) breakOff() {
	if !x.r.ProtoAtLeast(1, 1) {
		x.reset()
	}
	panic(http.ErrAbortHandler)
}

// reset ends a TCP connection with RST. It does nothing if the connection can't be hijacked.
func (x *exchange) reset() {
	c, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return
	}
	for {
		below, ok := c.(interface{ NetConn() net.Conn }) // the TCP connection below TLS: Close of the TLS one would end the stream as if it were whole
		if !ok {
			break
		}
		c = below.NetConn()
	}
	if tcp, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0) // makes Close discard unsent data and reset the connection
	}
	_ = c.Close()
}

// canBreakOff reports whether the client would notice breakOff. Over HTTP/1.0 it would not if
// the connection can't be reset: because it is no TCP connection, or because a middleware's
// response writer does not give access to it. Such a client gets a stream as one answer with a
// Content-Length.
func (x *exchange) canBreakOff() bool {
	if x.r.ProtoAtLeast(1, 1) {
		return true
	}
	_, tcp := x.Context.Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return tcp && canHijack(x.w)
}

// canHijack reports whether [http.ResponseController.Hijack] would find a Hijacker in w, or in
// a writer that w wraps.
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
