package observe

import (
	"slices"

	"github.com/inproc/faas"
)

// Outcomes is how many calls ended in each way, by [faas.Outcome].
type Outcomes [8]uint64

const outcomes = len(Outcomes{})

// Both lines fail to compile if there are more outcomes, or fewer.
const (
	_ = uint(outcomes - 1 - int(faas.InitFailed))
	_ = uint(int(faas.InitFailed) - outcomes + 1)
)

// Calls returns how many calls that are: each admitted call has one outcome.
func (o *Outcomes) Calls() (n uint64) {
	for _, calls := range o {
		n += calls
	}
	return n
}

// Failures returns how many calls ended in another way than OK or Canceled.
func (o *Outcomes) Failures() uint64 { return o.Calls() - o[faas.OK] - o[faas.Canceled] }

// tally is what is counted of a function and version within a second.
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

// add counts a call. An initialization is one of a cold call only, so that the histogram of
// initializations is not one of zeros.
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

// RefusalCount is how many calls were refused for one reason.
type RefusalCount struct {
	Kind   faas.Kind
	Reason faas.Reason // OtherReason if it is one more than the recorder keeps apart
	Count  uint64
}

// OtherReason is the reason under which a [Recorder] counts refusals of further reasons,
// when it has seen 64: gates may make up reasons.
const OtherReason faas.Reason = "other"

const maxReasons = 64

// refusals are few, so that they are searched in order.
type refusals []RefusalCount

func (all *refusals) add(n RefusalCount) {
	i := slices.IndexFunc(*all, func(c RefusalCount) bool { return c.Reason == n.Reason && c.Kind == n.Kind })
	if i < 0 {
		*all = append(*all, n)
		return
	}
	(*all)[i].Count += n.Count
}
