package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/examples/internal/table"
)

// month treats simulated calls as a router treats real ones, but does not run them: it asks the gate, gives the record to
// the meter, and reports the end of the call to the gate.
type month struct {
	books   books
	budgets *cost.Budgets
	ledger  *cost.Ledger
	refused *cost.Ledger // what the refused calls would have used
	now     time.Time    // the time in the simulation
	tenants map[string]*tenantMonth
}

// tenantMonth has the results of a month for a tenant. A time is zero if it did not occur.
type tenantMonth struct {
	wanted, refused int
	warned          time.Time // when warnAt percent of the budget were spent
	stopped         time.Time // when the first call was refused
	lastCall        time.Time // when the last call was admitted
}

// plan is the budget's name. At warnAt percent the budget warns.
const (
	plan   = "plan"
	warnAt = 80 // percent
)

func newMonth(b books, limit cost.Money) (*month, error) {
	m := &month{
		books:   b,
		ledger:  cost.NewLedger(cost.Calendar{}, b.all...),
		refused: cost.NewLedger(cost.Calendar{}, b.lambda),
		tenants: make(map[string]*tenantMonth),
	}
	for _, t := range tenants {
		m.tenants[t.name] = new(tenantMonth)
	}
	var err error
	m.budgets, err = cost.NewBudgets(cost.Budget{
		Name:     plan,
		Limit:    cost.Spend(limit, b.lambda),
		Per:      cost.Tenant,
		Calendar: cost.Calendar{Zone: whereItIsNoon(time.Now())},
		Reserve:  true,            // a call reserves its highest price, so a limit is never exceeded
		Slack:    2 * time.Second, // added to each reservation: the initialization of instances is billed too
		WarnAt:   []int{warnAt},
		Alert:    m.alert,
		Logger:   slog.New(slog.DiscardHandler), // the table shows the same
	})
	if err != nil {
		return nil, err
	}
	// The largest customer has a larger plan.
	larger := cost.Spend(limit.Mul(big.NewRat(2, 1)), b.lambda)
	return m, m.budgets.SetLimit(plan, tenants[0].name, larger)
}

// whereItIsNoon returns a time zone in which it is noon now. Budgets use the real clock, and the simulated month passes
// within a moment of real time. The budget's month must not end in that moment, and at noon no month ends for twelve
// hours.
func whereItIsNoon(now time.Time) *time.Location {
	midnight := now.UTC().Truncate(24 * time.Hour)
	offset := midnight.Add(12 * time.Hour).Sub(now)
	return time.FixedZone("noon", int(offset.Seconds()))
}

// alert is called by the budget, on the goroutine of the call that reached the warning.
func (m *month) alert(a cost.Alert) {
	if a.Percent == warnAt {
		m.tenants[a.Balance.Account].warned = m.now
	}
}

// replay makes the calls one after the other. It returns false if ctx ended before the last call.
func (m *month) replay(ctx context.Context, calls []call) (complete bool) {
	for i := range calls {
		if ctx.Err() != nil {
			return false
		}
		m.call(ctx, &calls[i])
	}
	return true
}

func (m *month) call(ctx context.Context, c *call) {
	m.now = c.record.Start
	t := m.tenants[c.record.Tenant]
	t.wanted++
	inv := c.invocation()
	if err := m.budgets.Admit(ctx, inv); err != nil {
		t.refuse(m.now)
		m.refused.Record(ctx, c.record)
		return
	}
	t.lastCall = m.now
	m.ledger.Record(ctx, c.record)
	m.budgets.Done(inv, &c.record)
}

func (t *tenantMonth) refuse(now time.Time) {
	if t.refused == 0 {
		t.stopped = now
	}
	t.refused++
}

