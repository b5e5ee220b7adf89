package embed_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats/embed"
)

// filled makes a directory with jobs, and returns the path of its only block of records.
func filled(t *testing.T, jobs int) (dir, block string) {
	t.Helper()
	dir = t.TempDir()
	q, err := embed.Open(dir)
	require.NoError(t, err)
	now := time.Now()
	for range jobs {
		_, err := q.Put(t.Context(), faas.JobRecord{
			Format: faas.JobFormat, ID: uuid.New(), Function: "f", State: faas.JobReady, Accepted: now, Due: now, Payload: make([]byte, 1000),
		})
		require.NoError(t, err)
	}
	require.NoError(t, q.Close())
	blocks, err := filepath.Glob(filepath.Join(dir, "store", "jetstream", "*", "streams", "FAAS", "msgs", "*.blk"))
	require.NoError(t, err)
	require.Len(t, blocks, 1)
	return dir, blocks[0]
}

func TestADamagedBlockIsAClearErrorAndTheDirectoryStaysAsItIs(t *testing.T) {
	const jobs = 900 // more than a MiB
	dir, path := filled(t, jobs)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for at := 0; at < len(whole)-1<<20-2000; at += 20_011 {
		damaged := append([]byte(nil), whole...)
		damaged[at] ^= 0x80
		require.NoError(t, os.WriteFile(path, damaged, 0o600))

		_, err := embed.Open(dir)

		require.ErrorIs(t, err, embed.ErrDamaged, at)
		require.ErrorContains(t, err, path)
		now, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, damaged, now, "the server has not cut it off")
	}
	require.NoError(t, os.WriteFile(path, whole, 0o600))
	q, err := embed.Open(dir)
	require.NoError(t, err, "the directory is free, and whole")
	defer q.Close()
	require.Equal(t, jobs, listed(t, q))
}

func TestAMessageThatWasTornByADeathIsNoDamage(t *testing.T) {
	for what, tear := range map[string]func(whole []byte) []byte{
		"at its end":      func(whole []byte) []byte { return whole[:len(whole)-1] },
		"in its middle":   func(whole []byte) []byte { return whole[:len(whole)-1000] },
		"filled by zeros": func(whole []byte) []byte { clear(whole[len(whole)-500:]); return whole },
		"zeros behind it": func(whole []byte) []byte { return append(whole[:len(whole)-100], make([]byte, 900)...) },
	} {
		t.Run(what, func(t *testing.T) {
			dir, path := filled(t, 100)
			whole, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, tear(whole), 0o600))
			q, err := embed.Open(dir)
			require.NoError(t, err)
			defer q.Close()
			require.GreaterOrEqual(t, listed(t, q), 98, "all before it are there")
		})
	}
}

func listed(t *testing.T, q *embed.Queue) (n int) {
	t.Helper()
	for _, err := range q.List(t.Context(), faas.JobFilter{}) {
		require.NoError(t, err)
		n++
	}
	return n
}
