package observe

import (
	"slices"

	"github.com/inproc/faas"
)

// Outcomes counts calls by how they ended: the index is a [faas.Outcome].
type Outcomes [8]uint64

const outcomes = len(Outcomes{})

// One of these lines fails to compile if the number of outcomes changes.
const (
	_ = uint(outcomes - 1 - int(faas.InitFailed))
	_ = uint(int(faas.InitFailed) - outcomes + 1)
)

// Calls returns the number of calls: each call that was admitted has one outcome.
func (o *Outcomes) Calls() (n uint64) {
	for _, calls := range o {
		n += calls
	}
	return n
}

// Failures returns how many calls ended neither OK nor Canceled.
func (o *Outcomes) Failures() uint64 { return o.Calls() - o[faas.OK] - o[faas.Canceled] }

// tally has the counts of a function, version and trigger within a second.
type tally struct {
	outcomes          Outcomes
	cold              uint64
	bytesIn, bytesOut uint64
	wait, init, run   counts
	overruns          uint64
	overrun           sum
	grown, shrunk     uint64
	refused           uint64 // the sum of refusals
	refusals          refusals
}

// add counts a call. Only a cold call has an initialization: the others would fill its
// histogram with zeros.
func (t *tally) add(e *faas.Execution) {
	t.outcomes[min(int(e.Outcome), outcomes-1)]++
	t.bytesIn += uint64(max(e.BytesIn, 0))
	t.bytesOut += uint64(max(e.BytesOut, 0))
	t.wait.add(e.Queued)
	t.run.add(e.Duration)
	if e.Cold {
		t.cold++
		t.init.add(e.Init)
	}
}

// RefusalCount is the number of calls that were refused for a reason.
type RefusalCount struct {
	Kind   faas.Kind
	Reason faas.Reason // OtherReason if the recorder has no room for the reason
	Count  uint64
}

// OtherReason is the reason under which a [Recorder] counts refusals when it has seen 64
// reasons, since gates may make up reasons.
const OtherReason faas.Reason = "other"

const maxReasons = 64

// refusals has few elements, and so is searched in sequence.
type refusals []RefusalCount

func (all *refusals) add(n RefusalCount) {
	i := slices.IndexFunc(*all, func(c RefusalCount) bool { return c.Reason == n.Reason && c.Kind == n.Kind })
	if i < 0 {
		*all = append(*all, n)
		return
	}
	(*all)[i].Count += n.Count
}
