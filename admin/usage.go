package admin

import (
	"cmp"
	"errors"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/cost"
)

// Usage is the answer of GET /v1/usage: what calls have used, and its cost at list prices. Rows
// and Total have only what the viewer may see.
type Usage struct {
	// Source is "ledger" or "recorder". The ledger's rows are of one period of its calendar. The
	// recorder's rows are of the time since the recorder was made.
	Source string    `json:"source"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end,omitzero"` // of the ledger's period
	Now    time.Time `json:"now"`
	By     []string  `json:"by"`
	Book   *Book     `json:"book,omitempty"` // null: nothing is priced
	Books  []string  `json:"books"`          // the names that the parameter book may have
	Rows   []Use     `json:"rows"`
	Total  Use       `json:"total"`
}

// Book is a price list.
type Book struct {
	Name      string `json:"name"`
	Title     string `json:"title"`
	Currency  string `json:"currency"`
	Effective string `json:"effective,omitempty"`
	Source    string `json:"source"`
}

// Use is what calls have used. Only the names by which the request groups the rows are set.
type Use struct {
	Function string `json:"function,omitempty"`
	Version  string `json:"version,omitempty"`
	Tenant   string `json:"tenant,omitempty"`
	Outcome  string `json:"outcome,omitempty"`
	SpentOn  string `json:"spentOn,omitempty"` // calls, first attempts, retries, …
	Calls    Count  `json:"calls"`
	Overruns Count  `json:"overruns,omitempty"` // runaways that have ended
	// DurationNS and InitNS are sums in nanoseconds. They are strings of digits, since they may
	// be too large for any integer type.
	DurationNS string `json:"durationNS"`
	InitNS     string `json:"initNS"`
	// List is the list price, as a decimal without currency; empty: nothing is priced.
	List string `json:"list,omitempty"`
	// Unrated counts calls for which the book has no price; List does not include them.
	Unrated Count `json:"unrated,omitempty"`
}

// use is a Use that is being added up.
type use struct {
	Use

	duration, init big.Int
	list           cost.Money
}

func (u *use) add(row *cost.Usage, rater *cost.Rater) {
	if row.Overrun {
		u.Overruns += Count(row.Calls)
	} else {
		u.Calls += Count(row.Calls)
	}
	u.duration.Add(&u.duration, row.Duration())
	u.init.Add(&u.init, row.Init())
	if rater == nil {
		return
	}
	price, err := rater.List(*row)
	if err == nil {
		price, err = u.list.Add(price)
	}
	if err != nil {
		u.Unrated += Count(row.Calls)
		return
	}
	u.list = price
}

func (u *use) shown(rated bool) Use {
	u.DurationNS, u.InitNS = u.duration.String(), u.init.String()
	if rated {
		u.List = decimal(u.list)
	}
	return u.Use
}

// decimal returns an amount without its currency.
func decimal(m cost.Money) string {
	text, _, _ := strings.Cut(m.String(), " ")
	return cmp.Or(text, "0")
}

// book returns the book that the request names, or the first one; nil if there are none.
func (x *exchange) book() (*cost.Book, error) {
	name := x.param("book")
	for _, b := range x.h.books {
		if name == "" || b.About().Name == name {
			return b, nil
		}
	}
	if name != "" {
		return nil, badInput("The host has no book " + strconv.Quote(clip(name, 40)) + "; it has " + strings.Join(x.h.bookNames(), ", ") + ".")
	}
	return nil, nil //nolint:nilnil // nothing is priced
}

func (s *settings) bookNames() []string {
	names := []string{}
	for _, b := range s.books {
		names = append(names, b.About().Name)
	}
	return names
}

func shownBook(b *cost.Book) *Book {
	if b == nil {
		return nil
	}
	a := b.About()
	return &Book{Name: a.Name, Title: a.Title, Currency: a.Currency, Effective: a.Effective, Source: a.Source}
}

