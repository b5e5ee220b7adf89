package torture_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faascron"
)

// firedFile has the IDs of a timer's jobs, written by the handler.
const firedFile = "fired"

// The test takes fifteen seconds in place of an hour of a timer that fires each minute. For the
// timer there is no difference: it sleeps until the next multiple of its step.
const (
	firings = 60
	step    = 250 * time.Millisecond
)

// playTimer runs the timer until the process is killed. Other processes run the same timer. If
// it is told to finish, it fires the times that the others have left out, and one more.
func playTimer(dir, port string) error {
	q, err := openRemote("nats://127.0.0.1:" + port)
	if err != nil {
		return err
	}
	defer q.Close()
	fired, err := appendTo(dir, firedFile)
	if err != nil {
		return err
	}
	r := faas.New(faas.WithJobs(q))
	defer r.Close()
	began, later, once := time.Now(), make(chan struct{}), sync.Once{}
	faas.Register(r, "often", func(ctx context.Context, tick faascron.Tick) (struct{}, error) {
		inv, _ := faas.FromContext(ctx)
		if tick.Scheduled.After(began) {
			once.Do(func() { close(later) })
		}
		return struct{}{}, fired(inv.Job.String())
	})
	timer, err := faascron.Every(r, "often", "@every "+step.String(), faascron.CatchUp(faascron.All(1000)), faascron.Log(nil))
	if err != nil {
		return err
	}
	if os.Getenv("FAAS_TEST_FINISH") == "" {
		<-timer.Done() // in most runs the process is killed before
		return errors.New("the timer has ended")
	}
	<-later
	return errors.Join(timer.Stop(context.Background()), drained(q))
}

// Three processes have the same timer, on a server in a fourth process. One of the four is
// killed and started again, then the next. Before each kill, a firing has run.
func TestThreeProcessesWithATimerFireOnceThroughKillsOfThemAndOfTheServer(t *testing.T) {
	dir, r, few := t.TempDir(), rand.New(rand.NewPCG(10, 10)), 12
	if os.Getenv("FAAS_SOAK") != "" {
		few = 120
	}
	n, l := number(t, "FAAS_KILLS", few), &loop{accepted: filepath.Join(dir, firedFile)}
	port := "FAAS_TEST_PORT=" + freePort(t)
	roles := []string{"timer", "timer", "timer", "server"}
	var actors []*actor
	for _, role := range roles {
		actors = append(actors, start(t, role, dir, port))
	}
	for range n {
		l.await(actors[0])
		time.Sleep(time.Duration(r.IntN(700)) * time.Millisecond)
		i := r.IntN(len(roles))
		actors[i].kill()
		actors[i] = start(t, roles[i], dir, port)
	}
	for len(lines(t, dir, firedFile)) < firings {
		l.await(actors[0])
	}
	for _, host := range actors[:3] {
		host.kill()
	}
	finish := start(t, "timer", dir, port, "FAAS_TEST_FINISH=1")
	require.NoError(t, finish.cmd.Wait(), finish.said)

	q, err := openRemote("nats://127.0.0.1:" + strings.TrimPrefix(port, "FAAS_TEST_PORT="))
	require.NoError(t, err)
	defer q.Close()
	judgeTimer(t, q, dir, n)
	actors[3].kill()
}

// judgeTimer checks that each time of the timer has one job, which has ended. It counts the
// jobs that ran more than once.
func judgeTimer(t *testing.T, q faas.JobQueue, dir string, kills int) {
	t.Helper()
	ran, again, dead := lines(t, dir, firedFile), 0, 0
	var times []string
	for rec, err := range q.List(context.Background(), faas.JobFilter{Function: "often"}) {
		require.NoError(t, err)
		require.True(t, rec.State.IsSettled(), "the job %v is %v", rec.ID, rec.State)
		times = append(times, rec.Labels["faascron.scheduled"])
		runs := ran[rec.ID.String()]
		delete(ran, rec.ID.String())
		if rec.State == faas.JobDead {
			require.Equal(t, faas.ConditionHostCrashes, rec.Condition)
			dead++
		} else {
			require.Positive(t, runs, "the job %v has succeeded, and did not run", rec.ID)
		}
		require.LessOrEqual(t, runs-1, rec.Crashes+1,
			"the job %v ran %d times, and %d hosts have died with it; a server that dies forgets one", rec.ID, runs, rec.Crashes)
		if runs > 1 {
			again++
		}
	}
	require.Empty(t, ran, "these ran, and are no jobs")
	slices.Sort(times)
	require.GreaterOrEqual(t, len(times), firings)
	for i, text := range times {
		require.Equal(t, timeOf(t, times[0]).Add(time.Duration(i)*step), timeOf(t, text), "each time has one job, and none is left out")
	}
	t.Logf("%d kills of three processes with a timer and of their server: %d firings; %d ran again after their host had died with them, %d are dead",
		kills, len(times), again, dead)
}

func timeOf(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(t, err)
	return at
}
