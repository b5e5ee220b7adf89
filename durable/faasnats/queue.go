package faasnats

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/inproc/faas"
)

// Queue is a [faas.JobQueue] that keeps its jobs in a stream of a NATS server. Many processes
// may have a Queue on the same stream. Its methods may be called concurrently.
type Queue struct {
	conn     *nats.Conn
	owned    bool // Close closes the connection too
	js       jetstream.JetStream
	stream   jetstream.Stream
	objects  *objectStore
	name     string // of the stream
	wait     time.Duration
	log      *slog.Logger
	author   string        // in the names of this value's writes; random
	writes   atomic.Uint64 // how many there were, for their names
	mark     atomic.Uint64 // the stream's last sequence when the connection was last made: a delivery that is not newer may be out of date
	acked    ackTally
	saidBusy atomic.Bool
	peers    *peers
	room     *room
	links    atomic.Uint64 // how often the connection had been made again when mark was set

	ctx  context.Context //nolint:containedctx // ends with the queue, and ends every wait
	stop context.CancelFunc
	work sync.WaitGroup // the queue's goroutines

	mu        sync.Mutex // guards the fields below
	closed    bool
	changed   chan struct{} // closed, and replaced, when there may be a job to lease
	consumers map[place]jetstream.Consumer
	hosted    map[string]*hosted // by function
	held      map[uuid.UUID]*held
	turn      uint64               // the number of leases so far; a lease's token is its number
	underway  map[place]int        // settled records that the place's consumer has yet to deliver
	ready     map[place]int        // held jobs that stand in a lane
	old       map[place]int        // received jobs that were not newer than mark
	outbox    map[string]*outgoing // by the name of the write
	watchers  []*nats.Subscription
}

// Open connects to a server and opens the queue there, see [OpenConn]. The connection is made
// again whenever it breaks, for as long as the queue is open. Close closes it.
func Open(ctx context.Context, url string, opts ...Option) (*Queue, error) {
	conn, err := nats.Connect(url, nats.Name("faas"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(false))
	if err != nil {
		return nil, fmt.Errorf("faasnats: connect to %s: %w", url, err)
	}
	q, err := OpenConn(ctx, conn, opts...)
	if err != nil {
		conn.Close()
		return nil, err
	}
	q.owned = true
	return q, nil
}

// OpenConn opens the queue on a connection, which must stay open for as long as the queue. It
// makes the stream if there is none. It returns an error if the server is older than 2.15 or
// has no JetStream, or if its max_payload is below a megabyte; and if the stream has limits
// that would delete jobs, or fewer replicas than [WithReplicas] asks for. A stream that an
// older release has made is brought to the format of this release, which the older release
// can't read. A stream of a later format is an error.
func OpenConn(ctx context.Context, conn *nats.Conn, opts ...Option) (*Queue, error) {
	s, err := settingsOf(opts)
	if err != nil {
		return nil, err
	}
	js, stream, err := openStream(ctx, conn, &s)
	if err != nil {
		return nil, err
	}
	objects, err := openObjects(ctx, js, &s)
	if err != nil {
		return nil, err
	}
	q := newQueue(conn, js, stream, newObjectStore(conn, js, objects, newAuthor(), newRoom(s.maxStore, stream, objects), &s), &s)
	if err := q.start(ctx); err != nil {
		q.stop()
		return nil, err
	}
	return q, nil
}

// Durable reports that accepted jobs survive the end of the process: it is true.
func (q *Queue) Durable() bool { return true }

func newQueue(conn *nats.Conn, js jetstream.JetStream, stream jetstream.Stream, objects *objectStore, s *settings) *Queue {
	q := &Queue{
		conn: conn, js: js, stream: stream, objects: objects, name: s.stream, wait: s.ackWait, log: s.log, author: objects.author,
		changed: make(chan struct{}), consumers: map[place]jetstream.Consumer{}, hosted: map[string]*hosted{},
		held: map[uuid.UUID]*held{}, underway: map[place]int{}, outbox: map[string]*outgoing{},
		ready: map[place]int{}, old: map[place]int{},
		room: objects.room,
		turn: uint64(mathrand.Uint32()) << 32, // so that no other Queue value has leases with the same tokens
	}
	q.peers = newPeers(conn, q.signal("peers"), q.author, s.ackWait)
	q.mark.Store(stream.CachedInfo().State.LastSeq)
	q.ctx, q.stop = context.WithCancel(context.Background())
	return q
}

func newAuthor() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// start loads which consumers the stream has, and starts the goroutines relink and keep.
func (q *Queue) start(ctx context.Context) error {
	if err := q.findConsumers(ctx); err != nil {
		return err
	}
	if err := q.listen(); err != nil {
		return err
	}
	linked := q.conn.StatusChanged(nats.CONNECTED)
	q.work.Go(func() {
		defer q.conn.RemoveStatusListener(linked)
		q.relink(linked)
	})
	q.work.Go(q.keep)
	return nil
}

// Close ends all waiting calls. Jobs that this value has fetched and not leased are given back
// at once. A leased job that was not settled goes to another process after the time of
// [WithAckWait]. Close may be called again.
func (q *Queue) Close() error {
	q.mu.Lock()
	was := q.closed
	q.closed = true
	subs := q.watchers
	q.watchers = nil
	q.mu.Unlock()
	q.stop()
	q.work.Wait()
	if was {
		return nil
	}
	q.peers.tell("gone")
	for _, sub := range subs {
		_ = sub.Unsubscribe() // the connection may be gone
	}
	if q.owned {
		q.conn.Close()
		return nil
	}
	ctx, cancel := background() // not FlushTimeout: it takes its timers from a pool that all bubbles of testing/synctest share
	defer cancel()
	_ = q.conn.FlushWithContext(ctx) // sends what was given back; if that fails, the server gives those jobs again after AckWait
	return nil
}

// ErrServer is the error of a call whose request the server did not answer, or answered with an
// error: the server is gone, slow, or can't write. The caller doesn't know then whether a write
// has happened. The call may be repeated, and so may a Send with [faas.WithJobID]. The queue
// reconnects by itself.
var ErrServer = errors.New("the NATS server fails")

// errClosed is the error of every call on a closed queue.
func errClosed() error { return jobError("", faas.ErrClosed, "the queue is closed") }

// jobError wraps a sentinel error of package faas, with a text that fits jobs.
func jobError(function string, sentinel error, text string) error {
	return &faas.Error{Op: "job", Function: function, Err: &saidError{sentinel, text}}
}

// saidError wraps a sentinel and replaces its text.
type saidError struct {
	sentinel error
	text     string
}

func (e *saidError) Error() string { return e.text }
func (e *saidError) Unwrap() error { return e.sentinel }

// failed returns the error of a call whose request to the server failed with err.
func (q *Queue) failed(ctx context.Context, what string, err error) error {
	switch {
	case q.ctx.Err() != nil:
		return errClosed()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("faasnats: %s: %w: %w", what, ErrServer, err)
}

// usable returns the error of a call that can't begin because the queue is closed or ctx has
// ended.
func (q *Queue) usable(ctx context.Context) error {
	if q.ctx.Err() != nil {
		return errClosed()
	}
	return ctx.Err()
}

// tell wakes all waiting calls of Lease. q.mu is held.
func (q *Queue) tell() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// newWrite returns a name for a write that no other write has, of any process.
func (q *Queue) newWrite() string { return fmt.Sprintf("%s-%d", q.author, q.writes.Add(1)) }
