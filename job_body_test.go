package faas_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// A queue in memory keeps most settled jobs in an encoding of its own.
func TestTheRecordOfASettledJobIsKeptWhole(t *testing.T) {
	t.Parallel()
	at := time.Now().Round(0).UTC()
	end := faas.JobEnd{
		At: at, Invocation: uuid.New(), Version: "7", Kind: faas.KindBusy, Outcome: faas.Failed, Reason: faas.ReasonQueueTimeout,
		Error: "no way", ErrorType: "tooBad", Duration: time.Minute,
	}
	for name, change := range map[string]func(*faas.JobRecord){
		"plain":      func(*faas.JobRecord) {},
		"no payload": func(rec *faas.JobRecord) { rec.Payload, rec.Output, rec.Last = nil, nil, nil },
		"empty":      func(rec *faas.JobRecord) { rec.Payload, rec.Output = []byte{}, []byte{} },
		"large":      func(rec *faas.JobRecord) { rec.Output = []byte(strings.Repeat("x", 10_000)) },
		"canceled": func(rec *faas.JobRecord) {
			rec.State, rec.Condition, rec.Output = faas.JobCanceled, faas.ConditionCanceled, nil
		},
		"dead":     func(rec *faas.JobRecord) { rec.State, rec.Condition = faas.JobDead, faas.ConditionPermanent },
		"labels":   func(rec *faas.JobRecord) { rec.Labels, rec.Items = map[string]string{"a": "b"}, 3 },
		"origin":   func(rec *faas.JobRecord) { rec.Origin = &faas.JobOrigin{Principal: "other", Depth: 1} },
		"for ever": func(rec *faas.JobRecord) { rec.KeepUntil = time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := faas.NewMemoryJobs(0, 0)
			first, err := q.Put(t.Context(), faas.JobRecord{
				Format: faas.JobFormat, ID: uuid.New(), Function: "f", Name: "f:live", Tenant: "acme", Priority: -3, State: faas.JobReady,
				OrderKey: "k", Accepted: at, Due: at.Add(-time.Minute), Payload: []byte("in"),
			})
			require.NoError(t, err)
			l, err := q.Lease(t.Context(), faas.LeaseRequest{Functions: []string{"f"}})
			require.NoError(t, err)
			last, rec := end, l.Record
			rec.State, rec.Condition, rec.Output, rec.Last, rec.Used = faas.JobSucceeded, faas.ConditionSuccess, []byte("out"), &last, time.Hour
			rec.Settled, rec.KeepUntil, rec.Attempts, rec.Deliveries, rec.Refusals = at.Add(time.Second), at.Add(time.Hour), 2, 3, 4
			change(&rec)
			require.NoError(t, q.Settle(t.Context(), l, rec))
			got, err := q.Get(t.Context(), first.ID)
			require.NoError(t, err)
			rec.Revision = got.Revision
			assert.Equal(t, rec, got)
			require.NoError(t, q.Close())
		})
	}
}
