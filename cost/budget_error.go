package cost

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/inproc/faas"
)

// ErrBudget is in the error chain of a call that a budget refused, together with
// [faas.ErrDenied] and a [*BudgetError] that names the budget.
var ErrBudget = errors.New("not within the budget")

// ReasonBudget is the Reason of a call that a budget refused.
const ReasonBudget faas.Reason = "budget"

// BudgetError says which budget has refused a call, and why. If several budgets refuse the
// call, it describes the one that will refuse it for the longest time.
type BudgetError struct {
	// Balance is the account that refused the call.
	Balance Balance
	// Needed is the amount that would have been reserved for the call. It is zero without
	// Reserve.
	Needed Amount
	// Err is the reason why the call can't be priced, or why there is no window for it. It is
	// nil if the limit is the reason.
	Err error

	wait time.Duration // until the call may be admitted; forever if waiting does not help
}

// forever is the value of wait for a call that no window can admit.
const forever time.Duration = math.MaxInt64

var errUnbound = errors.New("there is a budget with Degrade, which needs to know the router; call Budgets.Bind")

// Error describes the balance, and the amount that the call would have needed.
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

// spent reports whether the limit is spent until the window ends. It is false if the rest is
// only reserved for calls in flight, and if the call alone needs more than the limit.
func (e *BudgetError) spent() bool { return e.wait > 0 && e.wait < forever }

// Unwrap returns [ErrBudget], [faas.ErrDenied] and Err.
func (e *BudgetError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrBudget, faas.ErrDenied}
	}
	return []error{ErrBudget, faas.ErrDenied, e.Err}
}

// retryReserved is the RetryAfter of a refused call if the limit is not spent but reserved
// for other calls: it is not known when one of them ends and leaves enough.
const retryReserved = time.Second

// refusal returns the error with which the gate refuses the call.
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

// orLonger returns the error, e or f, that refuses for longer. Either may be nil.
func (e *BudgetError) orLonger(f *BudgetError) *BudgetError {
	if e == nil || f != nil && f.wait > e.wait {
		return f
	}
	return e
}
