package faashttp

import (
	"net"
	"net/http"
)

// breakOff ends the connection in the middle of an answer, so that half of it is
// not taken for the whole. It panics, as net/http has it.
//
// HTTP/1.1 and 2 say where an answer ends, so that one which ends before is seen
// to be broken. Over HTTP/1.0, which nginx speaks to its upstreams unless it is
// told otherwise, a stream ends with its connection: only a connection that is
// reset instead of closed says that it has not.
func (x *exchange) breakOff() {
	if !x.r.ProtoAtLeast(1, 1) {
		x.reset()
	}
	panic(http.ErrAbortHandler)
}

// reset ends a TCP connection with RST.
func (x *exchange) reset() {
	c, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return
	}
	for {
		below, ok := c.(interface{ NetConn() net.Conn }) // TLS, which would take its leave
		if !ok {
			break
		}
		c = below.NetConn()
	}
	if tcp, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0) // then Close discards what is not sent, and resets
	}
	_ = c.Close()
}

// canBreakOff tells whether a client would notice breakOff: without chunks, over
// what is no TCP, or where the connection is out of reach, it would not. It gets
// a stream as a whole then, with its length.
func (x *exchange) canBreakOff() bool {
	if x.r.ProtoAtLeast(1, 1) {
		return true
	}
	_, tcp := x.Context.Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return tcp && canHijack(x.w)
}

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

// streamWriter sends each piece at once. Its methods are called by one goroutine at a
// time: the courier's, and the request's before and after it.
type streamWriter struct {
	x       *exchange
	head    func(h http.Header)       // says what is coming
	frame   func(piece []byte) []byte // wraps a piece; nil: as it is
	started bool
}

// Write sends a piece.
func (s *streamWriter) Write(piece []byte) (int, error) {
	if s.frame == nil {
		return len(piece), s.send(piece)
	}
	return len(piece), s.send(s.frame(piece))
}

func (s *streamWriter) start() {
	if !s.started {
		s.started = true
		s.x.extendWriteDeadline()
		s.head(s.x.w.Header())
		s.x.w.WriteHeader(http.StatusOK)
	}
}

func (s *streamWriter) send(data []byte) error {
	s.start()
	s.x.extendWriteDeadline()
	if _, err := s.x.w.Write(data); err != nil {
		return err
	}
	return s.x.flush()
}

const octets = "application/octet-stream"
