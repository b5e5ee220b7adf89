package admin

import (
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/cost"
)

// BudgetChange is the body of PUT /v1/budgets/{budget}/limit. The account keeps the limit for all later windows too, until the
// host is restarted: the change is in memory, as with cost.Budgets.SetLimit.
type BudgetChange struct {
	Account string `json:"account"` // a tenant, a function or another name, as in Budget; it need not have been used yet
	Limit   string `json:"limit"`   // an amount of the budget's kind: "0.25 USD", "1m30s" or "17 calls"
}

// setBudget needs the right to manage the whole host, whatever the account is: a tenant that may manage its own functions must
// not raise the budget that holds it back.
func (x *exchange) setBudget() (any, error) {
	if err := x.need(Action{Right: access.Manage, AllTenants: true}); err != nil {
		return nil, err
	}
	name := x.r.PathValue("budget")
	x.entry.Object = clip(name, 100)
	var c BudgetChange
	if err := x.body(&c, maxOrder); err != nil {
		return nil, err
	}
	x.entry.Detail = clip("account "+c.Account+": "+c.Limit, 200)
	b := x.h.budgetsOf(name)
	if b == nil {
		return nil, absent()
	}
	limit, err := b.ParseLimit(name, c.Limit)
	if err == nil {
		err = b.SetLimit(name, c.Account, limit)
	}
	if err != nil {
		return nil, badInput(err.Error())
	}
	balance, _ := b.Balance(name, c.Account)
	return shownBudget(&balance, x.entry.Time), nil
}

// budgetsOf returns the first Budgets of WithBudgets that has a budget of that name, or nil.
func (s *settings) budgetsOf(name string) *cost.Budgets {
	for _, b := range s.budgets {
		if _, ok := b.Balance(name, ""); ok {
			return b
		}
	}
	return nil
}
