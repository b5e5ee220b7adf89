package faaspg_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faaspg"
	"github.com/inproc/faas/trigger/source"
)

// postgres is a database server that is stopped with the test program.
type postgres struct {
	dir   string
	cmd   *exec.Cmd
	input io.WriteCloser
	lines *bufio.Scanner
}

// shared is the server of all tests, except those that kill their server.
var shared *postgres

func startPostgres() (*postgres, error) {
	dir, err := os.MkdirTemp("", "faaspg") // a short path, since that of a socket may have 107 bytes
	if err != nil {
		return nil, err
	}
	s := &postgres{dir: dir, cmd: exec.Command("bash", "postgres.sh", dir)}
	s.cmd.Stderr = os.Stderr
	s.input, err = s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.lines = bufio.NewScanner(out)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	return s, s.await()
}

func (s *postgres) await() error {
	if !s.lines.Scan() || s.lines.Text() != "ready" {
		return errors.Join(errors.New("the server is not ready"), s.input.Close(), s.cmd.Wait())
	}
	return nil
}

// kill kills the server as kill -9 does, and starts it again.
func (s *postgres) kill() error {
	_, err := io.WriteString(s.input, "kill\n")
	return errors.Join(err, s.await())
}

func (s *postgres) stop() {
	_ = s.input.Close()
	_ = s.cmd.Wait()
}

// url returns the address of a schema, which need not exist.
func (s *postgres) url(schema string) string {
	return fmt.Sprintf("host=%s user=faas dbname=postgres search_path=%s application_name=%s", s.dir, schema, schema)
}

// open returns a pool of a new schema that has an outbox.
func open(tb testing.TB) *pgxpool.Pool {
	tb.Helper()
	pool := openEmpty(tb)
	require.NoError(tb, faaspg.Migrate(tb.Context(), pool))
	return pool
}

// openEmpty returns a pool of a new schema without an outbox.
func openEmpty(tb testing.TB) *pgxpool.Pool {
	tb.Helper()
	schema := "s" + strings.ReplaceAll(uuid.NewString(), "-", "")
	pool, err := pgxpool.New(tb.Context(), shared.url(schema))
	require.NoError(tb, err)
	tb.Cleanup(pool.Close)
	_, err = pool.Exec(tb.Context(), "CREATE SCHEMA "+schema)
	require.NoError(tb, err)
	return pool
}

// drive drives a relay. The driver is stopped when the test ends.
func drive(tb testing.TB, r *faas.Router, relay *faaspg.Relay, opts ...source.Option) *source.Driver {
	tb.Helper()
	d, err := relay.Drive(r, append([]source.Option{source.WithLog(nil), source.WithRestart(10*time.Millisecond, time.Second)}, opts...)...)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := d.Stop(ctx); err != nil {
			tb.Error(err)
		}
	})
	return d
}

// sendTx sends a job in a transaction of its own, and commits it.
func sendTx[In, Out any](tb testing.TB, pool *pgxpool.Pool, fn *faas.Function[In, Out], in In, opts ...faas.SendOption) uuid.UUID {
	tb.Helper()
	return sendTxFor(tb, tb.Context(), pool, fn, in, opts...)
}

// sendTxFor is sendTx with a context of the caller's.
func sendTxFor[In, Out any](tb testing.TB, ctx context.Context, pool *pgxpool.Pool, fn *faas.Function[In, Out], in In, opts ...faas.SendOption) (id uuid.UUID) {
	tb.Helper()
	require.NoError(tb, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
		id, err = faaspg.SendTx(ctx, tx, fn, in, opts...)
		return err
	}))
	return id
}

// count returns the number that a query returns.
func count(tb testing.TB, pool *pgxpool.Pool, query string, args ...any) (n int) {
	tb.Helper()
	require.NoError(tb, pool.QueryRow(context.Background(), query, args...).Scan(&n))
	return n
}

// rows returns how many rows are in the outbox.
func rows(tb testing.TB, pool *pgxpool.Pool) int {
	tb.Helper()
	return count(tb, pool, "SELECT count(*) FROM faas_outbox")
}

// patience is how long a test waits for an event, on a busy machine.
const patience = 2 * time.Minute

// until polls until holds returns true. It is for events inside a server, of which the test
// gets no signal.
func until(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("after %v still not: %s", patience, what)
		}
	}
}

// untilEmpty waits until no row is left.
func untilEmpty(tb testing.TB, pool *pgxpool.Pool) {
	tb.Helper()
	until(tb, "the outbox is empty", func() bool { return rows(tb, pool) == 0 })
}

// receive returns a value from a channel, or fails the test.
func receive[T any](tb testing.TB, from <-chan T) T {
	tb.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		tb.Fatalf("nothing has come in %v", patience)
		panic("unreachable")
	}
}

// newRouter makes a router that is shut down with the test.
func newRouter(tb testing.TB, opts ...faas.RouterOption) *faas.Router {
	tb.Helper()
	return faastest.New(tb, opts...)
}

// seen collects the inputs with which a function was called.
type seen struct {
	mu    sync.Mutex
	calls []int
	came  chan int
}

func newSeen() *seen { return &seen{came: make(chan int, 100_000)} }

func (s *seen) add(n int) {
	s.mu.Lock()
	s.calls = append(s.calls, n)
	s.mu.Unlock()
	s.came <- n
}

func (s *seen) all() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int(nil), s.calls...)
}

// note registers a function that collects its inputs in s.
func note(r *faas.Router, name string, s *seen, opts ...faas.FunctionOption) *faas.Function[int, struct{}] {
	return faas.Register(r, name, func(_ context.Context, n int) (struct{}, error) {
		s.add(n)
		return struct{}{}, nil
	}, opts...)
}

// durable makes a queue count as durable.
type durable struct{ faas.JobQueue }

func (durable) Durable() bool { return true }

// lines counts the lines of a file.
func lines(tb testing.TB, dir, name string) map[string]int {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(tb, err)
	counts := map[string]int{}
	for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		if len(line) == 36 {
			counts[line]++
		}
	}
	return counts
}

// poolOf returns a pool of the same schema with at most n connections.
func poolOf(tb testing.TB, pool *pgxpool.Pool, n int32) *pgxpool.Pool {
	tb.Helper()
	c := pool.Config()
	c.MaxConns = n
	big, err := pgxpool.NewWithConfig(tb.Context(), c)
	require.NoError(tb, err)
	tb.Cleanup(big.Close)
	return big
}
