package cost

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/inproc/faas"
)

// ErrBudget is in the answer to a call that a budget doesn't allow, with a
// [*BudgetError], which says which budget, and [faas.ErrDenied].
var ErrBudget = errors.New("not within the budget")

// ReasonBudget is the Reason of a call that a budget refused.
const ReasonBudget faas.Reason = "budget"

// BudgetError says which budget has refused a call, and why. If several do, it
// is one of those that refuse for longest.
type BudgetError struct {
	Balance Balance
	Needed  Amount // what would have had to be reserved, if the budget reserves
	Err     error  // why the call can't be priced; nil: it can

	wait time.Duration // forever: no wait will do
}

// forever is the wait of a call that can't ever be admitted.
const forever time.Duration = math.MaxInt64

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
