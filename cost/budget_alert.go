package cost

import (
	"fmt"
	"log/slog"
)

// notices collects, under the locks of budgets, what must wait until they are released:
// the hooks and loggers of the user, and the degrader, which takes those locks itself.
// [Budgets.publish] then works them off.
type notices struct {
	alerts   []alert
	problems []problem
	degrade  bool // limits of functions may have to change
	restored bool // the usage is of before a restart, so its alerts have been told
}

// problem is a line for the operator's log.
type problem struct {
	budget *Budget
	text   string
	err    error // nil: none
}

// log writes the problem to the budget's log. No lock may be held: a Logger has a
// handler of the user's.
func (p problem) log() {
	p.budget.Logger.Error(p.text, "budget", p.budget.Name, "error", p.err)
}

// alert is an Alert for the hook and the log of its budget.
type alert struct {
	budget *Budget
	Alert
}

// tell logs the alert and calls the hook. No lock may be held: the hook is foreign
// code, and may ask the budgets for their balances.
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

// callHook recovers a panic of the hook. The hook runs on the goroutine of a call: a
// panic that reached the router would refuse that call, or keep the budgets after
// this one from hearing that the call has ended.
func callHook(log *slog.Logger, hook func(Alert), a Alert) {
	defer func() {
		if v := recover(); v != nil {
			log.Error("cost: the Alert of a budget panicked", "budget", a.Balance.Budget, "panic", fmt.Sprintf("%T", v))
		}
	}()
	hook(a)
}
