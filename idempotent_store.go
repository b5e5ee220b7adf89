package faas

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// IdempotencyStore keeps the entries of [Idempotent], one for each key. It only stores them:
// Idempotent decides what an entry means. [NewMemoryIdempotency] makes a store for one
// process, [NewJobIdempotency] one that is as durable as a queue of jobs. Package faastest
// has the conformance test for other stores, TestIdempotencyStore.
//
// Many goroutines call the methods at once, also those of several processes. A method that
// waits returns ctx's error when ctx ends. The slices of an entry are constant once the entry
// was given to a store or returned by it.
type IdempotencyStore interface {
	// Create stores e and returns it, and true. But if the store has an entry of the same
	// Function, Tenant and Key whose Until has not passed, Create returns that one, and false.
	// It is one atomic step. The returned entry has its Revision. If there is no room the error
	// Is [ErrOverloaded]: the store must not drop an entry before its Until to make room,
	// since its handler could then run twice.
	Create(ctx context.Context, e IdempotencyEntry) (IdempotencyEntry, bool, error)

	// Swap replaces an entry by next if the entry still has old's Revision, and returns next
	// with its new Revision. If the entry has changed or is gone, the error Is [ErrRevision].
	// next has the same ID, Function, Tenant, Key, Created and Until as old. A full store does
	// not refuse Swap. If next is free, the store may drop the entry, so that Create finds none.
	Swap(ctx context.Context, old, next IdempotencyEntry) (IdempotencyEntry, error)

	// Watch waits until the entry has another Revision than e, or is gone, and returns nil.
	Watch(ctx context.Context, e IdempotencyEntry) error
}

// IdempotencyEntry is the state of one key. It is answered if Answered is set. If not, and if
// Lease has not passed, a call with the key runs. Otherwise the key is free: the next call
// with it runs the handler.
type IdempotencyEntry struct {
	ID       uuid.UUID `json:"id"`               // a new one for each Create
	Revision uint64    `json:"-"`                // set by the store: a new one for each write; never 0
	Function string    `json:"function"`         // the name of the function, without version or alias; empty: outside of a call
	Tenant   string    `json:"tenant,omitempty"` // of the call
	Key      string    `json:"key"`              // 1 to 256 bytes, without control characters
	Input    []byte    `json:"input"`            // the SHA-256 of the encoded input
	Created  time.Time `json:"created"`          // Created, Until and Lease are wall-clock times in UTC
	Until    time.Time `json:"until"`            // the end of the key's window

	Call      uuid.UUID `json:"call,omitzero"`       // the invocation that runs, or that has answered
	Lease     time.Time `json:"lease,omitzero"`      // when that call is over at the latest; zero: it is over
	Answered  bool      `json:"answered,omitempty"`  // the call is over, and the three fields below are its answer
	Answer    []byte    `json:"answer,omitempty"`    // the encoded output, if Failure is empty
	Failure   string    `json:"failure,omitempty"`   // the text of the error, if the answer is an error
	Permanent bool      `json:"permanent,omitempty"` // the error was made by Permanent
}

// The errors of [Idempotent], to be tested with [errors.Is].
var (
	// ErrInProgress: a call with the same key is under way, and [Idempotency].Refuse is set.
	ErrInProgress = errors.New("a call with this idempotency key is under way")
	// ErrKeyReused: an earlier call with the same key had another input.
	ErrKeyReused = errors.New("the idempotency key was used with another input")
)

// idempotencyStep is what a call does when it finds an entry with its key.
type idempotencyStep uint8

const (
	stepRun    idempotencyStep = iota // takes the entry, and runs the handler
	stepAnswer                        // returns the earlier call's answer
	stepWait                          // waits for the call that runs, or is refused
	stepReuse                         // is refused: the earlier call had another input
)

// step returns what a call with that input does when it finds the entry.
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

// taken returns the entry when a call takes it. mine is the entry that the call tried to
// create.
func (e *IdempotencyEntry) taken(mine *IdempotencyEntry) IdempotencyEntry {
	next := *e
	next.Call, next.Lease, next.Input = mine.Call, mine.Lease, mine.Input
	return next
}

// freed returns the entry when no call holds it.
func (e *IdempotencyEntry) freed() IdempotencyEntry {
	next := *e
	next.Call, next.Lease = uuid.Nil, time.Time{}
	return next
}

// isFree reports whether no call holds the entry and no answer is in it, at whatever time.
func (e *IdempotencyEntry) isFree() bool { return !e.Answered && e.Lease.IsZero() }
