package cost

import (
	"fmt"
	"strings"
)

// Balance is an account of a [Budget] at one moment. It is a value: it may be copied,
// and stored as JSON for [Budgets.Restore].
type Balance struct {
	Budget   string    // its name
	Per      Dimension // as the budget has it
	Account  string    // the value of Per; empty without Per
	Window   Period
	Limit    Amount
	Spent    Amount // by calls that have ended, whatever their outcome
	Reserved Amount // for calls that have not ended
	Left     Amount // Limit - Spent - Reserved, at least nothing
	// Excess is the part of Spent that a budget with Reserve could not reserve: for
	// example of a call that took longer than its timeout and Slack, or of a runaway.
	Excess Amount

	LimitSet bool // Limit was set by SetLimit; otherwise it is the budget's
	Refused  bool // this window's alert about a refused call has been told
}

// String describes the balance on one line: budget "agents", tenant "acme": 4 USD of 5
// USD spent.
func (b Balance) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "budget %q", b.Budget)
	if name, isLabel := strings.CutPrefix(string(b.Per), labelPrefix); isLabel {
		fmt.Fprintf(&s, ", label %q %q", name, b.Account)
	} else if b.Per != "" {
		fmt.Fprintf(&s, ", %s %q", b.Per, b.Account)
	}
	fmt.Fprintf(&s, ": %s of %s spent", b.Spent, b.Limit)
	if b.Reserved.n != (atoms{}) {
		fmt.Fprintf(&s, ", %s reserved", b.Reserved)
	}
	return s.String()
}

// Alert is what Budget.Alert is called with: a part of the limit is spent, or, for the
// first time in a window, a call was refused because the limit is spent.
type Alert struct {
	Balance Balance
	Percent int  // which one of Budget.WarnAt was reached; 0: Refused is set
	Refused bool // a call was refused; false: Percent of the limit is spent
}
