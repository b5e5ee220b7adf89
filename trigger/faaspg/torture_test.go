package faaspg_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats/embed"
	"github.com/inproc/faas/trigger/faaspg"
)

// kills returns how many times each process of a torture is killed: FAAS_TORTURE, or 2.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("FAAS_TORTURE")); err == nil {
		return n
	}
	return 2
}

// actor is a process that plays a role.
type actor struct {
	t    *testing.T
	cmd  *exec.Cmd
	said *bytes.Buffer
}

func start(t *testing.T, role, dir, url string, env ...string) *actor {
	t.Helper()
	a := &actor{t: t, cmd: exec.Command(os.Args[0]), said: &bytes.Buffer{}}
	a.cmd.Env = append(append(os.Environ(), roleEnv+"="+role, "FAAS_TEST_DIR="+dir, "FAAS_TEST_URL="+url), env...)
	a.cmd.Stdout, a.cmd.Stderr = a.said, a.said
	require.NoError(t, a.cmd.Start())
	t.Cleanup(func() { _ = a.cmd.Process.Kill() }) // an error means that it has ended
	return a
}

// kill kills the process, as kill -9 does.
func (a *actor) kill() {
	a.t.Helper()
	require.NoError(a.t, a.cmd.Process.Kill())
	require.ErrorContains(a.t, a.cmd.Wait(), "killed", a.said.String())
}

// ledger has the outcome of each transaction.
type ledger struct {
	mu                          sync.Mutex
	committed, undone, notKnown map[string]bool
}

func (l *ledger) note(in map[string]bool, id uuid.UUID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in[id.String()] = true
}

// write makes transactions until ctx ends. Some are committed, and some rolled back.
func (l *ledger) write(ctx context.Context, pool *pgxpool.Pool, fn *faas.Function[[]byte, string], seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 5))
	for ctx.Err() == nil {
		if err := l.transact(ctx, pool, fn, rnd); err != nil { // the server is down
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Duration(rnd.IntN(10)) * time.Millisecond)
	}
}

func (l *ledger) transact(ctx context.Context, pool *pgxpool.Pool, fn *faas.Function[[]byte, string], rnd *rand.Rand) error {
	tx, err := pool.Begin(ctx)
	if err != nil {
		return err
	}
	id, err := faaspg.SendTx(ctx, tx, fn, make([]byte, 256))
	if err != nil {
		l.note(l.undone, id)
		return errors.Join(err, tx.Rollback(context.WithoutCancel(ctx)))
	}
	time.Sleep(time.Duration(rnd.IntN(5)) * time.Millisecond)
	if rnd.IntN(5) == 0 {
		l.note(l.undone, id)
		return tx.Rollback(context.WithoutCancel(ctx))
	}
	if err := tx.Commit(context.WithoutCancel(ctx)); err != nil {
		l.note(l.notKnown, id) // the commit's answer was lost, or there was none
		return err
	}
	l.note(l.committed, id)
	return nil
}

// tortured is the state after a torture.
type tortured struct {
	*ledger

	dir  string
	runs map[string]int
}

// torture makes transactions that are committed or rolled back. Meanwhile it kills, in turn and
// at random moments, a relay with its queue, and PostgreSQL. Then it lets the last relay
// finish.
func torture(t *testing.T, role string) tortured {
	t.Helper()
	server, err := startPostgres()
	require.NoError(t, err)
	t.Cleanup(server.stop)
	url, dir := server.url("public"), t.TempDir()
	pool, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, faaspg.Migrate(t.Context(), pool))

	sender := faas.New() // hosts the function, for SendTx only
	defer sender.Close()
	fn := work(sender, func(string) error { return nil })
	l := &ledger{committed: map[string]bool{}, undone: map[string]bool{}, notKnown: map[string]bool{}}
	writing, stop := context.WithCancel(t.Context())
	defer stop()
	var writers sync.WaitGroup
	for n := range 8 {
		writers.Go(func() { l.write(writing, pool, fn, uint64(n)) })
	}
	rnd, relay := rand.New(rand.NewPCG(9, 9)), start(t, role, dir, url)
	for range kills() {
		time.Sleep(time.Duration(300+rnd.IntN(1200)) * time.Millisecond)
		relay.kill()
		relay = start(t, role, dir, url)
		time.Sleep(time.Duration(300+rnd.IntN(1200)) * time.Millisecond)
		require.NoError(t, server.kill())
	}
	time.Sleep(time.Duration(rnd.IntN(500)) * time.Millisecond)
	stop()
	writers.Wait()
	relay.kill()
	finish := start(t, role, dir, url, "FAAS_TEST_FINISH=1")
	require.NoError(t, finish.cmd.Wait(), finish.said)
	require.Zero(t, rows(t, pool))
	return tortured{l, dir, lines(t, dir, ranFile)}
}

// judge checks what must hold with every queue.
func (x *tortured) judge(t *testing.T, again int) {
	t.Helper()
	for id := range x.undone {
		assert.Zero(t, x.runs[id], "the job %v was rolled back, and ran", id)
	}
	for id := range x.runs {
		assert.True(t, x.committed[id] || x.notKnown[id], "the job %v ran, and was not committed", id)
	}
	t.Logf("%d kills of each: %d committed, %d rolled back, of %d the commit's answer was lost; %d jobs ran again",
		kills(), len(x.committed), len(x.undone), len(x.notKnown), again)
	require.NotEmpty(t, x.committed)
	require.NotEmpty(t, x.undone)
}

// again counts the jobs that have run more than once.
func (x *tortured) again() (n int) {
	for _, runs := range x.runs {
		if runs > 1 {
			n++
		}
	}
	return n
}

func TestNoCommittedJobIsLostByKillsOfTheProcessWithTheQueueInMemoryAndOfPostgres(t *testing.T) {
	t.Parallel()
	x := torture(t, "memory")
	for id := range x.committed {
		assert.NotZero(t, x.runs[id], "the job %v was committed, its row is gone, and it did not run", id)
	}
	x.judge(t, x.again())
}

func TestNoCommittedJobIsLostByKillsOfTheProcessWithTheDurableQueueAndOfPostgres(t *testing.T) {
	t.Parallel()
	x := torture(t, "durable")
	q, err := embed.Open(filepath.Join(x.dir, "jobs"))
	require.NoError(t, err)
	defer q.Close()
	ends := map[string]faas.JobRecord{}
	for rec, err := range q.List(t.Context(), faas.JobFilter{}) {
		require.NoError(t, err)
		ends[rec.ID.String()] = rec
		assert.False(t, x.undone[rec.ID.String()], "the job %v was rolled back, and is in the queue", rec.ID)
	}
	dead := 0
	for id := range x.committed {
		rec, found := ends[id]
		require.True(t, found, "the job %v was committed, its row is gone, and the queue does not have it", id)
		require.True(t, rec.State.IsSettled(), "the job %v is %v", id, rec.State)
		if rec.State == faas.JobDead {
			assert.Equal(t, faas.ConditionHostCrashes, rec.Condition)
			dead++
		} else {
			assert.NotZero(t, x.runs[id], "the job %v has succeeded, and did not run", id)
		}
	}
	x.judge(t, x.again())
	t.Logf("%d jobs are dead, since three processes died while they ran them", dead)
}
