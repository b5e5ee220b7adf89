package cost

import (
	"slices"
	"strings"
	"time"
)

func (t *tracker) balanceNow(key string, now time.Time, n *notices) Balance {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.roll(now, n) // where there is no window, the last that there was
	return t.balance(t.peek(key))
}

// balances are those of the present window, and of accounts whose limit was set.
func (t *tracker) balances(now time.Time, n *notices) []Balance {
	var all []Balance
	copies := append(t.copies(now, n), t.unused()...)
	for i := range copies {
		all = append(all, t.balance(&copies[i]))
	}
	slices.SortFunc(all, func(a, b Balance) int { return strings.Compare(a.Account, b.Account) })
	return all
}

// copyBatch is how many accounts are copyBatch at a time, so that a call waits for no
// more.
const copyBatch = 256

// copies are the accounts of the present window. Each is as it was at a moment;
// calls go on between them.
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

// unused are accounts whose limit was set, and that the present window has not.
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

// degraded calls yield for each function that is to be slowed down now. No lock is
// held meanwhile.
func (t *tracker) degraded(now time.Time, yield func(function string, to int, until time.Time)) {
	if t.declared.Degrade == nil {
		return
	}
	var n notices // whoever asks this brings the limits up to date
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
