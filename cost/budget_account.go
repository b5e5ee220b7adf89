package cost

import "time"

// bounds is a limit, and the amounts at which a warning is given or the function is slowed
// down. A bounds is never changed, so accounts share it.
type bounds struct {
	limit   atoms
	warn    []atoms // one for each percentage of tracker.warnAt, ascending
	degrade atoms
}

// window is a period. It is a type of its own, apart from accountSet, so that a call in
// flight keeps only its account and the window in memory, and not all other accounts.
type window struct {
	Period
	start, end int64 // seconds since 1970: periods begin at whole seconds
}

// accountSet is the accounts of a window. The tracker's mu guards it.
type accountSet struct {
	*window
	accounts map[string]*account
	// list has the same accounts in the order in which they were opened. It is only
	// appended to, so a copy of the slice header may be read without mu.
	list []*account
	full bool // there was no room for an account, and this was logged
}

// newAccountSet begins a window without accounts.
func newAccountSet(p Period) *accountSet {
	return &accountSet{
		window:   &window{Period: p, start: p.Start.Unix(), end: p.End.Unix()},
		accounts: map[string]*account{},
	}
}

// contains reports whether t is in the window.
func (w *window) contains(t time.Time) bool { return w.start <= t.Unix() && t.Unix() < w.end }

// account has the amounts that the calls of one value of Per have used in a window. A call is
// charged to the account that admitted it, even if the window has ended since. The tracker's
// mu guards it.
type account struct {
	key      string
	window   *window
	bounds   *bounds
	spent    atoms // by calls that have ended
	reserved atoms // for calls that have not ended
	excess   atoms // the part of spent that was not reserved
	warned   int   // how many thresholds of tracker.warnAt have been reported
	refused  bool  // the first refusal of the window has been reported
}

// exceed adds to a.excess an amount that was used without having been reserved.
func (a *account) exceed(by atoms) { a.excess, _ = a.excess.plus(by) }
