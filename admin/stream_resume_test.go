package admin_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/admin"
)

// register registers a function.
func (w *world) register(name string) {
	faas.Register(w.router, name, func(context.Context, struct{}) (string, error) { return "done", nil })
}

// secondOn waits until the frames of the next second have been sent.
func secondOn() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func TestAFunctionThatIsThereAgainIsNotAmongThoseThatAreGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		offBeat()
		looks := w.open(viewer, "/v1/events", "") // keeps frames coming while the readers are away
		defer looks.close()
		slow := w.hold(t)
		c, m := w.open(root, "/v1/events", ""), mirror{}
		m.next(t, c)
		c.close()
		require.NoError(t, w.router.Remove("export"))
		secondOn()
		w.register("export")
		secondOn()
		c = w.open(root, "/v1/events?since="+m.last, "")
		frames := m.next(t, c)
		c.close()
		require.NotEmpty(t, frames)
		assert.False(t, frames[0].Full, "the viewer sees what it saw")
		assert.Contains(t, frames[0].Functions, "export")
		assert.Empty(t, frames[0].Gone)
		assert.Contains(t, m.functions, "export")

		close(slow.slow)
		var late mirror
		frames = late.next(t, slow)
		slow.close()
		require.NotEmpty(t, frames)
		for _, f := range frames {
			for _, name := range f.Gone {
				assert.NotContains(t, f.Functions, name)
			}
		}
		assert.Contains(t, late.functions, "export")
	})
}

// hold opens a stream whose reader takes the first frame, and no other frame until its channel
// is closed.
func (w *world) hold(t *testing.T) *client {
	t.Helper()
	r := w.request(root, http.MethodGet, "/v1/events", "")
	ctx, cancel := context.WithCancel(r.Context())
	c := &client{header: http.Header{}, leave: cancel, ended: make(chan struct{}), slow: make(chan struct{})}
	w.serve(c, r.WithContext(ctx))
	c.slow <- struct{}{} // the retry line
	c.slow <- struct{}{} // the first frame
	synctest.Wait()
	return c
}

func TestAStreamLosesAFunctionThatIsRemovedAsItsViewerLosesTheRight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := &rights{}
		w := newWorld(t, admin.WithAuthorize(all.permit))
		offBeat()
		c, m := w.open(user("one"), "/v1/events", ""), mirror{}
		defer c.close()
		m.next(t, c)
		time.Sleep(10 * time.Second) // the rights are asked for again with the next frame
		m.next(t, c)
		require.Contains(t, m.functions, "export")
		all.hide("one", "export")
		require.NoError(t, w.router.Remove("export"))
		for range 12 {
			secondOn()
			for _, f := range m.next(t, c) {
				assert.NotContains(t, f.Functions, "export")
			}
		}
		assert.NotContains(t, m.functions, "export")
		assert.Contains(t, m.functions, "resize")
	})
}

func TestAResumedStreamTellsOfRightsThatChangedMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := &rights{}
		w := newWorld(t, admin.WithAuthorize(all.permit))
		offBeat()
		var m mirror
		resume := func(full bool) {
			t.Helper()
			c := w.open(user("one"), "/v1/events", m.last)
			frames := m.next(t, c)
			c.close()
			require.NotEmpty(t, frames)
			assert.Equal(t, full, frames[0].Full)
			secondOn()
		}
		resume(true)
		assert.Len(t, m.functions, 2)
		all.hide("one", "export")
		resume(true)
		assert.NotContains(t, m.functions, "export")
		resume(false)
		all.hide("one")
		resume(true)
		assert.Contains(t, m.functions, "export", "though it is idle")
		all.hide("one", "")
		resume(true)
		resume(false)
	})
}

func TestAStreamIsResumedInFullFromAnIDThatDoesNotTellWhatWasSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		offBeat()
		c, m := w.open(root, "/v1/events", ""), mirror{}
		m.next(t, c)
		c.close()
		secondOn()
		place := strings.Join(strings.Split(m.last, ".")[:2], ".")
		for _, id := range []string{place, place + ".", place + ".another", m.last + "0"} {
			c = w.open(root, "/v1/events", id)
			frames, _ := c.frames(t)
			c.close()
			require.NotEmpty(t, frames, id)
			assert.True(t, frames[0].Full, id)
		}
	})
}

// A stream asks the authorizer about the host, the present functions, and the functions that
// were removed in the last minutes.
func TestAStreamAsksOnceAboutAFunctionThatComesAndGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := &rights{}
		w := newWorld(t, admin.WithAuthorize(all.permit))
		offBeat()
		c := w.open(user("one"), "/v1/events", "")
		defer c.close()
		slow := w.hold(t)
		asked := func() int { // within the 10 s in which the answers are not asked for again
			all.mu.Lock()
			all.asked = nil
			all.mu.Unlock()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			all.mu.Lock()
			defer all.mu.Unlock()
			return all.asked["one"]
		}
		for range 20 {
			w.register("extra")
			secondOn()
			require.NoError(t, w.router.Remove("extra"))
			secondOn()
		}
		assert.Equal(t, 4, asked())
		w.register("extra")
		secondOn()
		assert.Equal(t, 4, asked(), "it is there, and not gone as well")
		require.NoError(t, w.router.Remove("extra"))
		require.NoError(t, w.router.Remove("export"))
		time.Sleep(6 * time.Minute)
		assert.Equal(t, 2, asked())

		close(slow.slow)
		var m mirror
		frames := m.next(t, slow)
		slow.close()
		assert.True(t, frames[len(frames)-1].Full, "this reader was not told that export is gone")
		assert.Len(t, m.functions, 1)
	})
}

func TestTheFirstFrameAfterATimeWithoutViewersHasTheCapacityOfTheMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		offBeat()
		for _, n := range []int{7, 9, 11} {
			require.NoError(t, w.router.SetCapacity(n))
			c := w.open(root, "/v1/events", "")
			frames, _ := c.frames(t)
			c.close()
			require.NotEmpty(t, frames)
			assert.Equal(t, admin.Int(n), *frames[0].Capacity)
			time.Sleep(3 * time.Second)
		}
	})
}

func TestNoFrameIsHeldOnceTheLastViewerHasLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		offBeat()
		one, two := w.open(root, "/v1/events", ""), w.open(viewer, "/v1/events", "")
		secondOn()
		assert.Positive(t, admin.HeldFrames(w.api))
		one.close()
		assert.Positive(t, admin.HeldFrames(w.api))
		two.close()
		assert.Zero(t, admin.HeldFrames(w.api))
	})
}
