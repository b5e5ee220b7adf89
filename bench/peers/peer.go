// Package peers hosts the same handler in many ways behind one interface, so that the ways
// can be compared. One way is a peer.
package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Class says which promises a peer keeps. Only peers of the same class do the same work. The
// reference peer is of the class Enforced.
type Class string

const (
	// Inline runs the handler on the caller's goroutine. If the handler ignores its
	// context, the caller waits for it beyond the deadline.
	Inline Class = "inline"
	// Handoff runs the handler on another goroutine, and waits for it without a deadline.
	Handoff Class = "handoff"
	// Enforced frees the caller at the deadline, whatever the handler does.
	Enforced Class = "enforced"
	// Codec takes an encoded request and returns an encoded response. It makes no
	// promise about the deadline.
	Codec Class = "codec"
	// Later accepts the call as a job, which can be found by an ID, runs it on another
	// goroutine, and waits for its end.
	Later Class = "later"
)

// Config is the configuration that every peer is built with. A peer without deadlines or
// without a limit ignores that part.
type Config struct {
	Timeout time.Duration // of one call
	Limit   int           // of calls at once, and the size of pools
}

// Default is the configuration of all throughput and latency measurements:
// the deadline is armed and never fires, the limit is counted and never
// reached.
var Default = Config{Timeout: 5 * time.Second, Limit: 256}

// Call makes the call number i, and checks the answer: an error means that
// the peer failed or that the answer was wrong.
type Call func(ctx context.Context, i int) error

// Instance is a peer that hosts one handler.
type Instance struct {
	Call  Call
	Close func()
	// Recorded returns the number of calls that were metered. It is nil for peers that do not
	// meter.
	Recorded func() int64
}

// Peer is one way to host a handler.
type Peer struct {
	Name  string
	Class Class
	New   func(h Handler, c Config) Instance
}

// Names of the peers that others are compared with.
const (
	Direct        = "direct"
	GoChan        = "go+chan"
	GoTimeout     = "go+WithTimeout"
	AntsObvious   = "ants/obvious"
	Floor         = "floor"
	JSON          = "encoding/json"
	FaasTyped     = "faas"
	FaasCancel    = "faas/cancellable-parent"
	FaasInline    = "faas/inline"
	FaasFunc      = "faas/func"
	FaasCopy      = "faas/copy"
	FaasBytes     = "faas/bytes"
	ChanMap       = "chan+map"
	FaasJob       = "faas/job"
	FaasJobBytes  = "faas/job-bytes"
	antsPoolLimit = "ants/obvious-pool-is-limit"
)

// All has the peers in the order in which they are run and printed.
var All = []Peer{
	{Direct, Inline, direct},
	{GoChan, Handoff, goChan},
	{GoTimeout, Enforced, goTimeout},
	{AntsObvious, Enforced, antsObvious},
	{Floor, Enforced, floor},
	{antsPoolLimit, Enforced, antsObviousPoolLimit},
	{"ants/Submit", Handoff, antsSubmit},
	{"pond/ResultPool", Handoff, pondResultPool},
	{"failsafe/Timeout+Bulkhead", Inline, failsafeTimeoutBulkhead},
	{"aws-lambda-go/Invoke", Codec, lambdaInvoke},
	{JSON, Codec, jsonAlone},
	{FaasTyped, Enforced, faasTyped},
	{FaasCancel, Enforced, faasCancellable},
	{FaasInline, Inline, faasInline},
	{FaasFunc, Inline, faasFunc},
	{FaasCopy, Enforced, faasCopy},
	{FaasBytes, Codec, faasBytes},
	{ChanMap, Later, chanMap},
	{FaasJobBytes, Later, faasJobBytes},
	{FaasJob, Later, faasJob},
}

// Find returns the peer with that name, or an error if there is none.
func Find(name string) (Peer, error) {
	for _, p := range All {
		if p.Name == name {
			return p, nil
		}
	}
	return Peer{}, fmt.Errorf("peers: no peer %q", name)
}

// ErrWrong is returned by a Call that got a wrong answer.
var ErrWrong = errors.New("peers: wrong answer")

// invokeFunc is a typed synchronous call. Handlers have the same signature.
type invokeFunc = func(context.Context, In) (Out, error)

// typed makes a Call of a typed invoke function.
func typed(invoke invokeFunc) Call {
	return func(ctx context.Context, i int) error {
		in := input(i)
		out, err := invoke(ctx, in)
		if err != nil {
			return err
		}
		if out.Sum != in.A+in.B {
			return fmt.Errorf("%w: %d + %d = %d", ErrWrong, in.A, in.B, out.Sum)
		}
		return nil
	}
}

// wire makes a Call of an invoke function that takes and returns JSON. The requests are
// encoded before the measurement and the answers are compared as bytes, so that the client's
// part of encoding and decoding is not measured.
func wire(invoke func(context.Context, []byte) ([]byte, error)) Call {
	return func(ctx context.Context, i int) error {
		m := &messages[i%len(messages)]
		got, err := invoke(ctx, m.request)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, m.response) {
			return fmt.Errorf("%w: %s to %s", ErrWrong, got, m.request)
		}
		return nil
	}
}

// meter is the simplest shared meter: two atomic counters.
type meter struct{ calls, ns atomic.Int64 }

func (m *meter) record(d time.Duration) {
	m.calls.Add(1)
	m.ns.Add(int64(d))
}

// result carries an answer over a channel.
type result struct {
	out Out
	err error
}

// protect turns a panic of h into an error.
func protect(ctx context.Context, h Handler, in In) (out Out, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("peers: panic: %v", v)
		}
	}()
	return h(ctx, in)
}

func nothing() {}
