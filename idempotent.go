package faas

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas/internal/foreign"
)

// Idempotency says how [Idempotent] remembers answers. Only Store is required.
type Idempotency struct {
	// Store keeps the answers. Several handlers may share it: it keeps the keys of different
	// functions and tenants apart.
	Store IdempotencyStore
	// Window is how long a key is remembered, from the first call with it on. 0: 24 hours.
	// It should be much longer than the function's timeout. If the first call's answer is
	// not remembered, a store may begin a new window with the next call, as that of
	// NewMemoryIdempotency does.
	Window time.Duration
	// Refuse says what happens to a call while another call with the same key runs. If it is
	// true, the call fails at once with [ErrInProgress]; a delivery of a job is tried again
	// after the other call's deadline. If it is false, the call keeps its slot and waits until
	// the other call, or its own context, ends.
	Refuse bool
	// Remember reports whether an error of the handler is an answer to be remembered, for
	// example that a card was declined. After an error that is not, the next call with the
	// key runs the handler. Nil: no error is remembered. It is called on the handler's
	// goroutine, and must not be slow.
	Remember func(err error) bool
	// Codec encodes inputs, to compare them, and outputs, to keep them. Nil: JSON.
	Codec Codec
}

// Idempotent returns a handler that runs h once for each key. A later call of the same
// function and tenant with the same key, within the window, gets the first call's answer, and
// h does not run. This needs a caller, or a job, that sends the same key when it tries again.
//
//	faas.Register(r, "charge", faas.Idempotent(faas.Idempotency{Store: store},
//		func(_ context.Context, o Order) string { return o.ID }, charge))
//
// key returns a call's key, from the input, or from FromContext: for example a job's ID,
// which is another one in a replay. A key has at most 256 bytes and no control characters;
// for any other the call returns an error that Is [ErrInput]. If the key is "", h runs
// without this protection.
//
// If calls have the same key and different inputs, all but the first fail with
// [ErrKeyReused]. An answer is stored encoded, so each call gets its own value. If the answer
// is a remembered error, the call returns an [*EarlierError].
//
// A call that fails, panics or exits frees its key at once, unless its error is remembered. A
// call that does not end, because its handler ignores its context or because its process has
// died, frees the key at its deadline. When a key becomes free, the next call with it runs h.
// If several calls wait for the key, one of them does.
//
// # What it can't promise
//
// The answer is stored after h has returned. If the process dies in between, or the store
// fails, or the handler goes on after its deadline, the effects of the first call have
// happened, and the next call runs h again. So an effect outside of the store can happen
// twice. Idempotent only prevents that it happens on every retry. To rule it out, pass the
// key on to the service that has the effect, or store effect and answer in one transaction
// there.
//
// If the store fails before h runs, h does not run and the call returns the store's error. If
// it fails afterwards, the caller gets h's answer, and the failure is logged ([Logger]). A
// store that several machines share compares the times of their clocks.
//
// Idempotent panics with an *[Error] that Is [ErrInput] if the store, key or h is nil or if
// the window is negative. Many goroutines may call the handler at once.
func Idempotent[In, Out any](i Idempotency, key func(ctx context.Context, in In) string, h Handler[In, Out]) Handler[In, Out] {
	if key == nil || h == nil || i.Store == nil || i.Window < 0 {
		panic(usageError("idempotent", "", ErrInput, "it needs a Store, a key func and a handler, and a Window that is not negative"))
	}
	if i.Window == 0 {
		i.Window = defaultIdempotencyWindow
	}
	if i.Codec == nil {
		i.Codec = &jsonCodec{}
	}
	return func(ctx context.Context, in In) (Out, error) {
		name := key(ctx, in)
		if name == "" {
			return h(ctx, in)
		}
		var out Out
		mine, err := i.claim(ctx, name, &in)
		switch {
		case err != nil:
			return out, err
		case mine.Answered:
			err := i.answer(&mine, &out)
			return out, err
		}
		done := false
		defer func() { // done is false if h or Remember has panicked or called Goexit
			if !done {
				i.settle(ctx, mine, mine.freed())
			}
		}()
		out, err = h(ctx, in)
		i.settle(ctx, mine, i.outcome(mine, &out, err))
		done = true
		return out, err
	}
}

const (
	defaultIdempotencyWindow = 24 * time.Hour // Stripe keeps keys for at least as long
	idempotencyStoreTime     = 5 * time.Second
)

// EarlierError is the remembered error of an earlier call with the same key. It has the first
// 4 KiB of that error's text. If that error was made by [Permanent], the call returns the
// EarlierError inside Permanent too.
type EarlierError struct{ Text string }

// Error returns the text of the earlier error.
func (e *EarlierError) Error() string { return e.Text }

