package cost

import (
	"fmt"
	"strings"
)

// Balance is an account of a [Budget] at one moment. It is a value: it may be copied,
// and stored as JSON for [Budgets.Restore].
type Balance struct {
	Budget  string    // the name of the budget
	Per     Dimension // the budget's Per
	Account string    // the value of Per; empty without Per
	Window  Period    // the window that the amounts are of
	Limit   Amount    // the account's own limit or, without one, the budget's

	// Spent is the use of calls that have ended, whatever their outcome.
	Spent Amount
	// Reserved is what is set aside for calls that have not ended.
	Reserved Amount
	// Left is Limit - Spent - Reserved, and never less than zero.
	Left Amount
	// Excess is the part of Spent that a budget with Reserve had not reserved: for example by
	// a call that took longer than its timeout plus Slack, or by a runaway.
	Excess Amount

	// LimitSet is true if SetLimit has set Limit, and false if Limit is the budget's.
	LimitSet bool
	// Refused is true if the alert about a refused call has been given in this window.
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

// Alert is the argument of Budget.Alert. Either a part of the limit is spent or, for the
// first time in a window, a call was refused because the limit is spent.
type Alert struct {
	// Balance is the account, at the moment at which it reached the threshold.
	Balance Balance
	// Percent is the percentage of Budget.WarnAt that was reached; it is 0 if Refused is set.
	Percent int
	// Refused is true if a call was refused, and false if Percent of the limit is spent.
	Refused bool
}
