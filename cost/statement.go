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

// Statement is a bill: what the usage of a period costs by a book. Its amounts are exact, and
// its rows add up to Total. It is a value; its slices and numbers must not be changed.
type Statement struct {
	Period Period
	Book   About
	Rows   []Row
	Total  Row // with an empty Key
	// Overruns is the part of Total.Billed that runaways used after their callers were
	// freed.
	Overruns Money
	// Unrated is the usage that the book can't price. It is in no row.
	Unrated []Usage

	by      []Dimension // the dimensions in which the rows differ or, after By, those by which they are grouped
	grouped bool        // the statement was made by By
}

// Row is one line of a statement.
type Row struct {
	// Key says which usage the row is of. In a statement that By has made, only these fields of
	// Key are set: Overrun, Base, and those of the dimensions that were passed to By.
	Key
	// Calls is the number of calls or, in a row of overruns, of overruns. In Total it is the
	// number of calls.
	Calls uint64
	// Charges has one Charge for each price of the book, and one more for each tier that the
	// period has reached. All rows of a statement have the same charges in the same order.
	Charges []Charge
	List    Money // before free quantities are taken off
	Billed  Money // after free quantities are taken off
}

// Dimension is one of the things by which rows of a statement differ: one of these constants
// or a [Label].
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

// By groups the rows: the result has one row for each combination of values of the
// dimensions, with the sums of the rows that have these values. Overruns and base fees keep
// rows of their own. Without dimensions there is one row for calls, one for overruns and one
// for base fees, if there are any.
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

// project returns the key with only those parts that the dimensions name.
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

// text returns the text of a key's value in a dimension.
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
		if k.Base { // a base fee is for none of them
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

// mark returns the text that is written in place of an outcome, or "" if the row is of calls.
func (k Key) mark() string {
	switch {
	case k.Overrun:
		return "Overrun"
	case k.Base:
		return "Base fee"
	}
	return ""
}

// dimensions returns Function, Outcome and the other dimensions in which some row has a
// value.
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

// total returns the sum of all rows, and the sum of what the overruns among them are billed.
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
