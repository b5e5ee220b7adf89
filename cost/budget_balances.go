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
	_ = t.roll(now, n) // if the calendar has no window for now, the last one stays
	return t.balance(t.peek(key))
}

// balances returns those of the current window, and those of accounts with a limit of
// their own, in the order of their names.
func (t *tracker) balances(now time.Time, n *notices) []Balance {
	var all []Balance
	copies := append(t.copies(now, n), t.unused()...)
	for i := range copies {
		all = append(all, t.balance(&copies[i]))
	}
	slices.SortFunc(all, func(a, b Balance) int { return strings.Compare(a.Account, b.Account) })
	return all
}

// copyBatch is how many accounts are copied under one hold of the lock. A call that is
// admitted meanwhile waits for the copy of one batch, not of all 100,000 accounts.
const copyBatch = 256

// copies returns copies of the current window's accounts. t.mu must not be held. Each
// is as it was at one moment; calls go on between two batches. The slice header is read
// under the lock and its elements never change, so the list may be walked without the
// lock.
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

// unused returns the accounts with a limit of their own that the current window has not
// opened. t.mu must not be held.
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

// degraded calls yield for each function that must be slowed down now. t.mu must not be
// held: copies takes it, for one batch of accounts at a time.
func (t *tracker) degraded(now time.Time, yield func(function string, to int, until time.Time)) {
	if t.declared.Degrade == nil {
		return
	}
	var n notices // dropped: the degrader, which asks, brings the limits up to date anyway
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
