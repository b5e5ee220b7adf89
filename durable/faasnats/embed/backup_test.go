package embed_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats/embed"
)

func TestABackupIsRestoredWithItsJobs(t *testing.T) {
	q, err := embed.Open(t.TempDir())
	require.NoError(t, err)
	defer q.Close()
	now := time.Now()
	var all []faas.JobRecord
	for n := range 20 {
		rec := faas.JobRecord{
			Format: faas.JobFormat, ID: uuid.New(), Function: "f", State: faas.JobReady, Accepted: now, Due: now, Payload: make([]byte, 50<<10),
		}
		if n%2 == 0 {
			rec.State, rec.Due = faas.JobScheduled, now.Add(time.Hour)
		}
		put, err := q.Put(t.Context(), rec)
		require.NoError(t, err)
		all = append(all, put)
	}
	lease, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute})
	require.NoError(t, err)
	next := lease.Record
	next.State, next.KeepUntil, next.Output = faas.JobSucceeded, now.Add(time.Hour), []byte("out")
	require.NoError(t, q.Settle(t.Context(), lease, next))

	var backup bytes.Buffer
	require.NoError(t, q.Backup(t.Context(), &backup))
	dir := t.TempDir()
	require.NoError(t, embed.Restore(t.Context(), dir, bytes.NewReader(backup.Bytes())))

	again := open(t, dir)
	for _, rec := range all {
		got, err := again.Get(t.Context(), rec.ID)
		require.NoError(t, err)
		if rec.ID == next.ID {
			require.Equal(t, faas.JobSucceeded, got.State)
			continue
		}
		require.Equal(t, rec.Payload, got.Payload)
		require.Equal(t, rec.State, got.State)
	}
	other, err := again.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute})
	require.NoError(t, err, "what waited runs on")
	require.NotEqual(t, next.ID, other.Record.ID)
}

func TestWhatIsNoBackupIsNotRestored(t *testing.T) {
	for _, text := range []string{"", "no backup\n", "{}\n", `{"faasBackup": "99", "stream": "FAAS"}` + "\n", `{"faasBackup": "1", "stream": "FAAS"}` + "\n"} {
		require.Error(t, embed.Restore(t.Context(), t.TempDir(), strings.NewReader(text)), text)
	}
}
