package embed_test

import (
	"bytes"
	"context"
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

// kills is how many processes a torture kills: FAAS_TORTURE, else a few.
func kills(t *testing.T, few int) int {
	t.Helper()
	if n, err := strconv.Atoi(os.Getenv("FAAS_TORTURE")); err == nil {
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
	t.Cleanup(func() { _ = a.cmd.Process.Kill() }) // it may have ended
	return a
}

// kill is kill -9.
func (a *actor) kill() {
	require.NoError(a.t, a.cmd.Process.Kill())
	require.ErrorContains(a.t, a.cmd.Wait(), "killed", a.said.String())
}

func TestNoAcceptedJobIsLostByKillMinus9(t *testing.T) {
	dir, r := t.TempDir(), rand.New(rand.NewPCG(7, 7))
	begun, n := time.Now(), kills(t, 4)
	for range n {
		a := start(t, "embedded", dir)
		time.Sleep(time.Duration(200+r.IntN(1200)) * time.Millisecond)
		a.kill()
	}
	took := time.Since(begun)
	finish := start(t, "embedded", dir, "FAAS_TEST_FINISH=1")
	require.NoError(t, finish.cmd.Wait(), finish.said)

	q, err := embed.Open(filepath.Join(dir, "jobs"))
	require.NoError(t, err)
	defer q.Close()
	judge(t, q, dir, n, took)
}

func TestNoAcceptedJobIsLostWhenServersAndWorkersAreKilled(t *testing.T) {
	dir, r := t.TempDir(), rand.New(rand.NewPCG(8, 8))
	port := "FAAS_TEST_PORT=" + freePort(t)
	server := start(t, "server", dir, port)
	workers := []*actor{start(t, "remote", dir, port), start(t, "remote", dir, port)}
	begun, n := time.Now(), kills(t, 4)
	for range n {
		time.Sleep(time.Duration(300+r.IntN(1200)) * time.Millisecond)
		if i := r.IntN(3); i < len(workers) {
			workers[i].kill()
			workers[i] = start(t, "remote", dir, port)
		} else {
			server.kill()
			server = start(t, "server", dir, port)
		}
	}
	took := time.Since(begun)
	for _, w := range workers {
		w.kill()
	}
	finish := start(t, "remote", dir, port, "FAAS_TEST_FINISH=1")
	require.NoError(t, finish.cmd.Wait(), finish.said)

	q, err := openRemote("nats://127.0.0.1:" + strings.TrimPrefix(port, "FAAS_TEST_PORT="))
	require.NoError(t, err)
	defer q.Close()
	judge(t, q, dir, n, took)
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

// judge checks that every accepted job has ended once, and counts those that ran again.
func judge(t *testing.T, q faas.JobQueue, dir string, kills int, took time.Duration) {
	t.Helper()
	accepted, ran, told := lines(t, dir, acceptedFile), lines(t, dir, ranFile), lines(t, dir, toldFile)
	again, dead, states := 0, 0, map[uuid.UUID]faas.JobRecord{}
	for rec, err := range q.List(context.Background(), faas.JobFilter{Function: "work"}) {
		require.NoError(t, err)
		states[rec.ID] = rec
	}
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
		case told[text] == 0:
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
	t.Logf("%d kills; %d jobs accepted in %.0f s, %.0f/s; %d ran again after their host had died with them; %d are dead after three hosts have",
		kills, len(accepted), took.Seconds(), float64(len(accepted))/took.Seconds(), again, dead)
	require.NotEmpty(t, accepted)
}

// lines counts the lines of a file.
func lines(t *testing.T, dir, name string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	count := map[string]int{}
	for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		if len(line) == 36 {
			count[line]++
		}
	}
	return count
}
