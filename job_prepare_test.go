package faas_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// asKept returns a record as it comes back from a database.
func asKept(t *testing.T, rec faas.JobRecord) faas.JobRecord {
	t.Helper()
	text, err := json.Marshal(rec)
	require.NoError(t, err)
	var again faas.JobRecord
	require.NoError(t, json.Unmarshal(text, &again))
	return again
}

func TestAPreparedJobRunsOnceItIsAcceptedAsTheOneThatSendWouldHaveSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type key struct{}
		restored := 0
		carrier := faas.Carrier{
			Name: "test",
			Save: func(ctx context.Context) ([]byte, error) { s, _ := ctx.Value(key{}).(string); return []byte(s), nil },
			Restore: func(ctx context.Context, saved []byte) (context.Context, error) {
				assert.Equal(t, "bearer", string(saved))
				restored++
				return ctx, nil
			},
		}
		r := router(t, faas.WithCarrier(carrier))
		var seen []faas.Invocation
		fn := faas.Register(r, "ship", func(ctx context.Context, in parcel) (string, error) {
			assert.Equal(t, parcel{7}, in)
			inv, _ := faas.FromContext(ctx)
			seen = append(seen, inv)
			return "", nil
		})
		ctx := faas.WithOrigin(faas.WithTenant(context.WithValue(t.Context(), key{}, "bearer"), "acme"), faas.Origin{Trigger: "http", Door: "http", RequestID: "r-1"})
		rec, err := fn.Prepare(ctx, parcel{7}, faas.WithDelay(time.Hour), faas.WithJobLabels(map[string]string{"a": "b"}))
		require.NoError(t, err)
		byName, err := r.Prepare(ctx, "ship", []byte(`{"N":7}`))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		assert.Empty(t, seen, "nothing is accepted yet")
		info, err := r.Info("ship")
		require.NoError(t, err)
		assert.Zero(t, info.Jobs.Waiting())

		job, err := r.Accept(t.Context(), asKept(t, rec))
		require.NoError(t, err)
		assert.Equal(t, rec.ID, job.ID())
		assert.Equal(t, "Scheduled due", state(t, job))
		now, err := r.Accept(t.Context(), asKept(t, byName))
		require.NoError(t, err)
		_, err = now.Wait(t.Context())
		require.NoError(t, err)
		_, err = job.Wait(t.Context())
		require.NoError(t, err)
		require.Len(t, seen, 2)
		assert.Equal(t, 2, restored)
		for _, inv := range seen {
			assert.Equal(t, []any{"acme", "r-1", "http"}, []any{inv.Tenant, inv.Origin.RequestID, inv.Origin.Trigger})
		}
		assert.Equal(t, 59*time.Minute, seen[1].Start.Sub(seen[0].Start).Round(time.Second), "the delay counts from Prepare")
		shut(t, r)
	})
}

func TestAPreparedJobIsAcceptedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var began []time.Duration
		fn := faas.Register(r, "ship", shipping(0, &began))
		rec, err := fn.Prepare(t.Context(), parcel{1})
		require.NoError(t, err)
		for i := range 3 {
			job, err := r.Accept(t.Context(), asKept(t, rec))
			require.NoError(t, err)
			assert.Equal(t, i > 0, job.Duplicate())
			_, err = job.Wait(t.Context())
			require.NoError(t, err)
		}
		assert.Len(t, began, 1)
		shut(t, r)
	})
}

func TestAPreparedJobThatIsTooOldByNowIsDeadAndNotLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var began []time.Duration
		fn := faas.Register(r, "ship", shipping(0, &began))
		rec, err := fn.Prepare(t.Context(), parcel{1}, faas.WithExpiry(time.Minute))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		job, err := r.Accept(t.Context(), rec)
		require.NoError(t, err)
		_, err = job.Wait(t.Context())
		var dead *faas.JobError
		require.ErrorAs(t, err, &dead)
		assert.Equal(t, faas.ConditionEventAgeExceeded, dead.Condition)
		assert.Empty(t, began)
		shut(t, r)
	})
}

func TestPrepareRefusesWhatSendRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		denied := false
		r := router(t, faas.WithGate(gateOf(func(context.Context) error {
			if denied {
				return faas.ErrDenied
			}
			return nil
		})))
		var began []time.Duration
		fn := faas.Register(r, "ship", shipping(0, &began), faas.WithLimits(10, 10))
		_, err := r.Prepare(t.Context(), "nothing", nil)
		require.ErrorIs(t, err, faas.ErrNotFound)
		_, err = r.Prepare(t.Context(), "ship", []byte(`{"N":1234567}`))
		require.ErrorIs(t, err, faas.ErrTooLarge)
		denied = true
		_, err = fn.Prepare(t.Context(), parcel{})
		require.ErrorIs(t, err, faas.ErrDenied)
		denied = false
		_, err = fn.Prepare(t.Context(), parcel{}, faas.WithExpiry(0))
		require.ErrorIs(t, err, faas.ErrInput)
		shut(t, r)
		_, err = fn.Prepare(t.Context(), parcel{})
		require.ErrorIs(t, err, faas.ErrClosed)
	})
}

func TestAcceptRefusesARecordThatPrepareCanNotHaveReturned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var began []time.Duration
		fn := faas.Register(r, "ship", shipping(0, &began))
		good, err := fn.Prepare(t.Context(), parcel{1})
		require.NoError(t, err)
		for what, change := range map[string]func(rec *faas.JobRecord){
			"zero":     func(rec *faas.JobRecord) { *rec = faas.JobRecord{} },
			"no ID":    func(rec *faas.JobRecord) { rec.ID = uuid.Nil },
			"name":     func(rec *faas.JobRecord) { rec.Function = "no name" },
			"two":      func(rec *faas.JobRecord) { rec.Name = "other:live" },
			"due":      func(rec *faas.JobRecord) { rec.Due = time.Time{} },
			"tenant":   func(rec *faas.JobRecord) { rec.Tenant = "a\nb" },
			"key":      func(rec *faas.JobRecord) { rec.OrderKey = "a\x00" },
			"unique":   func(rec *faas.JobRecord) { rec.UniqueKey = "a" },
			"age":      func(rec *faas.JobRecord) { rec.MaxAge = -1 },
			"finished": func(rec *faas.JobRecord) { rec.State = faas.JobSucceeded },
		} {
			bad := good
			change(&bad)
			_, err := r.Accept(t.Context(), bad)
			require.ErrorIs(t, err, faas.ErrInput, what)
		}
		_, err = r.Accept(nil, good) //nolint:staticcheck // what it does with a nil context
		require.ErrorIs(t, err, faas.ErrInput)
		synctest.Wait()
		assert.Empty(t, began)
		shut(t, r)
		_, err = r.Accept(t.Context(), good)
		require.ErrorIs(t, err, faas.ErrClosed)
	})
}

func TestAcceptAnswersAFullQueueWithWhenToComeAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t, faas.WithJobs(faas.NewMemoryJobs(1, 0)))
		fn := faas.Register(r, "ship", func(context.Context, parcel) (string, error) { return "", errors.New("again") })
		first, err := fn.Prepare(t.Context(), parcel{1})
		require.NoError(t, err)
		second, err := fn.Prepare(t.Context(), parcel{2})
		require.NoError(t, err)
		_, err = r.Accept(t.Context(), first)
		require.NoError(t, err)
		_, err = r.Accept(t.Context(), second)
		require.ErrorIs(t, err, faas.ErrOverloaded)
		var refused *faas.Error
		require.ErrorAs(t, err, &refused)
		assert.Positive(t, refused.RetryAfter)
	})
}
