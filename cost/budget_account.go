package cost

import "time"

// bounds are a limit, and the parts of it at which something happens.
type bounds struct {
	limit   atoms
	warn    []atoms // ascending, as pot.warnAt
	degrade atoms
}

// window is a period. A call in flight holds on to that of its account, and so to
// no others' accounts.
type window struct {
	Period
	start, end int64 // in seconds since 1970: periods begin at whole ones
}

// accountSet is the accounts of a window.
type accountSet struct {
	*window
	accounts map[string]*account
	list     []*account // the same, in the order in which they were opened
	full     bool       // one was wanted for which there was no room, which was told
}

func newAccountSet(p Period) *accountSet {
	return &accountSet{
		window:   &window{Period: p, start: p.Start.Unix(), end: p.End.Unix()},
		accounts: map[string]*account{},
	}
}

func (w *window) contains(t time.Time) bool { return w.start <= t.Unix() && t.Unix() < w.end }

// account is what one value of Per has used in a window. Calls that were
// admitted in it are charged to it to the last, even if the window has ended.
type account struct {
	key      string
	window   *window
	bounds   *bounds
	spent    atoms
	reserved atoms
	excess   atoms // of spent
	warned   int   // how many of the bounds' warnings have been given
	refused  bool  // the first refusal was told
}

// exceed counts what was used without having been reserved.
func (a *account) exceed(by atoms) { a.excess, _ = a.excess.plus(by) }
