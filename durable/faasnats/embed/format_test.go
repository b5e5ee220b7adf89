package embed_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats/embed"
)

// makeOld gives a queue's directory the format of an older release, and closes it.
func makeOld(t *testing.T, q *embed.Queue, dir, format string) {
	t.Helper()
	conn := dial(t, q, &line{})
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), "OBJ_FAAS_objects"))
	stream, err := js.Stream(t.Context(), "FAAS")
	require.NoError(t, err)
	config := stream.CachedInfo().Config
	path := filepath.Join(dir, "format")
	if format == "" {
		delete(config.Metadata, "faas-format")
		require.NoError(t, os.Remove(path))
	} else {
		config.Metadata["faas-format"] = format
		require.NoError(t, os.WriteFile(path, []byte(format+"\n"), 0o600))
	}
	_, err = js.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	conn.Close()
	require.NoError(t, q.Close())
}

func TestADirectoryOfAnOlderFormatIsMigratedWithItsJobs(t *testing.T) {
	for what, format := range map[string]string{"0": "", "1": "1"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				q, err := embed.Open(dir)
				require.NoError(t, err)
				now := time.Now()
				small := faas.JobRecord{
					Format: faas.JobFormat, ID: [16]byte{1}, Function: "f", State: faas.JobReady, Accepted: now, Due: now, Payload: []byte("in"),
				}
				later := small
				later.ID, later.State, later.Due = [16]byte{2}, faas.JobScheduled, now.Add(time.Hour)
				for _, rec := range []faas.JobRecord{small, later} {
					_, err := q.Put(t.Context(), rec)
					require.NoError(t, err)
				}
				makeOld(t, q, dir, format)

				again := open(t, dir)
				for _, want := range []faas.JobRecord{small, later} {
					lease, err := again.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}, Term: time.Minute})
					require.NoError(t, err)
					require.Equal(t, want.ID, lease.Record.ID)
					require.Equal(t, want.Payload, lease.Record.Payload)
					next := lease.Record
					next.State, next.KeepUntil = faas.JobSucceeded, time.Now().Add(time.Hour)
					require.NoError(t, again.Settle(t.Context(), lease, next))
				}
				_, err = again.Put(t.Context(), largeJob(3))
				require.NoError(t, err, "what the new format has is there")
				text, err := os.ReadFile(filepath.Join(dir, "format"))
				require.NoError(t, err)
				require.Equal(t, "2\n", string(text))
				js, err := jetstream.New(dial(t, again, &line{}))
				require.NoError(t, err)
				stream, err := js.Stream(t.Context(), "FAAS")
				require.NoError(t, err)
				require.Equal(t, "2", stream.CachedInfo().Config.Metadata["faas-format"])
			})
		})
	}
}

func TestADirectoryWhoseStoreIsOfALaterFormatIsAClearError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		q, err := embed.Open(dir)
		require.NoError(t, err)
		makeOld(t, q, dir, "3")
		_, err = embed.Open(dir)
		require.ErrorContains(t, err, `format "3"`)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "format"), []byte("2\n"), 0o600))

		_, err = embed.Open(dir)

		require.ErrorContains(t, err, `the stream FAAS has the format "3"`)
	})
}
