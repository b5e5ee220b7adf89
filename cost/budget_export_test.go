package cost

import (
	"math/big"
	"time"

	"github.com/inproc/faas"
)

// Held returns how many calls are in flight in all budgets together.
func (b *Budgets) Held() (n int) {
	for _, p := range b.trackers {
		p.mu.Lock()
		n += p.calls.used
		p.mu.Unlock()
	}
	return n
}

// StopTimer stops the timer that gives limits back when a window ends.
func (b *Budgets) StopTimer() {
	b.degrader.mu.Lock()
	defer b.degrader.mu.Unlock()
	b.degrader.timer.Stop()
}

// AdmitAt is Admit at another time.
func (b *Budgets) AdmitAt(inv faas.Invocation, now time.Time) error {
	var n notices
	if no := b.decide(&inv, now, &n); no != nil {
		return no.refusal()
	}
	return nil
}

// Atoms does an operation of atoms on numbers of at most 128 bits; nil: the result does
// not fit.
func Atoms(op string, x, y *big.Int) *big.Int {
	a, _ := atomsOf(x)
	b, _ := atomsOf(y)
	n, ok := atoms{}, true
	switch op {
	case "plus":
		n, ok = a.plus(b)
	case "minus":
		n = a.minus(b)
	case "times":
		n, ok = a.times(b)
	case "percent":
		n = a.percent(int(y.Int64()))
	case "cmp":
		return big.NewInt(int64(a.cmp(b)))
	}
	if !ok {
		return nil
	}
	return n.big()
}

// Flights is the table of calls in flight, each with a name in place of an account.
type Flights struct{ table inFlightTable }

// Add adds one.
func (f *Flights) Add(id [16]byte, name string) {
	f.table.add(inFlight{id: id, account: &account{key: name}})
}

// Find finds one.
func (f *Flights) Find(id [16]byte) (string, bool) {
	if found := f.table.find(id); found != nil {
		return found.account.key, true
	}
	return "", false
}

// Remove removes one that is there.
func (f *Flights) Remove(id [16]byte) { f.table.remove(f.table.find(id)) }

// Size is how many there are, and how many would fit.
func (f *Flights) Size() (used, places int) { return f.table.used, len(f.table.places) }
