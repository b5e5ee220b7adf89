package admin_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
)

// rights is an authorizer that hides some functions from some viewers.
type rights struct {
	mu     sync.Mutex
	hidden map[string][]string // hidden functions, by the viewer's ID
	asked  map[string]int      // the number of calls, by the viewer's ID
}

func (r *rights) permit(_ context.Context, who access.Principal, a admin.Action) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked == nil {
		r.asked = map[string]int{}
	}
	r.asked[who.ID]++
	if slices.Contains(r.hidden[who.ID], a.Function) {
		return context.Canceled
	}
	return nil
}

func (r *rights) hide(who string, functions ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hidden = maps.Clone(r.hidden)
	if r.hidden == nil {
		r.hidden = map[string][]string{}
	}
	r.hidden[who] = functions
}

// user returns a viewer with that ID.
func user(id string) access.Principal { return access.Principal{Kind: access.User, ID: id} }

// mirror has the state that a reader of frames has. It applies one frame after the other. As
// clients do, it removes the functions of gone before it adds the new rows.
type mirror struct {
	last      string // the ID of the last event
	rev       admin.Count
	columns   []string
	functions map[string][]admin.Int
	totals    []admin.Int
}

func (m *mirror) apply(frames ...admin.Frame) {
	for _, f := range frames {
		m.rev = f.Rev
		if f.Full {
			m.columns, m.functions = f.Columns, map[string][]admin.Int{}
		}
		maps.Copy(m.functions, f.Functions)
		for _, name := range f.Gone {
			delete(m.functions, name)
		}
		if f.Totals != nil {
			m.totals = f.Totals
		}
	}
}

// next applies the new frames of a stream.
func (m *mirror) next(t *testing.T, c *client) []admin.Frame {
	t.Helper()
	frames, last := c.frames(t)
	m.apply(frames...)
	if last != "" {
		m.last = last
	}
	return frames
}

// bytesOf is the client of a stream. It records the address of each event's bytes, to see
// whether streams share them.
type bytesOf struct {
	*client

	at *byte
}

func (b *bytesOf) Write(p []byte) (int, error) {
	b.mu.Lock()
	b.at = unsafe.SliceData(p)
	b.mu.Unlock()
	return b.client.Write(p)
}

// watch opens a stream whose bytes are recorded.
func (w *world) watch(id string) *bytesOf {
	r := w.request(user(id), http.MethodGet, "/v1/events", "")
	ctx, cancel := context.WithCancel(r.Context())
	b := &bytesOf{client: &client{header: http.Header{}, leave: cancel, ended: make(chan struct{})}}
	go func() {
		defer close(b.ended)
		w.api.ServeHTTP(b, r.WithContext(ctx))
	}()
	return b
}

func TestViewersWhoSeeTheSameShareTheBytesOfAFrameAndNoOthersDo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := &rights{}
		all.hide("little", "export")
		all.hide("small", "export")
		all.hide("hostless", "")
		w := newWorld(t, admin.WithAuthorize(all.permit))
		offBeat()
		streams := map[string]*bytesOf{}
		for _, id := range []string{"great", "large", "little", "small", "hostless"} {
			streams[id] = w.watch(id)
			defer streams[id].close()
		}
		synctest.Wait()
		same := func(a, b string) bool { return streams[a].at == streams[b].at }
		for range 3 { // the first frame, and two others
			assert.True(t, same("great", "large"))
			assert.True(t, same("little", "small"))
			assert.False(t, same("great", "little"))
			assert.False(t, same("great", "hostless"))
			frames, _ := streams["little"].frames(t)
			assert.NotContains(t, frames[len(frames)-1].Functions, "export")
			frames, _ = streams["hostless"].frames(t)
			assert.Nil(t, frames[len(frames)-1].Capacity)
			frames, _ = streams["large"].frames(t)
			assert.Contains(t, frames[len(frames)-1].Functions, "export")
			assert.NotNil(t, frames[len(frames)-1].Capacity)
			require.NoError(t, w.call("export", "acme", ``))
			require.NoError(t, w.call("resize", "acme", `{"url":"u"}`))
			time.Sleep(time.Second)
			synctest.Wait()
		}
		all.mu.Lock()
		defer all.mu.Unlock()
		for id := range streams {
			assert.Equal(t, 3, all.asked[id], "about the host and two functions, for each viewer by itself")
		}
	})
}

func TestARightThatIsRevokedEndsTheSharing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := &rights{}
		w := newWorld(t, admin.WithAuthorize(all.permit))
		offBeat()
		one, two := w.open(user("one"), "/v1/events", ""), w.open(user("two"), "/v1/events", "")
		defer one.close()
		defer two.close()
		var ofOne, ofTwo mirror
		ofOne.next(t, one)
		ofTwo.next(t, two)
		all.hide("two", "export")
		for range 11 { // the answers about rights are valid for 10 s
			require.NoError(t, w.call("export", "acme", ``))
			time.Sleep(time.Second)
			synctest.Wait()
		}
		ofOne.next(t, one)
		ofTwo.next(t, two)
		assert.NotContains(t, ofTwo.functions, "export")
		for range 3 {
			require.NoError(t, w.call("export", "acme", ``))
			require.NoError(t, w.call("resize", "acme", `{"url":"u"}`))
			time.Sleep(time.Second)
			for _, f := range ofTwo.next(t, two) {
				assert.NotContains(t, f.Functions, "export")
			}
			ofOne.next(t, one)
		}
		assert.Equal(t, admin.Int(14), column(t, ofOne.columns, ofOne.functions["export"], "calls"))
		assert.Equal(t, admin.Int(17), column(t, ofOne.columns, ofOne.totals, "calls"))
		assert.Equal(t, admin.Int(3), column(t, ofTwo.columns, ofTwo.totals, "calls"))
	})
}

