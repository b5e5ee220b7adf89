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

// Queue is a [faas.JobQueue] that keeps its jobs in a stream of a NATS server. Many
// processes may have one on the same stream. Its methods may be called concurrently.
type Queue struct {
	conn     *nats.Conn
	owned    bool // the connection is closed with the queue
	js       jetstream.JetStream
	stream   jetstream.Stream
	objects  *objectStore
	name     string // of the stream
	wait     time.Duration
	log      *slog.Logger
	author   string        // of what this value writes
	writes   atomic.Uint64 // counts them
	mark     atomic.Uint64 // the stream's last sequence at the last connect: what is not newer may be out of date
	acked    ackTally
	saidBusy atomic.Bool
	peers    *peers
	room     room
	links    atomic.Uint64 // how often the connection was made again, when mark was set

	ctx  context.Context //nolint:containedctx // ends with the queue, and with it all waiting
	stop context.CancelFunc
	work sync.WaitGroup // of the goroutines

	mu        sync.Mutex // guards what follows
	closed    bool
	changed   chan struct{} // closed, and replaced, when a job may be leased
	consumers map[place]jetstream.Consumer
	hosted    map[string]*hosted // by function
	held      map[uuid.UUID]*held
	turn      uint64               // counts leases; it is also their tokens
	underway  map[place]int        // settled records that the consumer has not given yet
	ready     map[place]int        // held jobs in lanes
	old       map[place]int        // jobs that were older than mark
	outbox    map[string]*outgoing // by write
	watchers  []*nats.Subscription
}

// Open connects to a server and opens the queue there. See [OpenConn]; Close closes the
// connection too. It is re-established for as long as the queue is open.
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

// OpenConn opens the queue on a connection, which must outlive it. It makes the stream if
// there is none. It fails if the server is older than 2.15 or has no JetStream, if the
// stream has limits that would delete jobs, fewer replicas than asked, or does not take
// messages of the size that is needed. A stream that an older release has made gets the format
// of this one, which that release does not read; one of a later format is an error.
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
	q := newQueue(conn, js, stream, newObjectStore(conn, js, objects, newAuthor(), &s), &s)
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
		room: room{most: s.maxStore, mine: map[string]int64{}, used: int64(stream.CachedInfo().State.Bytes + objects.stream.CachedInfo().State.Bytes)},
		turn: uint64(mathrand.Uint32()) << 32, // no lease of another value has the same token
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

// start loads what the stream has, and starts the keeper.
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

// Close ends all waiting calls, and gives back the jobs that this value holds and that
// were not leased. A leased job that was not settled is given to another process when its
// lease has run out.
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
	ctx, cancel := background() // not FlushTimeout: its timers are shared by all bubbles of testing/synctest
	defer cancel()
	_ = q.conn.FlushWithContext(ctx) // what was given back; without it the server does so later
	return nil
}

// ErrServer is the error of a call that the server has not answered, or has answered with an
// error: it is gone, slow, or can't write. It is not known then whether a write has happened:
// it may be repeated, also by a Send with [faas.WithJobID]. The queue connects again by itself.
var ErrServer = errors.New("the NATS server fails")

// errClosed is the answer of a queue that is closed.
func errClosed() error { return jobError("", faas.ErrClosed, "the queue is closed") }

// jobError is an error that Is the sentinel, in words that fit a job.
func jobError(function string, sentinel error, text string) error {
	return &faas.Error{Op: "job", Function: function, Err: &saidError{sentinel, text}}
}

// saidError is a sentinel in other words.
type saidError struct {
	sentinel error
	text     string
}

func (e *saidError) Error() string { return e.text }
func (e *saidError) Unwrap() error { return e.sentinel }

// failed is the answer of a call whose request to the server has failed.
func (q *Queue) failed(ctx context.Context, what string, err error) error {
	switch {
	case q.ctx.Err() != nil:
		return errClosed()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("faasnats: %s: %w: %w", what, ErrServer, err)
}

// usable returns why a call can't begin.
func (q *Queue) usable(ctx context.Context) error {
	if q.ctx.Err() != nil {
		return errClosed()
	}
	return ctx.Err()
}

// tell wakes all Leases that wait. q.mu is held.
func (q *Queue) tell() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// newWrite names a write.
func (q *Queue) newWrite() string { return fmt.Sprintf("%s-%d", q.author, q.writes.Add(1)) }