// used returns the rows that the viewer may see, of the ledger or of the recorder: all, or those of the function and of the
// tenant that the request names.
func (x *exchange) used(out *Usage) ([]cost.Usage, error) {
	at, err := x.time("at")
	if err != nil {
		return nil, err
	}
	source := cmp.Or(x.param("source"), "ledger")
	var rows []cost.Usage
	switch {
	case source != "ledger" && source != "recorder":
		return nil, badInput("The parameter source is ledger or recorder.")
	case source == "ledger" && x.h.ledger != nil:
		if at.IsZero() {
			at = out.Now
		}
		p := x.h.ledger.Period(at)
		out.Source, out.Start, out.End, rows = source, p.Start, p.End, x.h.ledger.Usage(at)
	case x.h.recorder == nil:
		return nil, missing("WithRecorder")
	case !at.IsZero():
		return nil, badInput("The recorder has no periods; the parameter at is for a ledger.")
	default:
		out.Source, out.Start, rows = "recorder", x.h.recorder.Started(), x.h.recorder.Usage()
	}
	ofFunction, ofTenant, function, tenant := x.has("function"), x.has("tenant"), x.param("function"), x.param("tenant")
	return slices.DeleteFunc(rows, func(u cost.Usage) bool {
		return ofFunction && u.Function != function || ofTenant && u.Tenant != tenant || !x.isSeen(u.Function, u.Version, u.Tenant)
	}), nil
}

// usageDimensions returns the fields by which usage may be grouped.
func usageDimensions() []string {
	return []string{"function", "version", "tenant", "outcome", "spentOn"}
}

func (x *exchange) usage() (any, error) {
	out := &Usage{Now: time.Now(), Books: x.h.bookNames(), Rows: []Use{}}
	for by := range strings.SplitSeq(cmp.Or(x.param("by"), "function"), ",") {
		if !slices.Contains(usageDimensions(), by) {
			return nil, badInput("The parameter by has some of " + strings.Join(usageDimensions(), ",") + ".")
		}
		out.By = append(out.By, by)
	}
	book, err := x.book()
	if err != nil {
		return nil, err
	}
	rows, err := x.used(out)
	if err != nil {
		return nil, err
	}
	out.Book = shownBook(book)
	out.Rows, out.Total = addUp(rows, book, func(u *cost.Usage) Use { return keyOf(u, out.By) })
	return *out, nil
}

// keyOf returns the key of a row: the fields by which the request groups.
func keyOf(u *cost.Usage, by []string) (key Use) {
	for _, dimension := range by {
		switch dimension {
		case "function":
			key.Function = u.Function
		case "version":
			key.Version = u.Version
		case "tenant":
			key.Tenant = u.Tenant
		case "outcome":
			if key.Outcome = u.Outcome.String(); u.Overrun {
				key.Outcome = "overrun"
			}
		case "spentOn":
			key.SpentOn = u.Spent.String()
		}
	}
	return key
}

// addUp returns the sums of the rows by their keys, sorted by key, and the sum of all rows.
func addUp(rows []cost.Usage, book *cost.Book, keyOf func(*cost.Usage) Use) ([]Use, Use) {
	var rater *cost.Rater
	if book != nil {
		rater = cost.NewRater(book)
	}
	all, total := map[Use]*use{}, &use{}
	for i := range rows {
		key := keyOf(&rows[i])
		u := all[key]
		if u == nil {
			u = &use{Use: key}
			all[key] = u
		}
		u.add(&rows[i], rater)
		total.add(&rows[i], rater)
	}
	out := []Use{}
	for _, u := range all {
		out = append(out, u.shown(rater != nil))
	}
	slices.SortFunc(out, func(a, b Use) int {
		return cmp.Or(strings.Compare(a.Function, b.Function), strings.Compare(a.Version, b.Version), strings.Compare(a.Tenant, b.Tenant),
			strings.Compare(a.Outcome, b.Outcome), strings.Compare(a.SpentOn, b.SpentOn))
	})
	return out, total.shown(rater != nil)
}

