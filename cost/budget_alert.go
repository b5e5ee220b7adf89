package cost

import (
	"fmt"
	"log/slog"
)

// notices collects, under the locks of trackers, the work that must wait until the locks are
// released: calls of the user's hooks and loggers, and of the degrader, which takes those
// locks itself. [Budgets.publish] then does this work.
type notices struct {
	alerts   []alert
	problems []problem
	degrade  bool // the degrader must update the limits of functions
	restored bool // the usage is from before a restart, so its alerts have been reported
}

// problem is a line for the operator's log.
type problem struct {
	budget *Budget
	text   string
	err    error // may be nil
}

// log writes the problem to the budget's log. No lock may be held, because the Logger's handler
// may be the user's code.
func (p problem) log() {
	p.budget.Logger.Error(p.text, "budget", p.budget.Name, "error", p.err)
}

// alert is an Alert for the hook and the log of its budget.
type alert struct {
	budget *Budget
	Alert
}

// tell logs the alert and calls the hook. No lock may be held: the hook is foreign code, and
// may call methods of Budgets.
func (a alert) tell() {
	b := a.Balance
	text, log := "cost: budget refuses calls", a.budget.Logger.With("budget", b.Budget, "account", b.Account)
	if !a.Refused {
		text, log = "cost: budget has reached a threshold", log.With("percent", a.Percent)
	}
	log.Warn(text, "spent", b.Spent.String(), "reserved", b.Reserved.String(), "limit", b.Limit.String(), "until", b.Window.End)
	if a.budget.Alert != nil {
		callHook(a.budget.Logger, a.budget.Alert, a.Alert)
	}
}

// callHook calls the hook and recovers its panic. The hook runs on the goroutine of a call. A
// panic that reached the router would refuse that call or, at the end of a call, skip the
// alerts after this one.
func callHook(log *slog.Logger, hook func(Alert), a Alert) {
	defer func() {
		if v := recover(); v != nil {
			log.Error("cost: the Alert of a budget panicked", "budget", a.Balance.Budget, "panic", fmt.Sprintf("%T", v))
		}
	}()
	hook(a)
}
