package cost

import "time"

// bounds are a limit, and the amounts below or above it at which something happens.
// They are never changed, so accounts share them.
type bounds struct {
	limit   atoms
	warn    []atoms // for each of tracker.warnAt, ascending
	degrade atoms
}

// window is a period. It is apart from accountSet so that a call in flight, which holds
// on to its account and its window, does not keep all other accounts in memory.
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
	full bool // an account found no room, and the log says so
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

// account is what one value of Per has used in a window. A call is charged to the
// account that admitted it, even if the window has ended by then. The tracker's mu
// guards it.
type account struct {
	key      string
	window   *window
	bounds   *bounds
	spent    atoms // by calls that have ended
	reserved atoms // for calls that have not
	excess   atoms // the part of spent that was not reserved
	warned   int   // how many of tracker.warnAt have been told
	refused  bool  // the first refusal of the window was told
}

// exceed counts what was used without having been reserved.
func (a *account) exceed(by atoms) { a.excess, _ = a.excess.plus(by) }
