//go:build amd64 || arm64

package torture_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats/embed"
)

// storm cuts the power n times below a process that plays a role, and kills the process. Every
// second cut loses everything that was not synced; the others keep a random half of it.
func storm(t *testing.T, d *disk, role, dir string, n int) *loop {
	t.Helper()
	l, r := newLoop(dir), rand.New(rand.NewPCG(9, 9))
	for cut := range n {
		m := mount(t, d, filepath.Join(dir, "jobs"))
		a := start(t, role, dir)
		if cut%4 == 0 { // the other cuts may come while the process starts
			l.await(a)
		}
		l.run(time.Duration(200+r.IntN(1200)) * time.Millisecond)
		a.kill()
		unmount(t, m)
		d.cut(func() bool { return cut%2 == 1 && r.IntN(2) == 0 })
	}
	return l
}

// saved copies the content of the disk to a directory where a queue can be opened.
func saved(t *testing.T, d *disk) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "saved")
	require.NoError(t, d.root.save(path))
	return path
}

func TestNoAcceptedJobIsLostByPowerCuts(t *testing.T) {
	dir, d, n := t.TempDir(), newDisk(true), cuts(t)
	l := storm(t, d, "embedded", dir, n)
	m := mount(t, d, filepath.Join(dir, "jobs"))
	finish := start(t, "embedded", dir, "FAAS_TEST_FINISH=1")
	require.NoError(t, finish.cmd.Wait(), finish.said)
	unmount(t, m)

	q, err := embed.Open(saved(t, d))
	require.NoError(t, err)
	defer q.Close()
	judge(t, q, dir, l, fmt.Sprintf("%d power cuts", n))
}

// On the same disk, a server that syncs every two minutes, as it does by default, loses jobs.
// This shows that the test above can fail.
func TestTheServersDefaultSyncIntervalLosesJobsByAPowerCut(t *testing.T) {
	dir, d := t.TempDir(), newDisk(true)
	storm(t, d, "lazy", dir, 1)

	q, stop, err := openLazy(saved(t, d))
	require.NoError(t, err)
	defer stop()
	accepted, lost := lines(t, dir, acceptedFile), 0
	for id := range accepted {
		if _, err := q.Get(context.Background(), uuid.MustParse(id)); errors.Is(err, faas.ErrNotFound) {
			lost++
		} else {
			require.NoError(t, err)
		}
	}
	t.Logf("%d jobs accepted, %d lost", len(accepted), lost)
	require.Positive(t, lost)
}

// cuts returns how often the power is cut: FAAS_POWERCUTS, or a few times.
func cuts(t *testing.T) int {
	t.Helper()
	return number(t, "FAAS_POWERCUTS", 4)
}
