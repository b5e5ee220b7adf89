package cost

import (
	"fmt"
	"strings"
)

// Balance is an account of a [Budget] at a moment. It is a value.
type Balance struct {
	Budget   string    // its name
	Per      Dimension // as the budget has it
	Account  string    // the value of Per; empty without Per
	Window   Period
	Limit    Amount
	Spent    Amount // by calls that have ended
	Reserved Amount // for calls that have not
	Left     Amount // Limit - Spent - Reserved, and not less than nothing
	// Excess is the part of Spent that a budget which reserves could not reserve:
	// calls that took longer than their timeout and Slack, and what runaways used.
	Excess Amount

	LimitSet bool // Limit is one that SetLimit has set, and not the budget's
	Refused  bool // that a call was refused because it is spent was told in this window
}

// String is such as: budget "agents", tenant "acme": 4 USD of 5 USD spent.
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

// Alert is what a budget tells: that a part of the limit is spent, or that,
// for the first time in a window, a call was refused because it is spent.
type Alert struct {
	Balance Balance
	Percent int  // which of Budget.WarnAt; 0: Refused
	Refused bool // otherwise: Percent of the limit is spent
}
