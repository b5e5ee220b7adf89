package ledgersqlite

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// Correction has the numbers that are to be added to a record to make it right. The record
// itself is not changed. A correction is not changed either: a wrong one is corrected by
// another correction.
type Correction struct {
	// ID is the correction's own id: a correction that is passed twice is stored once. If it
	// is zero, [Ledger.Correct] makes one.
	ID uuid.UUID
	// Invocation is the id of the invocation whose record is corrected.
	Invocation uuid.UUID
	// Overrun is true if the record of the invocation's overrun is corrected, and not that of
	// its execution.
	Overrun bool
	// Calls is -1 if the record must not be billed, and 1 to undo such a correction.
	Calls    int
	Duration time.Duration
	Init     time.Duration
	Memory   int64 // bytes
	// Why is the reason, for people. It is required.
	Why string
	// At is when the correction was made, in UTC. Correct sets it.
	At time.Time
}

// Record is a stored record with its corrections, the oldest first. Start is in UTC, and has
// no monotonic clock. Err, if it is set, is a *[StoredError]. Labels are the record's own,
// and nil if it has none. Bytes of a label that are not UTF-8 were replaced by U+FFFD.
type Record struct {
	faas.Execution // as it was recorded
	Corrections    []Correction
}

// Corrected returns the record with its corrections applied. ok is false if the record must
// not be billed.
func (r Record) Corrected() (e faas.Execution, ok bool) {
	e = r.Execution
	calls := 1
	for _, c := range r.Corrections {
		calls += c.Calls
		e.Duration += c.Duration
		e.Init += c.Init
		e.Memory += c.Memory
	}
	return e, calls > 0
}

// Overrun is a stored overrun with its corrections, the oldest first.
type Overrun struct {
	faas.Overrun           // as it was recorded
	At           time.Time // when it ended; zero means the time at which it is stored
	Corrections  []Correction
}

// Corrected returns the overrun with its corrections applied. ok is false if it must not be
// billed.
func (o Overrun) Corrected() (corrected faas.Overrun, ok bool) {
	corrected = o.Overrun
	calls := 1
	for _, c := range o.Corrections {
		calls += c.Calls
		corrected.Duration += c.Duration
		corrected.Memory += c.Memory
	}
	return corrected, calls > 0
}

func (c *Correction) encode() (correction, error) {
	made, err := encodeTime(c.At)
	x := correction{
		id: c.ID, invocation: c.Invocation, calls: int64(c.Calls),
		duration: int64(c.Duration), init: int64(c.Init), memory: c.Memory, why: c.Why, made: made,
	}
	if c.Overrun {
		x.overrun = 1
	}
	return x, err
}

func (x *correction) decode() Correction {
	return Correction{
		ID: x.id, Invocation: x.invocation, Overrun: x.overrun != 0, Calls: int(x.calls),
		Duration: time.Duration(x.duration), Init: time.Duration(x.init), Memory: x.memory, Why: x.why, At: decodeTime(x.made),
	}
}

// check returns the mistakes of a correction that can be found without reading the record.
func (c *Correction) check() error {
	switch {
	case c.Why == "":
		return fmt.Errorf("%w: the field Why is empty", ErrCorrection)
	case c.Calls == 0 && c.Duration == 0 && c.Init == 0 && c.Memory == 0:
		return fmt.Errorf("%w: it changes nothing", ErrCorrection)
	case c.Overrun && c.Init != 0:
		return fmt.Errorf("%w: an overrun has no initialization", ErrCorrection)
	default:
		return nil
	}
}

// balance has the numbers of a record that can be corrected, with its corrections added.
type balance struct{ calls, duration, init, memory int64 }

// add returns false if a number overflows.
func (b *balance) add(x *correction) bool {
	return plus(&b.calls, x.calls) && plus(&b.duration, x.duration) && plus(&b.init, x.init) && plus(&b.memory, x.memory)
}

// plus adds n to *to. If the sum overflows it returns false and changes nothing.
func plus(to *int64, n int64) bool {
	sum := *to + n
	if (n > 0) != (sum > *to) && n != 0 {
		return false
	}
	*to = sum
	return true
}

// sound returns an error if a corrected record would have impossible numbers.
func (b *balance) sound() error {
	switch {
	case b.calls < 0 || b.calls > 1:
		return fmt.Errorf("%w: the record would be billed %d times", ErrCorrection, b.calls)
	case b.duration < 0 || b.init < 0 || b.memory < 0:
		return fmt.Errorf("%w: the record would have a duration of %v, an initialization of %v and %d bytes",
			ErrCorrection, time.Duration(b.duration), time.Duration(b.init), b.memory)
	default:
		return nil
	}
}
