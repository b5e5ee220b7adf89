package admin_test

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
	"github.com/inproc/faas/trigger/source"
)

// intake is a source in memory, and the function that its items start, which records its
// inputs.
type intake struct {
	source.Memory

	mu  sync.Mutex
	ran []string
}

func (i *intake) put(id string) {
	i.Put(source.Item{ID: id, Payload: []byte(`"` + id + `"`)})
	time.Sleep(time.Minute)
	synctest.Wait()
}

func (i *intake) got() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.ran)
}

// newIntake makes a world in which a source of that name drives the function intake.
func newIntake(t *testing.T) (*world, *intake) {
	t.Helper()
	w, in := newWorld(t), &intake{}
	faas.Register(w.router, "intake", func(_ context.Context, id string) (struct{}, error) {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.ran = append(in.ran, id)
		return struct{}{}, nil
	})
	driver, err := source.Drive(w.router, &in.Memory, source.To("intake"), source.WithName("inbox"))
	require.NoError(t, err)
	w.api = admin.Handler(w.router, admin.WithAuthorize(rules.Permit), admin.WithAudit(w.audit), admin.WithWrites(), admin.WithDrivers(driver))
	return w, in
}

func TestAPausedSourceStartsNothingUntilItIsResumed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, in := newIntake(t)
		in.put("before")
		assert.Equal(t, []string{"before"}, in.got())

		paused := decode[admin.Source](t, w.do(root, http.MethodPost, "/v1/sources/inbox/pause", `{}`))
		assert.Equal(t, "paused", paused.State)
		audited := w.last()
		assert.Equal(t, []string{"source.pause", "inbox", "intake", "root", admin.ResultDone},
			[]string{audited.Verb, audited.Object, audited.Function, audited.Principal.ID, audited.Result})
		in.put("meanwhile")
		in.put("later")
		assert.Equal(t, []string{"before"}, in.got(), "it is paused")
		waiting := get[admin.Sources](w, root, "/v1/sources").Sources[0]
		assert.Equal(t, "paused", waiting.State)
		assert.Equal(t, admin.Int(2), *waiting.Lag)

		resumed := decode[admin.Source](t, w.do(root, http.MethodPost, "/v1/sources/inbox/resume", `{}`))
		assert.Equal(t, "running", resumed.State)
		assert.Equal(t, "source.resume", w.last().Verb)
		synctest.Wait()
		assert.Equal(t, []string{"before", "later", "meanwhile"}, slices.Sorted(slices.Values(in.got())))
		in.put("after")
		assert.Contains(t, in.got(), "after")
		assert.Zero(t, in.Len(), "all are acknowledged")
	})
}

func TestAViewerWithoutTheRightNeitherPausesNorResumesASource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, in := newIntake(t)
		denied := func(verb string) {
			for _, by := range []access.Principal{viewer, acme, other, nobody} {
				code := http.StatusNotFound
				if by.ID == "" {
					code = http.StatusUnauthorized
				}
				assert.Equal(t, code, w.do(by, http.MethodPost, "/v1/sources/inbox/"+verb, `{}`).Code, "%s by %q", verb, by.ID)
				audited := w.last()
				assert.Equal(t, admin.ResultDenied, audited.Result, "%s by %q", verb, by.ID)
				assert.Equal(t, by.ID, audited.Principal.ID)
			}
		}
		denied("pause")
		in.put("one")
		assert.Equal(t, []string{"one"}, in.got(), "it is not paused")

		require.Equal(t, http.StatusOK, w.do(root, http.MethodPost, "/v1/sources/inbox/pause", `{}`).Code)
		denied("resume")
		in.put("two")
		assert.Equal(t, []string{"one"}, in.got(), "it is still paused")
		require.Equal(t, http.StatusOK, w.do(root, http.MethodPost, "/v1/sources/inbox/resume", `{}`).Code)
		synctest.Wait()
		assert.Equal(t, []string{"one", "two"}, in.got())
	})
}
