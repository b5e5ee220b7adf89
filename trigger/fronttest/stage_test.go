package fronttest_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faashttp"
)

// secret is a text in everything that callers must not see: panics, causes, and errors of
// stores.
const secret = "hunter2"

// quiet is the logger of all stages, so that the texts of panics are not in the test's output.
var quiet = slog.New(slog.DiscardHandler)

var errSecret = errors.New("the password is " + secret)

// stage is a router in a situation, and the call that is made in it. Each front gets a stage of
// its own, which the situation sets up in a bubble.
type stage struct {
	*faas.Router

	t       *testing.T
	name    string          // of the called function
	payload string          // the input; a function URL has it in its event
	ctx     context.Context // of the request
	tenant  string
	options []faashttp.Option

	opened func()                               // is called when the front has read the functions
	within func(call func(ctx context.Context)) // makes the call; nil: it is made with ctx
}

func newStage(t *testing.T) *stage {
	t.Helper()
	return &stage{t: t, name: "f", payload: `{"n": 1}`, ctx: t.Context(), opened: func() {}}
}

// open makes the router.
func (s *stage) open(opts ...faas.RouterOption) {
	s.Router = faastest.New(s.t, append([]faas.RouterOption{faas.WithLogger(quiet)}, opts...)...)
}

// call makes the call in the situation.
func (s *stage) call(call func(ctx context.Context)) {
	s.opened()
	if s.within == nil {
		call(s.ctx)
		return
	}
	s.within(call)
}

type in struct {
	N   int    `json:"n,omitempty"`
	Pad string `json:"pad,omitempty"`
}

type out struct {
	N int `json:"n"`
}

// serve registers a function that calls f.
func (s *stage) serve(name string, f func(ctx context.Context) error, opts ...faas.FunctionOption) {
	faas.Register(s.Router, name, func(ctx context.Context, _ in) (out, error) { return out{1}, f(ctx) }, opts...)
}

func fine(context.Context) error { return nil }

// waits is the work of a function that returns when its context ends.
func waits(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// deaf returns the work of a function that ignores its context. It ends with the test.
func (s *stage) deaf() func(context.Context) error {
	release := make(chan struct{})
	s.t.Cleanup(func() { close(release) }) // runs before the router is closed
	return func(context.Context) error { <-release; return nil }
}

// before makes a call and waits for its end.
func (s *stage) before() error {
	_, err := s.Invoke(context.WithoutCancel(s.t.Context()), s.name, []byte(s.payload))
	return err
}

// beside makes a call that runs until the router is closed.
func (s *stage) beside() {
	go func() { _ = s.before() }()
	synctest.Wait()
}

// leaves makes the caller go away after a second.
func (s *stage) leaves() {
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithCancel(s.ctx)
	time.AfterFunc(time.Second, cancel)
}

// inside makes the call from the first handler of that function that runs.
func (s *stage) inside(name string) {
	var call func(ctx context.Context)
	s.serve(name, func(ctx context.Context) error {
		if first := call; first != nil {
			call = nil
			first(ctx)
		}
		return nil
	})
	s.within = func(c func(ctx context.Context)) {
		call = c
		_, err := s.Invoke(s.ctx, name, []byte(`{}`))
		require.NoError(s.t, err)
	}
}
