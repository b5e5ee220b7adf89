package embed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/inproc/faas/durable/faasnats"
)

// Queue is a [faasnats.Queue] whose server runs in this process and stores into a directory.
type Queue struct {
	*faasnats.Queue

	dir    string
	server *server.Server
	conn   *nats.Conn
	lock   *os.File
	once   sync.Once
	err    error // what the first Close returned
}

// maxPayload is the largest message that the server accepts. A record is smaller, except with
// many jobs that follow from it: its large payload and output are objects, in smaller messages.
const maxPayload = 8 << 20

// ready is how long the server may take to load a directory.
const ready = 2 * time.Minute

// Open opens the queue in a directory, which it makes, for the owner alone, if it is not there.
// One process at a time can have a directory open: for a second one the error Is [ErrLocked].
// Close ends the use; the next Open finds the jobs that were accepted.
//
// Open reads all that is stored, and returns an error that Is [ErrDamaged] if a checksum is
// wrong. If the directory can't be written, the error wraps that of the operating system.
func Open(dir string, opts ...faasnats.Option) (*Queue, error) {
	q, err := serve(dir)
	if err != nil {
		return nil, err
	}
	opts = append([]faasnats.Option{faasnats.WithMaxStore(q.server.JetStreamConfig().MaxStore)}, opts...)
	if q.Queue, err = faasnats.OpenConn(context.Background(), q.conn, opts...); err != nil {
		return nil, errors.Join(err, q.stop())
	}
	return q, nil
}

// Restore fills a directory from a backup that [faasnats.Queue.Backup] has written, and makes
// the directory if it is not there. The directory must not hold a queue.
func Restore(ctx context.Context, dir string, r io.Reader) error {
	q, err := serve(dir)
	if err != nil {
		return err
	}
	return errors.Join(faasnats.Restore(ctx, q.conn, r), q.stop())
}

// serve locks a directory and runs a server on it.
func serve(dir string) (*Queue, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("embed: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	q := &Queue{dir: dir, lock: lock}
	if err := q.start(); err != nil {
		return nil, errors.Join(err, q.stop())
	}
	return q, nil
}

// start checks the directory, starts the server, and connects to it.
func (q *Queue) start() error {
	if err := errors.Join(checkFormat(q.dir), checkStore(filepath.Join(q.dir, storeDir))); err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "faas", DontListen: true, NoSigs: true, NoLog: true, MaxPayload: maxPayload, MaxPending: 8 * maxPayload,
		JetStream: true, StoreDir: filepath.Join(q.dir, storeDir), SyncAlways: true,
	})
	if err != nil {
		return fmt.Errorf("embed: %w", err)
	}
	q.server = s
	go s.Start()
	if !s.ReadyForConnections(ready) {
		return fmt.Errorf("embed: the server on %s is not ready after %v", q.dir, ready)
	}
	if !s.JetStreamEnabled() {
		return fmt.Errorf("embed: the server can't use %s: is it writable, and is the disk not full?", q.dir)
	}
	if q.conn, err = nats.Connect("", nats.InProcessServer(s), nats.MaxReconnects(-1)); err != nil {
		return fmt.Errorf("embed: %w", err)
	}
	return nil
}

// Close closes the queue, stops the server and unlocks the directory. It may be called again,
// and then returns the same error.
func (q *Queue) Close() error {
	q.once.Do(func() { q.err = q.stop() })
	return q.err
}

func (q *Queue) stop() (err error) {
	if q.Queue != nil {
		err = q.Queue.Close()
	}
	if q.conn != nil {
		q.conn.Close()
	}
	if q.server != nil {
		q.server.Shutdown()
		q.server.WaitForShutdown()
	}
	return errors.Join(err, q.lock.Close())
}
