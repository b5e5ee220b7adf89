package cost

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// Key is what usage is counted by: the ledger keeps separate sums for each key.
type Key struct {
	Function string
	Version  string
	// Tenant is empty for calls that had none.
	Tenant string
	// Labels is shared by all keys of a function, and must not be changed.
	Labels map[string]string
	// Outcome has no meaning for an overrun.
	Outcome faas.Outcome
	// Overrun marks what runaways used after their callers were freed.
	Overrun bool
	// Base marks, in a statement, the base fee of a month.
	Base bool
	// Spent is what the usage was for: a call, a job's first attempt, a retry or a dead
	// letter.
	Spent Spending
	// Job is the ID of the job, if the usage is of a job's deliveries and the ledger counts
	// jobs one by one ([Ledger.CountJobs]). Otherwise it is zero.
	Job uuid.UUID
}

// Usage is what the calls of one key and one declared memory have used in a period:
// integers, summed call by call. A [Ledger] makes it. It is a value, which may be
// copied and used concurrently.
type Usage struct {
	Key
	Memory int64  // declared memory, in bytes
	Calls  uint64 // number of calls or, if Overrun is set, of overruns
	// Period is when it was used: the ledger's period, cut where prices change. It is zero if
	// the time is not known.
	Period Period

	measured       uint64 // calls with a measured processor time
	duration, init count  // sums in nanoseconds, as measured
	billed         []sum  // one sum for each rounding rule of the ledger's books
}

// during returns the period of the usage or, if that is not known, p: the period of the
// statement.
func (u Usage) during(p Period) Period {
	if u.Period.Start.IsZero() {
		return p
	}
	return u.Period
}

// Duration returns the sum of the durations as measured, in nanoseconds. It may be more
// than a time.Duration holds.
func (u Usage) Duration() *big.Int { return u.duration.big() }

// Init returns the sum of the initialization times as measured, in nanoseconds.
func (u Usage) Init() *big.Int { return u.init.big() }

// Quanta returns how many granularities of r the calls are billed for, each call rounded by
// itself. It returns [ErrUnrated] if the ledger has not counted by r.
func (u Usage) Quanta(r Rounding) (*big.Int, error) {
	if n := u.sum(rule{Rounding: r}); n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%w: function %q was not metered in steps of %v (minimum %v, init %t); give its records to a ledger that is made with the book",
		ErrUnrated, u.Function, r.Granularity, r.Minimum, r.Init)
}

// sum returns a copy of the sum of a rule, or nil if the ledger has not counted by that rule.
func (u Usage) sum(by rule) *big.Int {
	for _, s := range u.billed {
		if s.by == by {
			return s.quanta.big()
		}
	}
	return nil
}

// compare orders keys as statements list them.
func (k Key) compare(o Key) int {
	return cmp.Or(
		compareBool(k.Base, o.Base), strings.Compare(k.Function, o.Function), strings.Compare(k.Version, o.Version),
		strings.Compare(k.Tenant, o.Tenant), strings.Compare(labelText(k.Labels), labelText(o.Labels)),
		bytes.Compare(k.Job[:], o.Job[:]), cmp.Compare(k.Spent, o.Spent),
		compareBool(k.Overrun, o.Overrun), cmp.Compare(k.Outcome, o.Outcome),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// labelText returns a text that is the same for equal labels and for no others.
func labelText(labels map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(strconv.Quote(key))
		b.WriteString(strconv.Quote(labels[key]))
	}
	return b.String()
}
