package cost

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/inproc/faas"
)

// ErrBudget is in the error of a call that a budget refused, together with
// [faas.ErrDenied] and a [*BudgetError] that says which budget.
var ErrBudget = errors.New("not within the budget")

// ReasonBudget is the Reason of a call that a budget refused.
const ReasonBudget faas.Reason = "budget"

// BudgetError says which budget has refused a call, and why. If several budgets do, it
// describes the one that will refuse for the longest time.
type BudgetError struct {
	// Balance is the account that refused the call.
	Balance Balance
	// Needed is what would have been reserved for the call; nothing without Reserve.
	Needed Amount
	// Err says why the call can't be priced, or has no window; nil: neither.
	Err error

	wait time.Duration // until the call may be admitted; forever: no wait helps
}

// forever is the wait of a call that no window can admit.
const forever time.Duration = math.MaxInt64

var errUnbound = errors.New("there is a budget with Degrade, which needs to know the router; call Budgets.Bind")

// Error describes the balance, and what the call would have needed.
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

// spent reports whether the limit is spent until the window ends. It is false if calls
// in flight hold what is left, and if the call alone is too large.
func (e *BudgetError) spent() bool { return e.wait > 0 && e.wait < forever }

// Unwrap returns [ErrBudget], [faas.ErrDenied] and Err.
func (e *BudgetError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrBudget, faas.ErrDenied}
	}
	return []error{ErrBudget, faas.ErrDenied, e.Err}
}

// retryReserved is the RetryAfter of a call for which the budget is only reserved:
// calls end all the time, and which of them leaves enough is not known.
const retryReserved = time.Second

// refusal returns the answer of the gate.
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

// orLonger returns the one of the two that refuses for longer. Both may be nil.
func (e *BudgetError) orLonger(f *BudgetError) *BudgetError {
	if e == nil || f != nil && f.wait > e.wait {
		return f
	}
	return e
}
