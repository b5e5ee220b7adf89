package torture_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats/embed"
)

// kills returns how many processes a torture kills: FAAS_KILLS, or a few.
func kills(t *testing.T) int {
	t.Helper()
	return number(t, "FAAS_KILLS", 4)
}

// number returns the number of rounds: the variable env, or few.
func number(t *testing.T, env string, few int) int {
	t.Helper()
	if n, err := strconv.Atoi(os.Getenv(env)); err == nil {
		return n
	}
	if testing.Short() {
		return 2
	}
	return few
}

// actor is a process that plays a role.
type actor struct {
	t    *testing.T
	cmd  *exec.Cmd
	said *bytes.Buffer
}

func start(t *testing.T, role, dir string, env ...string) *actor {
	t.Helper()
	a := &actor{t: t, cmd: exec.Command(os.Args[0]), said: &bytes.Buffer{}}
	a.cmd.Env = append(append(os.Environ(), roleEnv+"="+role, "FAAS_TEST_DIR="+dir), env...)
	a.cmd.Stdout, a.cmd.Stderr = a.said, a.said
	require.NoError(t, a.cmd.Start())
	t.Cleanup(func() { _ = a.cmd.Process.Kill() }) // an error means that it has ended
	return a
}

// kill kills the process, as kill -9 does.
func (a *actor) kill() {
	require.NoError(a.t, a.cmd.Process.Kill())
	require.ErrorContains(a.t, a.cmd.Wait(), "killed", a.said.String())
}

// loop watches the processes that are killed. They send a job when the one before has ended, so
// no backlog grows.
type loop struct {
	accepted string        // the file that gets a line for each accepted job
	busy     time.Duration // the sum of the times from the first job after each start
}

func newLoop(dir string) *loop { return &loop{accepted: filepath.Join(dir, acceptedFile)} }

func (l *loop) size() int64 {
	info, err := os.Stat(l.accepted)
	if err != nil {
		return 0 // no job was accepted yet
	}
	return info.Size()
}

// await waits until a process has accepted a job.
func (l *loop) await(a *actor) {
	had, start := l.size(), time.Now()
	for l.size() == had {
		require.Less(a.t, time.Since(start), 2*time.Minute, "no job is accepted")
		time.Sleep(10 * time.Millisecond)
	}
}

// run lets a process that was just started work for a while.
func (l *loop) run(d time.Duration) {
	had, until := l.size(), time.Now().Add(d)
	for l.size() == had && time.Now().Before(until) {
		time.Sleep(10 * time.Millisecond)
	}
	left := time.Until(until)
	time.Sleep(left)
	l.busy += max(0, left)
}

func TestNoAcceptedJobIsLostByKillMinus9(t *testing.T) {
	dir, r := t.TempDir(), rand.New(rand.NewPCG(7, 7))
	n, l := kills(t), newLoop(dir)
	for round := range n {
		a := start(t, "embedded", dir)
		if round%4 == 0 { // the other kills may come while the process starts
			l.await(a)
		}
		l.run(time.Duration(200+r.IntN(1200)) * time.Millisecond)
		a.kill()
	}
	finish := start(t, "embedded", dir, "FAAS_TEST_FINISH=1")
	require.NoError(t, finish.cmd.Wait(), finish.said)

	q, err := embed.Open(filepath.Join(dir, "jobs"))
	require.NoError(t, err)
	defer q.Close()
	judge(t, q, dir, l, fmt.Sprintf("%d kills of the process with the server", n))
}

func TestNoAcceptedJobIsLostWhenServersAndWorkersAreKilled(t *testing.T) {
	dir, r := t.TempDir(), rand.New(rand.NewPCG(8, 8))
	port := "FAAS_TEST_PORT=" + freePort(t)
	server := start(t, "server", dir, port)
	workers := []*actor{start(t, "remote", dir, port), start(t, "remote", dir, port)}
	n, l := kills(t), newLoop(dir)
	l.await(workers[0]) // the kills may come while processes start
	for range n {
		l.run(time.Duration(300+r.IntN(1200)) * time.Millisecond)
		if i := r.IntN(3); i < len(workers) {
			workers[i].kill()
			workers[i] = start(t, "remote", dir, port)
		} else {
			server.kill()
			server = start(t, "server", dir, port)
		}
	}
	for _, w := range workers {
		w.kill()
	}
	finish := start(t, "remote", dir, port, "FAAS_TEST_FINISH=1")
	require.NoError(t, finish.cmd.Wait(), finish.said)

	q, err := openRemote("nats://127.0.0.1:" + strings.TrimPrefix(port, "FAAS_TEST_PORT="))
	require.NoError(t, err)
	defer q.Close()
	judge(t, q, dir, l, fmt.Sprintf("%d kills of workers and servers", n))
	server.kill()
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

// judge checks that every accepted job has ended once. It counts the jobs that ran more than
// once.
func judge(t *testing.T, q faas.JobQueue, dir string, l *loop, what string) {
	t.Helper()
	accepted, ran, told := lines(t, dir, acceptedFile), lines(t, dir, ranFile), lines(t, dir, toldFile)
	again, dead, states := 0, 0, map[uuid.UUID]faas.JobRecord{}
	for rec, err := range q.List(context.Background(), faas.JobFilter{Function: "work"}) {
		require.NoError(t, err)
		states[rec.ID] = rec
	}
	untold := deadDestinations(t, q)
	for text := range accepted {
		id := uuid.MustParse(text)
		rec, found := states[id]
		require.True(t, found, "the job %v was accepted, and is not there", id)
		require.True(t, rec.State.IsSettled(), "the job %v is %v", id, rec.State)
		switch {
		case rec.State == faas.JobDead:
			require.Equal(t, faas.ConditionHostCrashes, rec.Condition)
			dead++
		case ran[text] == 0:
			t.Errorf("the job %v has succeeded, and did not run", id)
		case told[text] == 0 && !untold[text]:
			t.Errorf("the destination of job %v was not told", id)
		}
	}
	for id, n := range ran {
		if n == 1 {
			continue
		}
		again++
		rec := states[uuid.MustParse(id)]
		require.LessOrEqual(t, n-1, rec.Crashes+1, "the job %v ran %d times, and %d hosts have died with it; a server that dies forgets one", id, n, rec.Crashes)
	}
	t.Logf("%s: %d jobs accepted in %.0f s of a closed loop, %.0f/s; %d ran again after their host had died with them; %d are dead after three hosts have",
		what, len(accepted), l.busy.Seconds(), float64(len(accepted))/l.busy.Seconds(), again, dead)
	require.NotEmpty(t, accepted)
}

// deadDestinations returns the IDs of jobs whose destination is dead after three hosts have died with
// it. On a slow machine a host that is alive may be taken for dead, since AckWait is a second.
func deadDestinations(t *testing.T, q faas.JobQueue) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for rec, err := range q.List(context.Background(), faas.JobFilter{Function: "told", States: []faas.JobState{faas.JobDead}}) {
		require.NoError(t, err)
		require.Equal(t, faas.ConditionHostCrashes, rec.Condition)
		var e faas.JobEnvelope
		require.NoError(t, json.Unmarshal(rec.Payload, &e))
		all[e.RequestContext.RequestID] = true
	}
	return all
}

// lines counts the lines of a file.
func lines(t *testing.T, dir, name string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if !errors.Is(err, fs.ErrNotExist) { // the file does not exist before the first line
		require.NoError(t, err)
	}
	count := map[string]int{}
	for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		if len(line) == 36 {
			count[line]++
		}
	}
	return count
}