// claim returns the entry that this call now holds, or an entry that has the answer.
func (i *Idempotency) claim(ctx context.Context, key string, in any) (IdempotencyEntry, error) {
	mine, err := i.entry(ctx, key, in)
	if err != nil {
		return mine, err
	}
	for {
		was, created, err := i.Store.Create(ctx, mine)
		if err != nil || created {
			return was, err
		}
		switch was.step(mine.Input, time.Now()) {
		case stepAnswer:
			return was, nil
		case stepReuse:
			return was, Permanent(ErrKeyReused)
		case stepRun:
			got, err := i.Store.Swap(ctx, was, was.taken(&mine))
			if !errors.Is(err, ErrRevision) {
				return got, err
			}
		case stepWait:
			if err := i.wait(ctx, was); err != nil {
				return was, err
			}
		}
	}
}

// entry returns the entry that a call with the key tries to create.
func (i *Idempotency) entry(ctx context.Context, key string, in any) (IdempotencyEntry, error) {
	if !isTenant(key) {
		return IdempotencyEntry{}, Permanent(fmt.Errorf("%w: an idempotency key of %d bytes; it has at most %d, without control characters",
			ErrInput, len(key), maxTenant))
	}
	data, err := encode(i.Codec, in)
	if err != nil {
		return IdempotencyEntry{}, Permanent(fmt.Errorf("%w: the input can't be encoded to compare it: %w", ErrInput, err))
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return IdempotencyEntry{}, err
	}
	inv, _ := FromContext(ctx)
	now, sum := jobTime(), sha256.Sum256(data)
	e := IdempotencyEntry{ID: id, Function: inv.Function, Tenant: inv.Tenant, Key: key, Input: sum[:], Created: now, Until: now.Add(i.Window), Call: inv.ID}
	e.Lease = e.Until
	if t, ok := ctx.Deadline(); ok && t.Before(e.Lease) {
		e.Lease = t.Round(0).UTC()
	}
	return e, nil
}

// wait waits until the entry changes or its lease ends. With Refuse it returns an error at
// once instead.
func (i *Idempotency) wait(ctx context.Context, was IdempotencyEntry) error {
	for c := callOf(ctx); c != nil && was.Call != uuid.Nil; c = c.parent() {
		if c.id == was.Call {
			return fmt.Errorf("%w: the call that has this idempotency key waits for this call", ErrCycle)
		}
	}
	if i.Refuse {
		return RetryAfter(time.Until(was.Lease), ErrInProgress)
	}
	until, cancel := context.WithDeadline(ctx, was.Lease)
	defer cancel()
	if err := i.Store.Watch(until, was); err != nil && until.Err() == nil {
		return err
	}
	return endOf(ctx)
}

// answer decodes the earlier call's answer into *out, or returns its error.
func (i *Idempotency) answer(e *IdempotencyEntry, out any) error {
	switch {
	case e.Failure != "" && e.Permanent:
		return Permanent(&EarlierError{e.Failure})
	case e.Failure != "":
		return &EarlierError{e.Failure}
	}
	if err := decode(i.Codec, e.Answer, out); err != nil {
		return Permanent(fmt.Errorf("%w: the answer of the earlier call does not decode: %w", ErrOutput, err))
	}
	return nil
}

// outcome returns the next entry after a call has ended with err and the output to which out
// points.
func (i *Idempotency) outcome(e IdempotencyEntry, out any, err error) IdempotencyEntry {
	if err == nil {
		e.Answer, err = encode(i.Codec, out)
		if err == nil {
			e.Answered, e.Lease = true, time.Time{}
			return e
		}
		err = Permanent(fmt.Errorf("%w: the answer of the earlier call can't be encoded: %w", ErrOutput, err)) // permanent: the effects of h have happened
	} else if i.Remember == nil || !i.Remember(err) {
		return e.freed()
	}
	advice, _ := adviceOf(err)
	e.Answered, e.Lease, e.Permanent = true, time.Time{}, advice == adviceDead
	text, _ := foreign.TextWithin(err, jobErrorTime)
	if e.Failure = strings.ToValidUTF8(text[:min(len(text), maxJobError)], "\uFFFD"); e.Failure == "" {
		e.Failure = fmt.Sprintf("%T", err)
	}
	return e
}

// settle stores the next entry of the call. It does not use the call's context, which may
// have ended.
func (i *Idempotency) settle(ctx context.Context, was, next IdempotencyEntry) {
	store, cancel := context.WithTimeout(context.WithoutCancel(ctx), idempotencyStoreTime)
	defer cancel()
	_, err := i.Store.Swap(store, was, next)
	if err != nil && !errors.Is(err, ErrRevision) { // ErrRevision: the key was freed at this call's deadline, and another call has taken it
		Logger(ctx).Error("faas: the answer of a call is not remembered", "error", err)
	}
}