// Tenants is the answer of GET /v1/tenants, sorted by name.
type Tenants struct {
	Source  string    `json:"source"` // see Usage
	Start   time.Time `json:"start"`
	End     time.Time `json:"end,omitzero"`
	Now     time.Time `json:"now"`
	Book    *Book     `json:"book,omitempty"`
	Tenants []Tenant  `json:"tenants"`
}

// Tenant is what a tenant has used, of the functions that the viewer may see for that tenant.
type Tenant struct {
	Tenant     string `json:"tenant"` // empty: calls without a tenant
	Functions  Count  `json:"functions"`
	Calls      Count  `json:"calls"`
	Failures   Count  `json:"failures"` // counted by the ledger; 0 if the source is the recorder
	DurationNS string `json:"durationNS"`
	List       string `json:"list,omitempty"`
	// Refused is how many calls were refused since the recorder was made, by reason. It is empty if there is no recorder.
	Refused map[string]Count `json:"refused,omitempty"`
	Budgets []Budget         `json:"budgets,omitempty"` // the tenant's accounts
}

func (x *exchange) tenants() (any, error) {
	usage := &Usage{Now: time.Now()}
	book, err := x.book()
	if err != nil {
		return nil, err
	}
	rows, err := x.used(usage)
	if err != nil {
		return nil, err
	}
	out := Tenants{Source: usage.Source, Start: usage.Start, End: usage.End, Now: usage.Now, Book: shownBook(book), Tenants: []Tenant{}}
	all := tenantsOf(rows)
	sums, _ := addUp(rows, book, func(u *cost.Usage) Use { return Use{Tenant: u.Tenant} })
	for _, sum := range sums {
		t := all.of(sum.Tenant)
		t.Calls, t.DurationNS, t.List = sum.Calls, sum.DurationNS, sum.List
	}
	all.refused(x)
	all.budgets(x)
	for _, t := range all {
		if !x.has("tenant") || x.param("tenant") == t.Tenant {
			out.Tenants = append(out.Tenants, *t)
		}
	}
	slices.SortFunc(out.Tenants, func(a, b Tenant) int { return strings.Compare(a.Tenant, b.Tenant) })
	return out, nil
}

// tenants finds tenants by name.
type tenants map[string]*Tenant

// of returns the tenant of that name, which is added if there is none.
func (all tenants) of(name string) *Tenant {
	t := all[name]
	if t == nil {
		t = &Tenant{Tenant: name, DurationNS: "0"}
		all[name] = t
	}
	return t
}

// tenantsOf returns the tenants of the rows, with the numbers of their functions and failures.
func tenantsOf(rows []cost.Usage) tenants {
	type pair struct{ tenant, function string }
	all, met := tenants{}, map[pair]bool{}
	for i := range rows {
		u := &rows[i]
		t := all.of(u.Tenant)
		if p := (pair{u.Tenant, u.Function}); !met[p] {
			met[p] = true
			t.Functions++
		}
		if !u.Overrun && u.Outcome != faas.OK && u.Outcome != faas.Canceled {
			t.Failures += Count(u.Calls)
		}
	}
	return all
}

// refused adds the refusals that the viewer may see. A tenant may have no usage because all its calls were refused.
func (all tenants) refused(x *exchange) {
	if x.h.recorder == nil {
		return
	}
	for _, r := range x.h.recorder.TenantRefusals() {
		if !x.isSeen(r.Function, r.Version, r.Tenant) {
			continue
		}
		t := all.of(r.Tenant)
		if t.Refused == nil {
			t.Refused = map[string]Count{}
		}
		t.Refused[string(r.Reason)] += Count(r.Calls)
	}
}

// budgets adds the accounts that the viewer may see.
func (all tenants) budgets(x *exchange) {
	for name, own := range x.budgetsByTenant() {
		all.of(name).Budgets = own
	}
}

// Budgets is the answer of GET /v1/budgets.
type Budgets struct {
	Now     time.Time `json:"now"`
	Budgets []Budget  `json:"budgets"`
}

