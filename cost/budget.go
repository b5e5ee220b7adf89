package cost

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Budget declares how much calls may use in each window of time. [NewBudgets]
// makes a gate of one or more.
//
//	cost.Budget{
//		Name:     "agents",
//		Limit:    cost.Spend(fiveDollars, lambda),
//		Per:      cost.Tenant,                       // five dollars for each
//		Calendar: cost.Calendar{Every: cost.Day, Zone: newYork},
//		Reserve:  true,
//		WarnAt:   []int{80},
//	}
type Budget struct {
	Name  string // in errors, alerts and logs; needed, and no other budget of the gate may have it
	Limit Limit  // [Spend], [SlotTime] or [Calls]; needed

	// Where says which calls the budget is about: those that have all of these
	// values, such as {Function: "resize"}. Nil: all calls. Outcome is of no
	// use here, since a call that asks has none.
	Where map[Dimension]string
	// Per gives each value of a dimension an account of its own, with the whole
	// limit: Tenant is a budget for each tenant. Calls without a tenant, or
	// without the label, share the account of the empty value. Empty: one
	// account for all.
	Per Dimension

	// MaxAccounts is how many accounts a window has at most. 0: 100,000. Calls for
	// whose account there is no room share the one named [Overflow], with one limit
	// for all of them: so callers who choose their tenants' names don't choose how
	// much memory is used. That it comes to this is logged, once a window. The
	// account of the empty value, and those whose limit was set, always have room.
	MaxAccounts int

	// Calendar divides time into windows: the zero value is months in UTC. All
	// accounts are at nothing when a window begins.
	Calendar Calendar

	// Reserve sets aside the worst case of each call, timeout × memory by the
	// book's rule, when it asks to be admitted, until it ends and its actual use
	// is charged. A call whose worst case does not fit is refused: as long as
	// calls end within their timeout and Slack, the limit is not overrun by a
	// single unit, and what is left at last is less than one worst case.
	//
	// Without it calls are admitted until the limit is reached, and can overrun
	// it by what those in flight at that moment use. A limit in Calls always
	// reserves: the worst case of a call is one.
	Reserve bool
	// Slack is reserved on top of the timeout: a timer that fires late makes a
	// record longer than the timeout, and the initialization of an instance may
	// be billed too. 0: 100 ms. Negative: none, as suits virtual time. What a
	// call uses beyond both is charged all the same, see Balance.Excess.
	Slack time.Duration
	// Soft has the limit refuse nothing but what can't be priced: the budget
	// warns and degrades.
	Soft bool

	// WarnAt are percentages of the limit, 1 to 1000. When an account has spent
	// one, this is logged and told to Alert, once a window.
	WarnAt []int
	// Alert, if not nil, is told of these, and when an account, for the first
	// time in a window, refuses a call because its limit is spent. It runs on the
	// goroutine of the call, whose caller waits, so it must not block. A panic is
	// caught and logged.
	Alert func(Alert)
	// Logger is used for the same at level Warn. Nil: slog.Default().
	Logger *slog.Logger
	// Degrade, if not nil, slows a function down when it has spent some of the
	// limit.
	Degrade *Degrade
}

// defaultSlack is more than a timer is late in a process that has processor
// time left, and little beside most timeouts.
const defaultSlack = 100 * time.Millisecond

// defaultMaxAccounts is some 20 MB.
const defaultMaxAccounts = 100_000

// Degrade slows a function down that has spent much: by [faas.Router]'s
// SetConcurrency its limit of concurrent calls is lowered, never raised, until
// the window ends. Then it gets the limit back that it had, unless somebody else
// has changed it meanwhile. The function is the one that the budget is about,
// so it needs Per: [Function] or a Where with one. Of several budgets that slow
// a function down, the lowest limit counts. Whether it was registered, charged for
// or bound first makes no difference.
//
// Calls that run finish, and those that wait do so for longer. A budget that is
// not Soft still refuses at its limit, so its At has to be below 100.
type Degrade struct {
	At int // the percentage of the limit, 1 to 1000; 0: 100
	To int // the limit of concurrent calls from then on, at least 1
}

func (d *Degrade) percent() int {
	if d.At == 0 {
		return 100
	}
	return d.At
}

// check finds what is wrong with a declaration beside its limit and dimensions.
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
		bad(d.Per != Function && !one, "Degrade slows a whole function down, so the budget has to be about one: say Per: cost.Function, or Where: {cost.Function: …} without Per")
	}
	return errors.Join(errs...)
}

func (d *Budget) mistake(format string, args ...any) error {
	return fmt.Errorf("cost: budget %q: "+format, append([]any{d.Name}, args...)...)
}
