package cost

import (
	"fmt"
	"strings"
)

// Balance is an account of a [Budget] at one moment. It is a value: it may be copied,
// and stored as JSON for [Budgets.Restore].
type Balance struct {
	Budget  string    // the name of the budget
	Per     Dimension // as the budget has it
	Account string    // the value of Per; empty without Per
	Window  Period    // the window that the amounts are of
	Limit   Amount    // the account's own limit, or the budget's

	// Spent is what calls that have ended have used, whatever their outcome.
	Spent Amount
	// Reserved is what is set aside for calls that have not ended.
	Reserved Amount
	// Left is Limit - Spent - Reserved, at least nothing.
	Left Amount
	// Excess is the part of Spent that a budget with Reserve could not reserve: for
	// example of a call that took longer than its timeout and Slack, or of a runaway.
	Excess Amount

	// LimitSet says that SetLimit has set Limit; otherwise it is the budget's.
	LimitSet bool
	// Refused says that the alert about a refused call has been told in this window.
	Refused bool
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
	// Balance is the account, at the moment at which it reached the threshold.
	Balance Balance
	// Percent is the one of Budget.WarnAt that was reached; 0 if Refused is set.
	Percent int
	// Refused says that a call was refused; otherwise Percent of the limit is spent.
	Refused bool
}
