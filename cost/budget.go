package cost

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Budget declares how much calls may use in each window of time. [NewBudgets] makes a gate of
// one or several budgets.
//
//	cost.Budget{
//		Name:     "agents",
//		Limit:    cost.Spend(fiveDollars, lambda),
//		Per:      cost.Tenant,                       // five dollars for each tenant
//		Calendar: cost.Calendar{Every: cost.Day, Zone: newYork},
//		Reserve:  true,
//		WarnAt:   []int{80},
//	}
type Budget struct {
	Name  string // in errors, alerts and logs; required, and different from other budgets of the gate
	Limit Limit  // [Spend], [SlotTime] or [Calls]; required

	// Where selects the calls that the budget is about: those that have all of these values.
	// For example, {Function: "resize"} selects the calls of all versions of resize, and
	// {Function: "resize:2"} or "resize:$LATEST" the calls of one version. Nil selects all
	// calls. Outcome can't be used, since a call has no outcome yet when it is admitted.
	Where map[Dimension]string
	// Per gives each value of a dimension an account of its own, with the whole limit. For
	// example, with Per: Tenant each tenant has its own limit. Calls without a tenant, or
	// without the label, share the account of the empty value. If Per is empty, all calls
	// share one account.
	Per Dimension

	// MaxAccounts is how many accounts a window has at most; 0 means 100,000. Further calls
	// that would need an account share the account named [Overflow], and its one limit. So
	// callers, who may choose the names of their tenants, can't fill the memory. The first
	// time that this happens in a window is logged. The account of the empty value, and those
	// that SetLimit has named, always have room.
	MaxAccounts int

	// Calendar divides time into windows. The zero value is months in UTC. In each window all
	// accounts start at zero.
	Calendar Calendar

	// Reserve sets aside the worst case of a call, its timeout × memory by the book's rule,
	// from the call's admission to its end. Then its actual use is charged instead. A call is
	// refused if its worst case does not fit into the limit. As long as calls end within
	// their timeout plus Slack, the limit is not exceeded by a single unit, and less than one
	// worst case is left over.
	//
	// Without Reserve, calls are admitted until the limit is reached, and the calls in flight
	// at that moment may exceed it. A limit in Calls always reserves: the worst case of a
	// call is one call.
	Reserve bool
	// Slack is reserved on top of the timeout: a timer that fires late makes a record longer
	// than the timeout, and the initialization of an instance may be billed too. 0 means 100
	// ms. A negative Slack means none, which suits virtual time. Use beyond timeout and Slack
	// is charged all the same; see Balance.Excess.
	Slack time.Duration
	// Soft makes a budget that only warns and degrades. It refuses only calls that can't be
	// priced.
	Soft bool

	// WarnAt has percentages of the limit, from 1 to 1000. When an account has spent such a
	// percentage, this is logged and Alert is called, once in a window for each percentage.
	WarnAt []int
	// Alert, if not nil, is called for each percentage of WarnAt, and for the first call of a
	// window that an account refuses because its limit is spent. It runs on the goroutine of
	// the call, and the caller waits for it, so it must not block. It may call the methods of
	// Budgets. A panic in it is recovered and logged.
	Alert func(Alert)
	// Logger gets the same alerts at level Warn, and mistakes at level Error. Nil means
	// slog.Default().
	Logger *slog.Logger
	// Degrade, if not nil, slows a function down when a part of the limit is spent.
	Degrade *Degrade
}

// defaultSlack is more than the lateness of a timer in a process that has processor time to
// spare. It is short compared with most timeouts.
const defaultSlack = 100 * time.Millisecond

// defaultMaxAccounts accounts take about 20 MB.
const defaultMaxAccounts = 100_000

// Degrade slows a function down that has spent a part of its limit. It lowers, and never
// raises, the function's limit of concurrent calls (SetConcurrency of [faas.Router]) until
// the window ends. Then the function gets back the limit that it had, unless the program has
// set another one meanwhile. The budget must be about one function: it needs Per: [Function],
// or a Where with a function. If several budgets slow a function down, the lowest limit
// counts. Registering the function, charging it and calling Bind may happen in any order.
//
// Running calls finish, and waiting calls wait for longer. A budget that is not Soft still
// refuses calls at its limit, so its At must be below 100.
type Degrade struct {
	At int // the percentage of the limit, 1 to 1000; 0 means 100
	To int // the function's limit of concurrent calls from then on, at least 1
}

// percent returns At, or its default.
func (d *Degrade) percent() int {
	if d.At == 0 {
		return 100
	}
	return d.At
}

// check returns the mistakes of a declaration, apart from those in its limit and its
// dimensions, which newTracker finds.
func (d *Budget) check() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(d.Name == "", "it has no name; errors and logs need one")
	bad(d.Calendar.Every > Hour, "Calendar.Every is %d; say cost.Month, Week, Day or Hour", d.Calendar.Every)
	bad(d.MaxAccounts < 0, "MaxAccounts is %d; say how many there may be, or leave it out for %d", d.MaxAccounts, defaultMaxAccounts)
	bad(d.Soft && d.Reserve, "Soft and Reserve exclude each other: a limit that refuses nothing has nothing to reserve")
	bad(d.Soft && d.Degrade == nil && len(d.WarnAt) == 0, "Soft without WarnAt and Degrade does nothing; add one, or leave Soft out")
	for _, percent := range d.WarnAt {
		bad(percent < 1 || percent > 1000, "WarnAt has %d; percentages are from 1 to 1000", percent)
	}
	if g := d.Degrade; g != nil {
		bad(g.At < 0 || g.At > 1000, "Degrade.At is %d; percentages are from 1 to 1000, and 0 is 100", g.At)
		bad(g.To < 1, "Degrade.To is %d; a function needs at least 1 slot, and to stop it there is the limit", g.To)
		bad(!d.Soft && g.percent() >= 100, "Degrade at %d%% comes too late, since the limit refuses all calls; set Degrade.At below 100, or Soft", g.percent())
		one := d.Per == "" && d.Where[Function] != ""
		bad(strings.Contains(d.Where[Function], ":"), "Degrade slows a whole function down, whose versions share one limit: leave the version %q out of Where, or Degrade", d.Where[Function])
		bad(d.Per != Function && !one, "Degrade slows a whole function down, so the budget must be about one function: say Per: cost.Function, or Where: {cost.Function: …} without Per")
	}
	return errors.Join(errs...)
}

// mistake returns an error that names the budget.
func (d *Budget) mistake(format string, args ...any) error {
	return fmt.Errorf("cost: budget %q: "+format, append([]any{d.Name}, args...)...)
}
