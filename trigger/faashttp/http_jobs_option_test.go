package faashttp_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

// acceptedJob returns the ID in the answer to a call that becomes a job.
func acceptedJob(t *testing.T, h http.Handler, target string) uuid.UUID {
	t.Helper()
	w := do(t, h, "POST", target, "7")
	require.Equal(t, 202, w.Code, w.Body)
	require.Empty(t, w.Header().Get("Preference-Applied"), "nothing was preferred")
	var told struct{ ID uuid.UUID }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &told))
	return told.ID
}

func TestAHostMayHaveAllCallsOfAFunctionMadeLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		slow := func(_ context.Context, n int) (int, error) { time.Sleep(time.Minute); return n + 1, nil }
		fn := faas.Register(r, "hook", slow, faas.WithTimeout(2*time.Hour))
		faas.Register(r, "add", func(_ context.Context, n int) (int, error) { return n + 1, nil })
		h := faashttp.Handler(r, faashttp.WithJobs("hook", "absent"))
		start := time.Now()
		id := acceptedJob(t, h, "/fn/hook")
		again := acceptedJob(t, h, "/fn/hook:$LATEST")
		assert.Zero(t, time.Since(start))
		w := do(t, h, "POST", "/fn/add", "1")
		assert.Equal(t, []any{200, "2"}, []any{w.Code, w.Body.String()}, "other functions are called")
		assert.Equal(t, 404, do(t, h, "POST", "/fn/absent", "1").Code)
		at := later(t, h, "/fn/add", "1") // as its sender prefers
		for _, id := range []uuid.UUID{id, again} {
			n, err := fn.Job(id).Wait(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 8, n)
		}
		assert.Equal(t, "8", string(look(t, h, "/fn/hook/jobs/"+id.String()).Result))
		assert.Equal(t, "2", string(look(t, h, at).Result))
		synctest.Wait()
	})
}

func TestARouteMayHaveItsCallsMadeLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		fn := faas.Register(r, "hook", func(_ context.Context, n int) (int, error) { return n + 1, nil })
		h := faashttp.Function(r, "hook", faashttp.WithJobs())
		n, err := fn.Job(acceptedJob(t, h, "/webhooks/7")).Wait(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 8, n)
		w := do(t, h, "POST", "/webhooks/7", "7")
		assert.Empty(t, w.Header().Get("Location"), "there is nothing below its path")
		w = do(t, faashttp.Function(r, "hook"), "POST", "/", "7", async)
		assert.Equal(t, 200, w.Code, "without the option it is called")
	})
}

func TestAStreamIsNoJobAlsoIfAllCallsAre(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.RegisterStream(r, "stream", func(_ context.Context, _ int, w io.Writer) error {
			_, err := io.WriteString(w, "piece")
			return err
		})
		w := do(t, faashttp.Handler(r, faashttp.WithJobs()), "POST", "/fn/stream", "7")
		assert.Equal(t, []any{200, "piece"}, []any{w.Code, strings.TrimSpace(w.Body.String())})
	})
}

func TestAHostThatHasNoRoomForAJobSaysWhenToComeAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t, faas.WithJobs(faas.NewMemoryJobs(1, 0)))
		faas.Register(r, "hook", func(_ context.Context, n int) (int, error) { time.Sleep(time.Minute); return n, nil }, faas.WithTimeout(time.Hour))
		h := faashttp.Handler(r, faashttp.WithJobs())
		acceptedJob(t, h, "/fn/hook")
		w := do(t, h, "POST", "/fn/hook", "7")
		assert.Equal(t, 429, w.Code)
		assert.NotEmpty(t, w.Header().Get("Retry-After"))
	})
}
