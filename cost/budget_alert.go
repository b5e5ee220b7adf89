package cost

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/inproc/faas"
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

// tell logs an alert and calls the hook, without a lock.
func (p *pot) tell(a Alert) {
	b := a.Balance
	text, log := "cost: budget refuses calls", p.declared.Logger.With("budget", b.Budget, "account", b.Account)
	if !a.Refused {
		text, log = "cost: budget has reached a threshold", log.With("percent", a.Percent)
	}
	log.Warn(text, "spent", b.Spent.String(), "reserved", b.Reserved.String(), "limit", b.Limit.String(), "until", b.Window.End)
	if p.declared.Alert == nil {
		return
	}
	// The hook is not the call's affair. A panic that went on to the router would
	// have it refused here, or the budgets after this one not told of its end.
	defer func() {
		if v := recover(); v != nil {
			p.declared.Logger.Error("cost: the Alert of a budget panicked", "budget", b.Budget, "panic", fmt.Sprintf("%T", v))
		}
	}()
	p.declared.Alert(a)
}

// BudgetError says which budget has refused a call, and why. If several do, it
// is one of those that refuse for longest.
type BudgetError struct {
	Balance Balance
	Needed  Amount // what would have had to be reserved, if the budget reserves
	Err     error  // why the call can't be priced; nil: it can

	wait time.Duration // forever: no wait will do
}

var errUnbound = errors.New("there is a budget with Degrade, which needs to know the router; call Budgets.Bind")

// Error tells the balance, and what was needed.
func (e *BudgetError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%v: %v", ErrBudget, e.Err)
	case e.wait == forever && e.Needed.n == (atoms{}):
		return fmt.Sprintf("%v: %s; a limit of nothing refuses all calls", ErrBudget, e.Balance)
	case e.wait == forever:
		return fmt.Sprintf("%v: %s; the call could need %s, which is more than the whole limit: give the function a shorter timeout or less memory, or raise the limit",
			ErrBudget, e.Balance, e.Needed)
	case e.wait == 0:
		return fmt.Sprintf("%v: %s; the call could need %s", ErrBudget, e.Balance, e.Needed)
	}
	return fmt.Sprintf("%v: %s, until %s", ErrBudget, e.Balance, e.Balance.Window.End.Format(time.RFC3339))
}

// spent tells whether the limit is spent until the window ends, and not only
// reserved for others or too small for the call.
func (e *BudgetError) spent() bool { return e.wait > 0 && e.wait < forever }

// Unwrap returns [ErrBudget], [faas.ErrDenied] and Err.
func (e *BudgetError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrBudget, faas.ErrDenied}
	}
	return []error{ErrBudget, faas.ErrDenied, e.Err}
}

// retryReserved is when to ask again where the budget is only reserved: calls end
// all the time, and it is not known which of them will leave enough.
const retryReserved = time.Second

// refusal is what a gate answers.
func (e *BudgetError) refusal() error {
	no := &faas.Error{Op: "invoke", Kind: faas.KindBusy, Reason: ReasonBudget, RetryAfter: e.wait, Err: e}
	switch e.wait {
	case forever:
		no.Kind, no.RetryAfter = faas.KindDenied, 0
	case 0:
		no.RetryAfter = retryReserved
	}
	return no
}

// orLonger returns the one that refuses for longer. Both may be nil.
func (e *BudgetError) orLonger(f *BudgetError) *BudgetError {
	if e == nil || f != nil && f.wait > e.wait {
		return f
	}
	return e
}
