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

// Atoms does an operation of atoms on numbers of at most 128 bits. It returns nil if the
// result does not fit.
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

// Flights is a table of calls in flight, in which each call has a name instead of an account.
type Flights struct{ table inFlightTable }

// Add adds a call.
func (f *Flights) Add(id [16]byte, name string) {
	f.table.add(inFlight{id: id, account: &account{key: name}})
}

// Find returns the name of a call.
func (f *Flights) Find(id [16]byte) (string, bool) {
	if found := f.table.find(id); found != nil {
		return found.account.key, true
	}
	return "", false
}

// Remove removes a call that is in the table.
func (f *Flights) Remove(id [16]byte) { f.table.remove(f.table.find(id)) }

// Size returns the number of calls and the number of places.
func (f *Flights) Size() (used, places int) { return f.table.used, len(f.table.places) }