// print prints the results of the month, and writes the bill to a file in a directory.
func (m *month) print(w io.Writer, dir string) error {
	bill, err := m.ledger.Statement(monthStart, m.books.lambda)
	if err != nil {
		return err
	}
	wanted := 0
	for _, t := range m.tenants {
		wanted += t.wanted
	}
	fmt.Fprintf(w, "%s, simulated: %d tenants want %d calls of %d functions. Each has a budget, by the list prices of %s:\n\n",
		monthStart.Format("January 2006"), len(tenants), wanted, len(functions), m.books.lambda.About().Title)
	m.printBudgets(w)
	if err := m.printStopped(w); err != nil {
		return err
	}
	fmt.Fprint(w, "\nThe bill by tenant: ")
	if err := bill.By(cost.Tenant).WriteText(w); err != nil {
		return err
	}
	fmt.Fprint(w, `
A budget is spent by list price, since that is what a call costs wherever it comes in the month. The bill is less by the
free tier, which the account has once a month, for all tenants: what of it a tenant gets is in proportion to its usage.
`)
	fmt.Fprint(w, "\nThe same usage by every price list: ")
	if err := printComparison(w, cost.Compare(bill.Period, m.ledger.Usage(monthStart), m.books.all...)); err != nil {
		return err
	}
	file, err := writeFOCUS(bill, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe bill as FOCUS rows, which add up to exactly %s: %s\n", bill.Total.Billed, file)
	return nil
}

func (m *month) printBudgets(w io.Writer) {
	warned := fmt.Sprintf("%d %% SPENT", warnAt)
	t := table.New("TENANT", "WANTED", "REFUSED", "SPENT", "BUDGET", warned, "REFUSED FROM", "LAST CALL").Spare("LAST CALL", warned)
	for _, tenant := range tenants {
		s := m.tenants[tenant.name]
		b, _ := m.budgets.Balance(plan, tenant.name)
		t.Line(tenant.name, s.wanted, s.refused, dollars(b.Spent.Money(), 6), b.Limit, day(s.warned), day(s.stopped), day(s.lastCall))
	}
	t.Print(w)
}

// printComparison prints the comparison. If its lines are too wide, it prints only the totals.
func printComparison(w io.Writer, c cost.Comparison) error {
	var text bytes.Buffer
	if err := c.WriteText(&text); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if utf8.RuneCountInString(strings.TrimRight(line, " \n")) > table.Width(w) {
			printTotals(w, c)
			return nil
		}
	}
	_, err := text.WriteTo(w)
	return err
}

func printTotals(w io.Writer, c cost.Comparison) {
	t := table.New("PRICE LIST", "REGION", "LIST", "BILLED", "").Spare("REGION")
	for _, e := range c.Entries {
		s := e.Statement
		currency := s.Book.Currency
		if slices.ContainsFunc(s.Total.Charges, func(c cost.Charge) bool { return c.AtMost }) {
			currency += ", at most"
		}
		t.Line(s.Book.Title, s.Book.Region, s.Total.List.Amount().FloatString(6), s.Total.Billed.Amount().FloatString(6), currency)
	}
	fmt.Fprintln(w, c.Period)
	t.Print(w)
}

// printStopped prints the tenants that have spent their budgets.
func (m *month) printStopped(w io.Writer) error {
	saved, err := m.refused.Statement(monthStart, m.books.lambda)
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, row := range saved.By(cost.Tenant).Rows {
		s := m.tenants[row.Tenant]
		fmt.Fprintf(w, "%s was stopped on day %d. No handler ran for the %d calls that were refused, and they are on no bill; they would have cost %s.\n",
			row.Tenant, s.stopped.Day(), row.Calls, dollars(row.List, 2))
	}
	if len(saved.Rows) == 0 {
		fmt.Fprintln(w, "No budget was spent.")
	}
	return nil
}

// writeFOCUS writes a bill as a CSV file, and returns the file's name.
func writeFOCUS(bill cost.Statement, dir string) (string, error) {
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "faas-costs-")
	} else {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", err
	}
	var rows bytes.Buffer
	if err := bill.WriteFOCUS(&rows, cost.Account{ID: "example", Name: "The host of this example"}); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "focus-"+bill.Period.Start.Format("2006-01")+".csv")
	return file, os.WriteFile(file, rows.Bytes(), 0o644)
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format("2 Jan 15:04")
}
