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

// secret is in all that is not for callers: panics, causes, stores that are down.
const secret = "hunter2"

// quiet is where all is logged: what a panic says is none of the test's output.
var quiet = slog.New(slog.DiscardHandler)

var errSecret = errors.New("the password is " + secret)

// stage is a router in a situation, and the call that is made in it. A situation
// sets it up in a bubble of its own, for each front anew.
type stage struct {
	*faas.Router

	t       *testing.T
	name    string          // of the function that is called
	payload string          // its input; a function URL has it in its event
	ctx     context.Context // of the request
	tenant  string
	options []faashttp.Option

	opened func()                               // happens once the front has seen the functions
	within func(call func(ctx context.Context)) // makes the call; nil: with ctx
}

func newStage(t *testing.T) *stage {
	t.Helper()
	return &stage{t: t, name: "f", payload: `{"n": 1}`, ctx: t.Context(), opened: func() {}}
}

// open makes the router.
func (s *stage) open(opts ...faas.RouterOption) {
	s.Router = faastest.New(s.t, append([]faas.RouterOption{faas.WithLogger(quiet)}, opts...)...)
}

// call makes the call in its situation.
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

// serve registers a function that does f.
func (s *stage) serve(name string, f func(ctx context.Context) error, opts ...faas.FunctionOption) {
	faas.Register(s.Router, name, func(ctx context.Context, _ in) (out, error) { return out{1}, f(ctx) }, opts...)
}

func fine(context.Context) error { return nil }

// waits is the work of a function that heeds its context.
func waits(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// deaf is the work of one that does not; it ends with the test.
func (s *stage) deaf() func(context.Context) error {
	release := make(chan struct{})
	s.t.Cleanup(func() { close(release) }) // before the router's own
	return func(context.Context) error { <-release; return nil }
}

// before makes a call that has an end.
func (s *stage) before() error {
	_, err := s.Invoke(context.WithoutCancel(s.t.Context()), s.name, []byte(s.payload))
	return err
}

// beside makes a call that is under way, until the router closes.
func (s *stage) beside() {
	go func() { _ = s.before() }()
	synctest.Wait()
}

// leaves has the caller go away after a second.
func (s *stage) leaves() {
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithCancel(s.ctx)
	time.AfterFunc(time.Second, cancel)
}

// inside makes the call in a handler of that function, the first that runs.
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
