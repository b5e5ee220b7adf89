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

// postgres is a server that runs as long as the program that has started it.
type postgres struct {
	dir   string
	cmd   *exec.Cmd
	input io.WriteCloser
	lines *bufio.Scanner
}

// shared is the server of all tests but those that kill it.
var shared *postgres

func startPostgres() (*postgres, error) {
	dir, err := os.MkdirTemp("", "faaspg") // short: the path of a socket has 107 bytes at most
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

// kill is kill -9, and another start.
func (s *postgres) kill() error {
	_, err := io.WriteString(s.input, "kill\n")
	return errors.Join(err, s.await())
}

func (s *postgres) stop() {
	_ = s.input.Close()
	_ = s.cmd.Wait()
}

// url is that of a schema, which need not be there.
func (s *postgres) url(schema string) string {
	return fmt.Sprintf("host=%s user=faas dbname=postgres search_path=%s application_name=%s", s.dir, schema, schema)
}

// open returns a pool of a new schema with an outbox.
func open(tb testing.TB) *pgxpool.Pool {
	tb.Helper()
	pool := openEmpty(tb)
	require.NoError(tb, faaspg.Migrate(tb.Context(), pool))
	return pool
}

// openEmpty is open without an outbox.
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

// drive drives a relay; the driver ends with the test.
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

// sendTx sends in a transaction of its own, which is committed.
func sendTx[In, Out any](tb testing.TB, pool *pgxpool.Pool, fn *faas.Function[In, Out], in In, opts ...faas.SendOption) uuid.UUID {
	tb.Helper()
	return sendTxFor(tb, tb.Context(), pool, fn, in, opts...)
}

// sendTxFor is sendTx with what ctx says.
func sendTxFor[In, Out any](tb testing.TB, ctx context.Context, pool *pgxpool.Pool, fn *faas.Function[In, Out], in In, opts ...faas.SendOption) (id uuid.UUID) {
	tb.Helper()
	require.NoError(tb, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
		id, err = faaspg.SendTx(ctx, tx, fn, in, opts...)
		return err
	}))
	return id
}

// count returns the number that a query has as its answer.
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

// patience is for how long a test waits for what must come, on a machine with other work.
const patience = 2 * time.Minute

// until waits for what has no event here, since it happens in a server.
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

// receive returns what comes from a channel.
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

// seen is what a function has been called with.
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

// note registers a function that notes its calls.
func note(r *faas.Router, name string, s *seen, opts ...faas.FunctionOption) *faas.Function[int, struct{}] {
	return faas.Register(r, name, func(_ context.Context, n int) (struct{}, error) {
		s.add(n)
		return struct{}{}, nil
	}, opts...)
}

// durable is a queue that says it outlives the process.
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

// poolOf is a pool of the same schema that has so many connections.
func poolOf(tb testing.TB, pool *pgxpool.Pool, n int32) *pgxpool.Pool {
	tb.Helper()
	c := pool.Config()
	c.MaxConns = n
	big, err := pgxpool.NewWithConfig(tb.Context(), c)
	require.NoError(tb, err)
	tb.Cleanup(big.Close)
	return big
}
