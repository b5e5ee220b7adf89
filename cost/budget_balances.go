package cost

import (
	"slices"
	"strings"
	"time"
)

// balanceNow returns the balance of a key in the window that contains now.
func (t *tracker) balanceNow(key string, now time.Time, n *notices) Balance {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.roll(now, n) // if the calendar has no window for now, the last window stays
	return t.balance(t.peek(key))
}

// balances returns the balances of all accounts of the current window, and of all accounts
// with a limit of their own, in the order of their names.
func (t *tracker) balances(now time.Time, n *notices) []Balance {
	var all []Balance
	copies := append(t.copies(now, n), t.unused()...)
	for i := range copies {
		all = append(all, t.balance(&copies[i]))
	}
	slices.SortFunc(all, func(a, b Balance) int { return strings.Compare(a.Account, b.Account) })
	return all
}

// copyBatch is how many accounts are copied before the lock is released for a moment. So a
// call that is admitted meanwhile waits until one batch is copied, and not all 100,000
// accounts.
const copyBatch = 256

// copies returns copies of the current window's accounts. t.mu must not be held. Each copy is
// consistent in itself; calls go on between two batches. The slice header is read under the
// lock and its elements never change, so the loop over the list needs no lock.
func (t *tracker) copies(now time.Time, n *notices) []account {
	t.mu.Lock()
	_ = t.roll(now, n)
	list := t.current.list // only ever appended to
	t.mu.Unlock()
	all := make([]account, 0, len(list))
	for part := range slices.Chunk(list, copyBatch) {
		t.mu.Lock()
		for _, a := range part {
			all = append(all, *a)
		}
		t.mu.Unlock()
	}
	return all
}

// unused returns the accounts that have a limit of their own and have not been opened in the
// current window. t.mu must not be held.
func (t *tracker) unused() (all []account) {
	t.mu.Lock()
	keys := t.customKeys // only ever appended to
	t.mu.Unlock()
	for part := range slices.Chunk(keys, copyBatch) {
		t.mu.Lock()
		for _, key := range part {
			if t.current.accounts[key] == nil {
				all = append(all, *t.peek(key))
			}
		}
		t.mu.Unlock()
	}
	return all
}

// degraded calls yield for each function that must be slowed down now. t.mu must not be held:
// copies locks it, for one batch of accounts at a time.
func (t *tracker) degraded(now time.Time, yield func(function string, to int, until time.Time)) {
	if t.declared.Degrade == nil {
		return
	}
	var n notices // dropped: the caller is the degrader, which brings the limits up to date anyway
	for _, a := range t.copies(now, &n) {
		if a.spent.cmp(a.bounds.degrade) < 0 {
			continue
		}
		function := a.key
		if t.declared.Per == "" {
			function = t.declared.Where[Function]
		}
		yield(function, t.declared.Degrade.To, a.window.End)
	}
}