// Budget is an account of a budget. Its amounts are texts with a unit: "0.25 USD", "1m30s" or
// "17 calls".
type Budget struct {
	Budget   string    `json:"budget"`
	Per      string    `json:"per,omitempty"` // what the accounts are for: "tenant", "function", …
	Account  string    `json:"account"`
	Start    time.Time `json:"start"` // of the window
	End      time.Time `json:"end"`
	Limit    string    `json:"limit"`
	LimitSet bool      `json:"limitSet,omitempty"` // the limit was set for this account
	Spent    string    `json:"spent"`
	Reserved string    `json:"reserved"`
	Left     string    `json:"left"`
	Excess   string    `json:"excess"`
	Part     float64   `json:"part"` // spent divided by limit
	// Exhausted is when the limit will be spent if spending goes on at the average rate since
	// the window began. It is zero if that is after the end of the window. It is also zero if
	// the limit is spent already: then calls are admitted again at End.
	Exhausted time.Time `json:"exhausted,omitzero"`
	Refused   bool      `json:"refused,omitempty"` // calls were refused because the limit was spent
}

func (x *exchange) budgets() (any, error) {
	out := Budgets{Now: time.Now(), Budgets: []Budget{}}
	for _, b := range x.balances() {
		out.Budgets = append(out.Budgets, shownBudget(&b, out.Now))
	}
	return out, nil
}

// balances returns the accounts that the viewer may see. An account of a tenant or a function
// needs the right to that; any other account needs the right to the host.
func (x *exchange) balances() (all []cost.Balance) {
	for _, budgets := range x.h.budgets {
		for _, b := range budgets.Balances() {
			a := Action{Right: access.See, AllTenants: true}
			switch b.Per {
			case cost.Tenant:
				a.Tenant, a.AllTenants = b.Account, false
			case cost.Function:
				a.Function = b.Account
			}
			if x.ask(a) {
				all = append(all, b)
			}
		}
	}
	return all
}

func (x *exchange) budgetsByTenant() map[string][]Budget {
	own, now := map[string][]Budget{}, time.Now()
	for _, b := range x.balances() {
		if b.Per == cost.Tenant {
			own[b.Account] = append(own[b.Account], shownBudget(&b, now))
		}
	}
	return own
}

func shownBudget(b *cost.Balance, now time.Time) Budget {
	out := Budget{
		Budget: b.Budget, Per: string(b.Per), Account: b.Account, Start: b.Window.Start, End: b.Window.End,
		Limit: b.Limit.String(), LimitSet: b.LimitSet, Spent: b.Spent.String(), Reserved: b.Reserved.String(), Left: b.Left.String(),
		Excess: b.Excess.String(), Refused: b.Refused,
	}
	part, err := partOf(b.Spent, b.Limit)
	if err != nil {
		return out
	}
	out.Part = part
	if passed := now.Sub(b.Window.Start); part > 0 && part < 1 && passed > 0 {
		if at := b.Window.Start.Add(time.Duration(float64(passed) / part)); at.Before(b.Window.End) && at.After(now) {
			out.Exhausted = at
		}
	}
	return out
}

var errUnlike = errors.New("amounts of different kinds")

// partOf returns spent divided by limit. It is rounded, and only for display: budgets compare
// exact amounts.
func partOf(spent, limit cost.Amount) (float64, error) {
	of := func(a cost.Amount) *big.Rat {
		switch {
		case a.Money().Currency() != "":
			return a.Money().Amount()
		case a.Duration() != 0:
			return new(big.Rat).SetInt64(int64(a.Duration()))
		}
		return new(big.Rat).SetInt(new(big.Int).SetUint64(a.Calls()))
	}
	whole := of(limit)
	if whole.Sign() == 0 {
		return 0, errUnlike
	}
	part, _ := new(big.Rat).Quo(of(spent), whole).Float64()
	return part, nil
}
