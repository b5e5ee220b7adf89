package ledgersqlite_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost/ledgersqlite"
)

// fromID returns a record whose content is derived from its id.
func fromID(id uuid.UUID) faas.Execution {
	n := binary.BigEndian.Uint32(id[8:12])
	return faas.Execution{
		ID: id, Function: fmt.Sprintf("f%d", n%3), Tenant: fmt.Sprintf("t%d", n%7), Labels: map[string]string{"n": fmt.Sprint(n)},
		Start: epoch.Add(time.Duration(n)), Duration: time.Duration(n), Memory: int64(n), Cold: n%2 == 0,
	}
}

// writeUntilKilled is the child process: it writes 2,000 records a second, and prints the id
// of each when it is durable. It writes every eighth record twice, and writes again the
// records that an earlier child may have written without printing their ids.
func writeUntilKilled(path string) error {
	l, err := ledgersqlite.Open(path)
	if err != nil {
		return err
	}
	var again []faas.Execution
	for r, err := range l.Records(context.Background(), ledgersqlite.Filter{}) {
		if err != nil {
			return err
		}
		if again = append(again, r.Execution); len(again) == 100 {
			break
		}
	}
	if err := l.Append(context.Background(), again); err != nil {
		return err
	}
	const writers, perSecond = 50, 2000
	var out sync.Mutex
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range time.Tick(writers * time.Second / perSecond) {
				e := fromID(uuid.Must(uuid.NewV7()))
				if e.ID[15]%8 == 0 {
					wg.Go(func() { l.Record(context.Background(), e) })
				}
				l.Record(context.Background(), e)
				if l.Err() != nil {
					return // Record keeps the record in memory, but it is not stored
				}
				out.Lock()
				fmt.Fprintln(os.Stdout, e.ID)
				out.Unlock()
			}
		})
	}
	wg.Wait()
	return l.Err()
}

// runAndKill runs a child for a while, kills it, and returns the ids that it has printed.
func runAndKill(t *testing.T, path string, life time.Duration) (acknowledged []uuid.UUID) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	kill := time.AfterFunc(life, func() { _ = cmd.Process.Kill() }) // SIGKILL: nothing of the child runs after it
	defer kill.Stop()
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if err != nil { // the kill has cut the line off, so it does not count
			require.ErrorIs(t, err, io.EOF)
			break
		}
		acknowledged = append(acknowledged, uuid.MustParse(line[:len(line)-1]))
	}
	require.Error(t, cmd.Wait(), "the child has not been killed, but ended")
	return acknowledged
}

func TestKilledAtRandomMomentsNoAcknowledgedRecordIsLost(t *testing.T) {
	kills := 10
	if os.Getenv("FAAS_SOAK") != "" {
		kills = 50
	}
	path := filepath.Join(t.TempDir(), "calls.db")
	acknowledged := map[uuid.UUID]bool{}
	for range kills {
		// The child is killed at a random time: from before the file exists to a few commits
		// and checkpoints later.
		life := rand.N(400 * time.Millisecond)
		for _, id := range runAndKill(t, path, life) {
			require.False(t, acknowledged[id], "an id is new")
			acknowledged[id] = true
		}
		checkAfterCrash(t, path, acknowledged)
	}
	require.NotEmpty(t, acknowledged, "the children have had no time to write anything")
	t.Logf("%d kills, %d acknowledged records", kills, len(acknowledged))
}

func checkAfterCrash(t *testing.T, path string, acknowledged map[uuid.UUID]bool) {
	t.Helper()
	l, err := ledgersqlite.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	times := map[uuid.UUID]int{}
	for _, e := range executions(t, l, ledgersqlite.Filter{}) {
		times[e.ID]++
		if times[e.ID] > 1 {
			t.Fatalf("%v is there %d times", e.ID, times[e.ID])
		}
		if e.Duration != fromID(e.ID).Duration {
			t.Fatalf("%v is not what was written", e.ID)
		}
	}
	for id := range acknowledged {
		if times[id] != 1 {
			t.Fatalf("%v was acknowledged and is not there", id)
		}
	}
	require.NoError(t, l.Verify(t.Context()))
}
