package cost

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Statement is what the usage of a period costs by a book. Its amounts are exact, and
// its rows add up to Total. It is a value; its slices and numbers must not be changed.
type Statement struct {
	Period Period
	Book   About
	Rows   []Row
	Total  Row // with an empty Key
	// Overruns is the part of Total.Billed that runaways used after their callers were
	// freed.
	Overruns Money
	// Unrated is the usage that the book can't price. No row has it.
	Unrated []Usage

	by      []Dimension // in which the rows differ, or by which By has grouped them
	grouped bool        // by By
}

// Row is one line of a statement.
type Row struct {
	// Key says what the row is of. After By it has only what was grouped by, Overrun and
	// Base.
	Key
	// Calls is how many calls or overruns there were; in Total, how many calls.
	Calls uint64
	// Charges has one for each price of the book, and one for each of its tiers that the
	// period has reached. All rows of a statement have the same ones, in one order.
	Charges []Charge
	List    Money // before the free tier
	Billed  Money // after it
}

// Dimension is something that tells a statement's rows apart: one of these constants or
// a [Label].
type Dimension string

// The dimensions.
const (
	Function Dimension = "function"
	Version  Dimension = "version"
	Tenant   Dimension = "tenant"
	Outcome  Dimension = "outcome"
	// SpentOn tells calls, first attempts of jobs, retries and dead letters apart. Its
	// values are the texts of [Spending].
	SpentOn Dimension = "spent on"
	// Job is a job's ID, see [Ledger.CountJobs].
	Job Dimension = "job"
)

const labelPrefix = "label:"

// Label is the dimension of the label with that name.
func Label(name string) Dimension { return Dimension(labelPrefix + name) }

// By groups the rows: it returns one row for each combination of the dimensions, with
// the sums of the rows that have it. Overruns and base fees stay apart. Without
// dimensions there is one row for calls, one for overruns and one for base fees, if
// there are any.
func (s Statement) By(by ...Dimension) Statement {
	groups := map[string]int{}
	var rows []Row
	for _, row := range s.Rows {
		key := project(row.Key, by)
		name := groupName(key, by)
		i, ok := groups[name]
		if !ok {
			i = len(rows)
			groups[name] = i
			rows = append(rows, Row{Key: key})
		}
		rows[i].add(row)
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return a.compare(b.Key) })
	s.Rows, s.by, s.grouped = rows, slices.Clone(by), true
	return s
}

// project keeps the parts of a key that the dimensions ask for.
func project(k Key, by []Dimension) Key {
	p := Key{Overrun: k.Overrun, Base: k.Base}
	for _, d := range by {
		switch d {
		case Function:
			p.Function = k.Function
		case Version:
			p.Version = k.Version
		case Tenant:
			p.Tenant = k.Tenant
		case Outcome:
			p.Outcome = k.Outcome
		case SpentOn:
			p.Spent = k.Spent
		case Job:
			p.Job = k.Job
		default:
			name := strings.TrimPrefix(string(d), labelPrefix)
			if value, ok := k.Labels[name]; ok {
				if p.Labels == nil {
					p.Labels = map[string]string{}
				}
				p.Labels[name] = value
			}
		}
	}
	return p
}

// groupName returns a text that is the same for keys that By puts into one row.
func groupName(k Key, by []Dimension) string {
	parts := []string{strconv.FormatBool(k.Overrun), strconv.FormatBool(k.Base)}
	for _, d := range by {
		parts = append(parts, fmt.Sprintf("%q", k.text(d)))
	}
	return strings.Join(parts, ",")
}

// text returns a key's value in a dimension as it is written.
func (k Key) text(d Dimension) string {
	switch d {
	case Function:
		return k.Function
	case Version:
		return k.Version
	case Tenant:
		return k.Tenant
	case Outcome:
		if text := k.mark(); text != "" {
			return text
		}
		return k.Outcome.String()
	case SpentOn:
		if k.Base { // it is for none of them
			return ""
		}
		return k.Spent.String()
	case Job:
		if k.Job == uuid.Nil {
			return ""
		}
		return k.Job.String()
	}
	return k.Labels[strings.TrimPrefix(string(d), labelPrefix)]
}

// mark is written in place of an outcome; empty: the row is of calls.
func (k Key) mark() string {
	switch {
	case k.Overrun:
		return "Overrun"
	case k.Base:
		return "Base fee"
	}
	return ""
}

// dimensions returns those in which some row has a value.
func dimensions(rows []Row) []Dimension {
	by := []Dimension{Function}
	for _, d := range []Dimension{Version, Tenant} {
		if slices.ContainsFunc(rows, func(r Row) bool { return r.text(d) != "" }) {
			by = append(by, d)
		}
	}
	var labels []Dimension
	for _, r := range rows {
		for name := range r.Labels {
			if d := Label(name); !slices.Contains(labels, d) {
				labels = append(labels, d)
			}
		}
	}
	slices.SortFunc(labels, func(a, b Dimension) int { return cmp.Compare(a, b) })
	by = append(by, labels...)
	if slices.ContainsFunc(rows, func(r Row) bool { return r.Job != uuid.Nil }) {
		by = append(by, Job)
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return r.Spent != OnCalls }) {
		by = append(by, SpentOn)
	}
	return append(by, Outcome)
}

// total adds rows up, and the overruns among them once more.
func (b *Book) total(prices []price, rows []Row) (total Row, overruns Money) {
	overruns = Money{currency: b.about.Currency}
	total = Row{List: overruns, Billed: overruns}
	for i := range prices { // so that a statement without rows has them too
		total.Charges = append(total.Charges, b.charge(&prices[i], new(big.Int), new(big.Int)))
	}
	for _, row := range rows {
		total.add(row)
		if row.Overrun {
			total.Calls -= row.Calls
			overruns = overruns.plus(row.Billed)
		}
	}
	return total, overruns
}

// sum sets List and Billed to the sums of the charges.
func (r *Row) sum(currency string) {
	r.List, r.Billed = Money{currency: currency}, Money{currency: currency}
	for _, c := range r.Charges {
		r.List, r.Billed = r.List.plus(c.List), r.Billed.plus(c.Billed)
	}
}

// add adds a row of the same book.
func (r *Row) add(o Row) {
	r.Calls += o.Calls
	r.List, r.Billed = r.List.plus(o.List), r.Billed.plus(o.Billed)
	if r.Charges == nil {
		r.Charges = slices.Clone(o.Charges)
		return
	}
	for i := range r.Charges {
		r.Charges[i] = r.Charges[i].plus(o.Charges[i])
	}
}
