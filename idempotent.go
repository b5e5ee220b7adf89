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
	// Store keeps the answers. Several handlers may share one: a key is one of a function
	// and a tenant.
	Store IdempotencyStore
	// Window is how long a key is remembered, from the first call with it on. 0: 24 hours.
	// It should be much longer than the function's timeout. After a call that was not
	// remembered a store may count anew, as that of NewMemoryIdempotency does.
	Window time.Duration
	// Refuse has a call whose key another call is under way with fail at once with
	// [ErrInProgress]; as a delivery of a job it is tried again when that call must be over.
	// Without it the call waits, in its slot, for the other's end or its own.
	Refuse bool
	// Remember reports whether an error of the handler is an answer that is remembered,
	// for example that a card was declined. Nil: no error is; the next call with the key
	// runs. It is called on the handler's goroutine, and must not be slow.
	Remember func(err error) bool
	// Codec encodes inputs, for their comparison, and outputs. Nil: JSON.
	Codec Codec
}

// Idempotent returns a handler that runs h once for each key. A later call of the same
// function and tenant with the same key, within the window, gets the answer of the first
// without running h: what it needs is that the caller, or the job, that tries again sends
// the same key.
//
//	faas.Register(r, "charge", faas.Idempotent(faas.Idempotency{Store: store},
//		func(_ context.Context, o Order) string { return o.ID }, charge))
//
// key returns a call's key, from its input or from FromContext (for a job its ID; a
// replay has another). It has at most 256 bytes and no control characters; another is an
// error that Is [ErrInput]. A call whose key is "" runs as if h was registered.
//
// Of calls with one key and different inputs the later ones fail with [ErrKeyReused]. An
// answer is stored encoded, so that each call gets a value of its own. The error of a
// remembered failure is an [*EarlierError].
//
// A call that fails, panics or exits frees its key at once, unless its error is
// remembered. One that does not return, because it is deaf or because its process has
// died, frees it at its deadline. Then the next call runs, and those that wait: one of
// them does.
//
// # What it can't promise
//
// The answer is remembered after h has returned. If the process dies in between, or the
// store fails, or a handler goes on after its deadline, the next call runs h although the
// first one's effects have happened. So an effect outside of the store can happen twice;
// what it prevents is that it does on every retry. If that must not happen, pass the key
// on to what has the effect, or make effect and answer one transaction there. If the
// store has failed, h is not run and the call has the store's error; if it fails
// afterwards the caller gets h's answer, and the failure is logged ([Logger]). A store
// that several machines share compares times of their clocks.
//
// Idempotent panics with an *[Error] that Is [ErrInput] if the store, key or h is nil or
// the window negative. The handler may be called by many goroutines at once.
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
		defer func() { // h or Remember has panicked or called Goexit
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
	defaultIdempotencyWindow = 24 * time.Hour // as Stripe keeps keys for at least
	idempotencyStoreTime     = 5 * time.Second
)

// EarlierError is the error of an earlier call with the same key, as far as it was
// remembered: its text, of which the first 4 KiB are kept. If the earlier error was made by [Permanent], so is this one.
type EarlierError struct{ Text string }

// Error returns the text of the earlier error.
func (e *EarlierError) Error() string { return e.Text }

// claim returns the entry that this call has taken, or one that is answered.
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

// entry is the entry that a call with the key creates.
func (i *Idempotency) entry(ctx context.Context, key string, in any) (IdempotencyEntry, error) {
	if !isTenant(key) {
		return IdempotencyEntry{}, Permanent(fmt.Errorf("%w: an idempotency key of %d bytes; it has at most %d, without control characters", ErrInput, len(key), maxTenant))
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

// wait waits until the call that has the entry is over, or refuses.
func (i *Idempotency) wait(ctx context.Context, was IdempotencyEntry) error {
	for c := callOf(ctx); c != nil && was.Call != uuid.Nil; c = c.parent() {
		if c.id == was.Call {
			return fmt.Errorf("%w: the call with this idempotency key is above this one", ErrCycle)
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

// answer decodes the answer of an earlier call into out.
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

// outcome is what becomes of an entry whose call has ended with out, a pointer, and err.
func (i *Idempotency) outcome(e IdempotencyEntry, out any, err error) IdempotencyEntry {
	if err == nil {
		e.Answer, err = encode(i.Codec, out)
		if err == nil {
			e.Answered, e.Lease = true, time.Time{}
			return e
		}
		err = Permanent(fmt.Errorf("%w: the answer of the earlier call can't be encoded: %w", ErrOutput, err)) // h's effects have happened
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

// settle stores what became of the call. Its own context may have ended.
func (i *Idempotency) settle(ctx context.Context, was, next IdempotencyEntry) {
	store, cancel := context.WithTimeout(context.WithoutCancel(ctx), idempotencyStoreTime)
	defer cancel()
	_, err := i.Store.Swap(store, was, next)
	if err != nil && !errors.Is(err, ErrRevision) { // then another call has the key: it was freed at this one's deadline
		Logger(ctx).Error("faas: the answer of a call is not remembered", "error", err)
	}
}
