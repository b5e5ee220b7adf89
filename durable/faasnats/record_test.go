package faasnats_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func FuzzATokenIsReadAsItWasWrittenAndIsOneTokenOfASubject(f *testing.F) {
	for _, name := range []string{"", "resize", "a.b", "*", ">", "a=2E", "über", "\x00 \n"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		text := faasnats.Token(name)
		require.False(t, strings.ContainsAny(text, ". *>\t\r\n/\\"), text)
		back, ok := faasnats.Untoken(text)
		require.True(t, ok)
		require.Equal(t, name, back)
	})
}

func FuzzARecordIsReadAsItWasWritten(f *testing.F) {
	f.Add("resize:live", "acme", "key", []byte("payload"), []byte("output"), []byte("[]"))
	f.Add("", "", "", []byte(nil), []byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, name, tenant, label string, payload, output, follow []byte) {
		tenant = strings.ToValidUTF8(tenant, "\uFFFD") // as a JSON encoder would change it
		now := time.Now().Round(0).UTC()
		rec := faas.JobRecord{
			Format: faas.JobFormat, ID: uuid.New(), Function: "f", Name: name, Tenant: tenant, State: faas.JobReady, Accepted: now, Due: now,
			Payload: payload, Output: output, Labels: map[string]string{"l": label},
		}
		msg, err := faasnats.Encode(&rec, follow)
		require.NoError(t, err)

		got, more, err := faasnats.Decode(msg.Subject, msg.Header, msg.Data)

		require.NoError(t, err)
		require.Equal(t, string(payload), string(got.Payload))
		require.Equal(t, string(output), string(got.Output))
		require.Equal(t, string(follow), string(more))
		require.Equal(t, tenant, got.Tenant)
		require.Equal(t, rec.ID, got.ID)
		require.True(t, now.Equal(got.Due))
	})
}

func FuzzWhatIsNoRecordIsAnError(f *testing.F) {
	f.Add("j.f.0.000102030405060708090a0b0c0d0e0f.go", `{"format":1}`, "2 0", []byte("in"))
	f.Add("j.f", "", "", []byte{})
	f.Add("j.f.0.000102030405060708090a0b0c0d0e0f.go", `{"format":1}`, "9223372036854775807 9223372036854775807", []byte("in"))
	f.Fuzz(func(t *testing.T, subject, record, parts string, data []byte) {
		header := nats.Header{}
		header.Set("Faas-Record", record)
		header.Set("Faas-Parts", parts)
		rec, follow, err := faasnats.Decode(subject, header, data)
		if err == nil {
			require.Len(t, data, len(rec.Payload)+len(rec.Output)+len(follow))
		}
	})
}

func TestASubjectSaysWhoseJobItIs(t *testing.T) {
	t.Parallel()
	rec := faas.JobRecord{ID: uuid.New(), Function: "a.b*", Tenant: "acme"}
	function, bucket, id, state, ok := faasnats.ParseSubject(faasnats.PlaceSubject(&rec))
	require.True(t, ok)
	require.Equal(t, []any{"a.b*", rec.ID, "go"}, []any{function, id, state})
	require.Equal(t, faasnats.Bucket(&rec), bucket)
	for _, bad := range []string{"", "j.f.0.xyz.go", "j.f.0.00.go", "u.f.0.000102030405060708090a0b0c0d0e0f.go", "j.=Z.0.000102030405060708090a0b0c0d0e0f.go"} {
		_, _, _, _, ok := faasnats.ParseSubject(bad)
		require.False(t, ok, bad)
	}
}

// Stored jobs have been placed by these values, so they must never change.
func TestJobsStayWhereTheyWerePlaced(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for n := range 1000 {
		seen[faasnats.Bucket(&faas.JobRecord{Tenant: fmt.Sprint("tenant", n)})]++
		seen[faasnats.Bucket(&faas.JobRecord{OrderKey: fmt.Sprint("key", n)})]++
	}
	require.Len(t, seen, 4+64, "all buckets and partitions are used")
	for _, b := range []string{"0", "1", "2", "3"} {
		require.InDelta(t, 250, seen[b], 60, b)
	}
	require.Equal(t, "0 3 o9", strings.Join([]string{
		faasnats.Bucket(&faas.JobRecord{}), faasnats.Bucket(&faas.JobRecord{Tenant: "acme"}), faasnats.Bucket(&faas.JobRecord{Tenant: "acme", OrderKey: "k"}),
	}, " "))
}

// If the function of an ID is not known, the server's work for a fence grows with the number of
// functions.
func TestAnIDThatWasMadeForAJobIsLookedForInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	rec := faas.JobRecord{ID: uuid.UUID{15: 1}, Function: "f"}
	const id = "00000000000000000000000000000001.>"
	require.Equal(t, "j.*.*."+id, faasnats.WhereTaken(&rec))
	rec.NewID = true
	require.Equal(t, "j.f.0."+id, faasnats.WhereTaken(&rec))
	rec.UniqueKey = "order-1" // then the ID may be that of another Put, with another order key
	require.Equal(t, "j.*.*."+id, faasnats.WhereTaken(&rec))
}

func TestTheVersionOfAServerIsRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][3]any{
		"2.15.3": {2, 15, true}, "2.9.10": {2, 9, true}, "3.0.0-beta.1": {3, 0, true}, "": {0, 0, false}, "dev": {0, 0, false}, "2.x.1": {2, 0, false},
	} {
		major, minor, ok := faasnats.Version(text)
		require.Equal(t, want, [3]any{major, minor, ok}, text)
	}
}
