package cost

import (
	"time"

	"github.com/inproc/faas"
)

// sums has the sums of the calls of one key and one declared memory, by the rounding rules of
// a ledger or counter.
type sums struct {
	calls    uint64 // or overruns
	measured uint64 // calls with a measured processor time
	// duration and init are sums in nanoseconds, as measured. quanta has one sum for each
	// rule, first those of the rules for durations.
	duration, init count
	quanta         []count
}

// add adds a call. measured is 1 if its processor time is known.
func (s *sums) add(by *rules, e *faas.Execution, processor, measured uint64) {
	duration, init := nonNegative(e.Duration), nonNegative(e.Init)
	s.calls++
	s.measured += measured
	s.duration.add(duration)
	s.init.add(init)
	billed := s.quanta[:len(by.time)]
	for i := range billed {
		billed[i].add(quanta(&by.time[i], duration, duration+init))
	}
	if len(by.other) > 0 {
		by.add(s.quanta[len(billed):], e, measured > 0, processor)
	}
}

// addOverrun adds an overrun of that length.
func (s *sums) addOverrun(by *rules, d time.Duration) {
	s.calls++
	s.duration.add(nonNegative(d))
	for i := range by.time {
		s.quanta[i].add(by.time[i].overrunQuanta(d))
	}
}

// plus adds sums of the same rules.
func (s *sums) plus(o *sums) {
	s.calls += o.calls
	s.measured += o.measured
	s.duration.plus(o.duration)
	s.init.plus(o.init)
	for i, n := range o.quanta {
		s.quanta[i].plus(n)
	}
}
