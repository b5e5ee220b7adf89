package faas

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// IdempotencyStore keeps what became of calls with a key, for [Idempotent]. It is
// passive: it stores entries, and what an entry means is decided by Idempotent.
// [NewMemoryIdempotency] makes one for a process, [NewJobIdempotency] one that is as
// durable as a queue of jobs; package faastest has the conformance test for others,
// TestIdempotencyStore.
//
// Many goroutines, also of several processes, call the methods at once. A method that
// waits returns ctx's error when ctx ends. The slices of an entry are not changed by
// either side once the entry was given to a store or returned by it.
type IdempotencyStore interface {
	// Create stores e, unless the store has an entry of the same Function, Tenant and Key
	// whose Until has not passed: then it returns that one, and false. It is one atomic
	// step. What it returns has its Revision. If there is no room the error Is
	// [ErrOverloaded]: to drop an entry before its Until would have its call run twice.
	Create(ctx context.Context, e IdempotencyEntry) (IdempotencyEntry, bool, error)

	// Swap replaces old by next, which has the same ID, Function, Tenant, Key, Created and
	// Until, if it still has old's Revision, and returns next with its own. Otherwise, also
	// if the entry is gone, the error Is [ErrRevision]. It is not refused for want of room.
	// A next that is free may be dropped: Create then finds nothing.
	Swap(ctx context.Context, old, next IdempotencyEntry) (IdempotencyEntry, error)

	// Watch returns nil when the entry has another Revision than e, or is gone.
	Watch(ctx context.Context, e IdempotencyEntry) error
}

// IdempotencyEntry is what a store knows of a key. It is answered if Answered is set; a
// call with the key is under way if Lease has not passed; otherwise it is free: the next
// call with the key runs.
type IdempotencyEntry struct {
	ID       uuid.UUID `json:"id"`               // new for each Create
	Revision uint64    `json:"-"`                // set by the store: another one after each write; never 0
	Function string    `json:"function"`         // the name of the function, without version or alias; empty: outside of a call
	Tenant   string    `json:"tenant,omitempty"` // of the call
	Key      string    `json:"key"`              // 1 to 256 bytes, without control characters
	Input    []byte    `json:"input"`            // the SHA-256 of the encoded input
	Created  time.Time `json:"created"`          // wall-clock time, in UTC, as the two below
	Until    time.Time `json:"until"`            // the end of the key's window

	Call      uuid.UUID `json:"call,omitzero"`       // the call that runs, or that has answered
	Lease     time.Time `json:"lease,omitzero"`      // until then that call runs; zero: it is over
	Answered  bool      `json:"answered,omitempty"`  // the call is over, and its answer is what follows
	Answer    []byte    `json:"answer,omitempty"`    // the encoded output, if Failure is empty
	Failure   string    `json:"failure,omitempty"`   // the text of the error, if that was to be remembered
	Permanent bool      `json:"permanent,omitempty"` // the error was of Permanent
}

// The errors of [Idempotent], to be tested with [errors.Is].
var (
	// ErrInProgress: a call with the same key is under way, and [Idempotency].Refuse is set.
	ErrInProgress = errors.New("a call with this idempotency key is under way")
	// ErrKeyReused: an earlier call with the same key had another input.
	ErrKeyReused = errors.New("the idempotency key was used with another input")
)

// idempotencyStep is what a call does that finds an entry of its key.
type idempotencyStep uint8

const (
	stepRun    idempotencyStep = iota // it takes the entry, and runs
	stepAnswer                        // it answers as the earlier call has
	stepWait                          // it waits for the call that runs, or is refused
	stepReuse                         // it is refused: its input is another one
)

// step decides about a call with that input.
func (e *IdempotencyEntry) step(input []byte, now time.Time) idempotencyStep {
	switch {
	case !e.Answered && !now.Before(e.Lease):
		return stepRun
	case !bytes.Equal(e.Input, input):
		return stepReuse
	case e.Answered:
		return stepAnswer
	}
	return stepWait
}

// taken returns the entry as a call takes it that asked to create mine.
func (e *IdempotencyEntry) taken(mine *IdempotencyEntry) IdempotencyEntry {
	next := *e
	next.Call, next.Lease, next.Input = mine.Call, mine.Lease, mine.Input
	return next
}

// freed returns the entry without the call that had it.
func (e *IdempotencyEntry) freed() IdempotencyEntry {
	next := *e
	next.Call, next.Lease = uuid.Nil, time.Time{}
	return next
}

// isFree reports whether no call has the entry, whatever the time.
func (e *IdempotencyEntry) isFree() bool { return !e.Answered && e.Lease.IsZero() }
