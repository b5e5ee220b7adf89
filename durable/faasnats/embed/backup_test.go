package embed_test

import (
	"bytes"
	"encoding/binary"
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
		if n%4 == 0 {
			rec.Payload = make([]byte, 600<<10) // an object
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
	next.State, next.KeepUntil, next.Output = faas.JobSucceeded, now.Add(time.Hour), bytes.Repeat([]byte("out"), 200<<10)
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
			require.Equal(t, next.Output, got.Output)
			continue
		}
		require.Equal(t, rec.Payload, got.Payload)
		require.Equal(t, rec.State, got.State)
	}
	other, err := again.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute})
	require.NoError(t, err, "what waited runs on")
	require.NotEqual(t, next.ID, other.Record.ID)
}

// A backup of format 1 is the snapshot of the records alone, without frames.
func TestABackupOfAnOlderReleaseIsRestored(t *testing.T) {
	q := open(t, t.TempDir())
	now := time.Now()
	rec := faas.JobRecord{Format: faas.JobFormat, ID: uuid.New(), Function: "f", State: faas.JobReady, Accepted: now, Due: now, Payload: []byte("in")}
	_, err := q.Put(t.Context(), rec)
	require.NoError(t, err)
	var backup bytes.Buffer
	require.NoError(t, q.Backup(t.Context(), &backup))
	head, err := backup.ReadBytes('\n')
	require.NoError(t, err)
	old := bytes.NewBuffer(bytes.Replace(head, []byte(`"faasBackup":"2"`), []byte(`"faasBackup":"1"`), 1))
	for {
		size := binary.BigEndian.Uint32(backup.Next(4))
		if size == 0 {
			break
		}
		old.Write(backup.Next(int(size)))
	}

	dir := t.TempDir()
	require.NoError(t, embed.Restore(t.Context(), dir, old))

	got, err := open(t, dir).Get(t.Context(), rec.ID)
	require.NoError(t, err)
	require.Equal(t, rec.Payload, got.Payload)
}

func TestABackupThatIsNotWholeIsNotRestored(t *testing.T) {
	q := open(t, t.TempDir())
	_, err := q.Put(t.Context(), largeJob(1))
	require.NoError(t, err)
	var backup bytes.Buffer
	require.NoError(t, q.Backup(t.Context(), &backup))
	cut := backup.Bytes()[:backup.Len()-1] // in its last frame
	require.ErrorContains(t, embed.Restore(t.Context(), t.TempDir(), bytes.NewReader(cut)), "not whole")
}

func TestWhatIsNoBackupIsNotRestored(t *testing.T) {
	for _, text := range []string{"", "no backup\n", "{}\n", `{"faasBackup": "99", "stream": "FAAS"}` + "\n", `{"faasBackup": "1", "stream": "FAAS"}` + "\n"} {
		require.Error(t, embed.Restore(t.Context(), t.TempDir(), strings.NewReader(text)), text)
	}
}
