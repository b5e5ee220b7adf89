package embed_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/durable/faasnats"
	"github.com/inproc/faas/durable/faasnats/embed"
)

// dial connects to the server of a queue through a line, as another process does.
func dial(t *testing.T, q *embed.Queue, l *line) *nats.Conn {
	t.Helper()
	l.server = q.Server()
	conn, err := nats.Connect("", nats.InProcessServer(l), nats.NoReconnect(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	require.NoError(t, err)
	t.Cleanup(func() {
		conn.Close()
		time.Sleep(time.Duration(l.delay.Swap(0))) // the goroutine of Read then sleeps in its bubble
	})
	return conn
}

// peer returns the queue of another process on the same server. Its Close is like the death of
// that process: the connection is cut, and nothing is given back.
func peer(t *testing.T, q *embed.Queue, l *line, opts ...faasnats.Option) *faasnats.Queue {
	t.Helper()
	p, err := faasnats.OpenConn(t.Context(), dial(t, q, l), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() }) // an error, if its connection was cut
	return p
}

// line is a connection that can be cut and delayed.
type line struct {
	server *server.Server
	pass   func(sent []byte) bool // is called with each write of the client; false cuts the line. nil: every write passes
	ended  atomic.Bool
	delay  atomic.Int64 // delays what the server sends, in nanoseconds
	conn   net.Conn
}

// InProcessConn implements [nats.InProcessConnProvider].
func (l *line) InProcessConn() (net.Conn, error) {
	conn, err := l.server.InProcessConn()
	l.conn = conn
	return &lineEnd{conn, l}, err
}

// cut ends the connection, as the death of its process does.
func (l *line) cut() {
	l.ended.Store(true)
	_ = l.conn.Close() // an error means that it was closed before
}

type lineEnd struct {
	net.Conn
	line *line
}

var errCut = errors.New("the line is cut")

func (e *lineEnd) Read(p []byte) (int, error) {
	n, err := e.Conn.Read(p)
	time.Sleep(time.Duration(e.line.delay.Load()))
	return n, err
}

func (e *lineEnd) Write(p []byte) (int, error) {
	if e.line.pass != nil && !e.line.pass(p) {
		e.line.cut()
	}
	if e.line.ended.Load() {
		return 0, errCut
	}
	return e.Conn.Write(p)
}

// writesRecord reports whether a client's write has the record of a job.
func writesRecord(sent []byte) bool { return bytes.Contains(sent, []byte("HPUB j.")) }

// objectsOf counts the chunks and descriptions in the object store.
func objectsOf(t *testing.T, conn *nats.Conn) int {
	t.Helper()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	stream, err := js.Stream(context.Background(), "OBJ_FAAS_objects")
	require.NoError(t, err)
	return int(stream.CachedInfo().State.Msgs)
}
