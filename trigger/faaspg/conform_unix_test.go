//go:build unix

package faaspg_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/trigger/faaspg"
)

func TestTheRelayThatListensIsASource(t *testing.T) {
	t.Parallel()
	testSource(t, func(t *testing.T, pool *pgxpool.Pool) *faaspg.Relay {
		t.Helper()
		listening, listened := listeningPool(t, pool)
		t.Cleanup(func() { require.Positive(t, listened.Load(), "it has polled alone") })
		return faaspg.NewRelay(listening)
	})
}

// listeningPool is a pool of the same schema for use in a bubble: while one of its connections
// listens, the bubble's time goes on. It counts the connections that have listened.
func listeningPool(t *testing.T, pool *pgxpool.Pool) (listening *pgxpool.Pool, listened *atomic.Int64) {
	t.Helper()
	c, listened := pool.Config(), &atomic.Int64{}
	dial := c.ConnConfig.DialFunc
	c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return &listener{Conn: conn, listened: listened}, err
	}
	listening, err := pgxpool.NewWithConfig(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(listening.Close)
	return listening, listened
}

// listener is a connection that may listen. A goroutine that waits for a socket would stop the
// clock of a bubble. So after LISTEN has been answered, a Read polls the socket, and sleeps
// between the polls. While it sleeps, all goroutines of the bubble are idle, and the clock goes
// on.
type listener struct {
	net.Conn

	asked, listens atomic.Bool // LISTEN was written; its answer was read
	listened       *atomic.Int64
}

func (l *listener) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("LISTEN ")) {
		l.asked.Store(true)
	}
	return l.Conn.Write(p)
}

func (l *listener) Read(p []byte) (int, error) {
	if !l.listens.Load() {
		if l.asked.Load() {
			l.listens.Store(true)
			l.listened.Add(1)
		}
		return l.Conn.Read(p)
	}
	for {
		n, err := l.tryRead(p)
		if n > 0 || err != nil {
			return n, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// tryRead reads the bytes that have arrived, and does not wait for more.
func (l *listener) tryRead(p []byte) (n int, err error) {
	socket, ok := l.Conn.(syscall.Conn)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	var why error
	err = raw.Read(func(fd uintptr) bool { // fails after the deadline, and when the connection is closed
		n, why = syscall.Read(int(fd), p)
		return true
	})
	switch {
	case err != nil:
		return 0, err
	case errors.Is(why, syscall.EAGAIN), errors.Is(why, syscall.EINTR):
		return 0, nil
	case why == nil && n == 0:
		return 0, io.EOF
	}
	return max(n, 0), why
}