// A reader that has applied all frames has the same state as a new reader, whatever happens
// between the frames: calls of several versions, failures, refusals, functions that are
// registered and removed, stretches of time that end, and rights that change while the reader
// is away.
func TestAReaderOfAllFramesKnowsWhatANewReaderIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			all := &rights{}
			all.hide("some", "export", "extra-1")
			w := newWorld(t, admin.WithAuthorize(all.permit))
			offBeat()
			readers := map[string]*client{} // the readers that are connected
			known := map[string]*mirror{"every": {}, "some": {}}
			meet := func(id string) { // the reader disconnects, or connects again
				if c := readers[id]; c != nil {
					known[id].next(t, c)
					c.close()
					delete(readers, id)
					return
				}
				readers[id] = w.open(user(id), "/v1/events", known[id].last)
			}
			for id := range known {
				meet(id)
				defer func() {
					if readers[id] != nil {
						meet(id)
					}
				}()
			}
			extra := map[string]bool{}
			turn := func(name string) {
				if extra[name] = !extra[name]; extra[name] {
					faas.Register(w.router, name, func(context.Context, photo) (string, error) { return "done", nil })
					return
				}
				require.NoError(t, w.router.Remove(name))
			}
			for range rapid.IntRange(1, 12).Draw(rt, "steps") {
				switch rapid.SampledFrom([]string{"call", "call", "fail", "refuse", "turn", "bounce", "meet", "meet"}).Draw(rt, "step") {
				case "call":
					for range rapid.IntRange(1, 3).Draw(rt, "calls") {
						_ = w.call(rapid.SampledFrom([]string{"resize:1", "resize:2", "export", "extra-1", "extra-2"}).Draw(rt, "function"), "acme", `{"url":"u"}`)
					}
				case "fail":
					_ = w.call("resize", "acme", `{}`)
				case "refuse":
					_ = w.call("resize", "acme", `{`)
				case "turn":
					turn(rapid.SampledFrom([]string{"extra-1", "extra-2"}).Draw(rt, "extra"))
				case "bounce":
					name := rapid.SampledFrom([]string{"extra-1", "extra-2"}).Draw(rt, "extra")
					turn(name)
					time.Sleep(time.Second)
					turn(name)
				case "meet":
					id := rapid.SampledFrom([]string{"every", "some"}).Draw(rt, "reader")
					if meet(id); readers[id] == nil && rapid.Bool().Draw(rt, "rights") {
						all.hide(id, rapid.SampledFrom([][]string{nil, {"export", "extra-1"}, {"", "extra-2"}}).Draw(rt, "hidden")...)
					}
				}
				time.Sleep(time.Duration(rapid.SampledFrom([]int{1, 1, 2, 9, 25, 80}).Draw(rt, "seconds")) * time.Second)
				for id, c := range readers {
					have := known[id]
					have.next(t, c)
					fresh, told := w.open(user(id), "/v1/events", ""), mirror{}
					told.next(t, fresh)
					fresh.close()
					require.Equal(rt, told, *have, "%s, after the frame %d", id, have.rev)
					require.Len(rt, have.functions, len(get[admin.Functions](w, user(id), "/v1/functions").Functions), id)
				}
			}
		})
	})
}

func TestAFunctionThatIsRegisteredAgainGoesOnCountingItsMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		offBeat()
		c, m := w.open(root, "/v1/events", ""), mirror{}
		defer c.close()
		m.next(t, c)
		extra := func() {
			faas.Register(w.router, "extra", func(context.Context, struct{}) (string, error) { return "done", nil })
		}
		extra()
		require.NoError(t, w.call("extra", "acme", ``))
		time.Sleep(20 * time.Second)
		require.NoError(t, w.router.Remove("extra"))
		time.Sleep(5 * time.Second)
		m.next(t, c)
		assert.NotContains(t, m.functions, "extra")
		extra()
		time.Sleep(time.Second)
		m.next(t, c)
		assert.Equal(t, admin.Int(1), column(t, m.columns, m.functions["extra"], "minuteCalls"))
		assert.Equal(t, admin.Count(1), get[admin.Function](w, root, "/v1/functions/extra").Numbers.Minute.Calls)
		time.Sleep(2 * time.Minute)
		m.next(t, c)
		assert.Zero(t, column(t, m.columns, m.functions["extra"], "minuteCalls"))
	})
}

func TestPercentilesAreOfTheLastTwentySeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		faas.Register(w.router, "slow", func(context.Context, struct{}) (string, error) {
			time.Sleep(100 * time.Millisecond)
			return "done", nil
		})
		offBeat()
		c, m := w.open(root, "/v1/events", ""), mirror{}
		defer c.close()
		require.NoError(t, w.call("slow", "acme", ``))
		time.Sleep(time.Second)
		m.next(t, c)
		for _, row := range [][]admin.Int{m.functions["slow"], m.totals} {
			assert.InEpsilon(t, 100e6, float64(column(t, m.columns, row, "runP99NS")), 0.05)
		}
		time.Sleep(20 * time.Second)
		m.next(t, c)
		for _, row := range [][]admin.Int{m.functions["slow"], m.totals} {
			assert.Zero(t, column(t, m.columns, row, "runP99NS"))
		}
	})
}
