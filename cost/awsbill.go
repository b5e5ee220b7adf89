package cost

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
)

// AWSBill is what AWS has billed for Lambda functions, by function and day.
// [ReadAWSBill] reads it. It is read-only, and may be used concurrently.
type AWSBill struct {
	used  map[awsKey]*big.Rat
	other map[string]struct{}
}

type awsKey struct {
	day             time.Time // midnight, UTC
	function, meter string
}

// The columns of a CUR 2.0. The column line_item_resource_id exists only if the export was
// made with resources. Reports of the older kind call it lineItem/ResourceId.
// https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2-line-item.html
const (
	awsType     = "line_item_line_item_type"
	awsProduct  = "line_item_product_code"
	awsUsage    = "line_item_usage_type"
	awsAmount   = "line_item_usage_amount"
	awsStart    = "line_item_usage_start_date"
	awsEnd      = "line_item_usage_end_date"
	awsResource = "line_item_resource_id"
)

// ReadAWSBill reads the CSV of a Cost and Usage Report 2.0 that AWS Data Exports has made.
// The report must be hourly or daily, and made with resources. ReadAWSBill reads reports of
// the older kind too.
//
// The usage type Lambda-GB-Second is read as compute, and Request as requests, with or
// without -ARM and with any region before them. Other lists the other usage types of Lambda.
// Lines of other products, taxes, credits and fees are skipped. The column names are taken
// from the documentation of AWS; they have not been tried with the export of a real account.
// If a line can't be read, the error is [ErrFormat] and names the line.
func ReadAWSBill(r io.Reader) (*AWSBill, error) {
	b := &AWSBill{used: map[awsKey]*big.Rat{}, other: map[string]struct{}{}}
	c := csv.NewReader(r)
	c.ReuseRecord = true
	head, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("cost: AWS bill: %w: %w", ErrFormat, err)
	}
	at, err := awsColumns(head)
	if err != nil {
		return nil, err
	}
	for {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil { // a csv.ParseError names its line; FieldPos panics where no field was read
			return nil, fmt.Errorf("cost: AWS bill: %w: %w", ErrFormat, err)
		}
		if err := b.add(func(column string) string { return record[at[column]] }); err != nil {
			line, _ := c.FieldPos(0)
			return nil, fmt.Errorf("cost: AWS bill, line %d: %w: %w", line, ErrFormat, err)
		}
	}
}

// awsColumns returns the index of each column. It treats line_item_usage_type and
// lineItem/UsageType as the same name, and ignores the byte order mark that may begin a file.
func awsColumns(head []string) (map[string]int, error) {
	plain := strings.NewReplacer("_", "", "/", "", "\ufeff", "")
	places := map[string]int{}
	for i, column := range head {
		name := strings.ToLower(plain.Replace(column))
		if _, again := places[name]; !again {
			places[name] = i
		}
	}
	at := map[string]int{}
	for _, name := range []string{awsType, awsProduct, awsUsage, awsAmount, awsStart, awsEnd, awsResource} {
		i, ok := places[plain.Replace(name)]
		if !ok {
			return nil, fmt.Errorf("cost: AWS bill: %w: there is no column %q", ErrFormat, name)
		}
		at[name] = i
	}
	return at, nil
}

// awsDecimal is an amount. AWS may write it with an exponent.
var awsDecimal = regexp.MustCompile(`^-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?$`)

// add adds a line to the bill, or skips it.
func (b *AWSBill) add(field func(column string) string) error {
	if field(awsProduct) != "AWSLambda" || !slices.Contains([]string{"Usage", "DiscountedUsage", "SavingsPlanCoveredUsage"}, field(awsType)) {
		return nil
	}
	meter := awsMeter(field(awsUsage))
	if meter == "" {
		b.other[field(awsUsage)] = struct{}{}
		return nil
	}
	start, err := awsTime(field(awsStart))
	if err != nil {
		return err
	}
	end, err := awsTime(field(awsEnd))
	if err != nil {
		return err
	}
	if end.Sub(start) > 24*time.Hour {
		return fmt.Errorf("%s to %s is more than a day: have the report made hourly or daily", field(awsStart), field(awsEnd))
	}
	function, err := awsFunction(field(awsResource))
	if err != nil {
		return err
	}
	if !awsDecimal.MatchString(field(awsAmount)) { // checked first: big.Rat would fill the memory for a large exponent
		return fmt.Errorf("%s is %q", awsAmount, field(awsAmount))
	}
	amount, _ := new(big.Rat).SetString(field(awsAmount))
	key := awsKey{start.Truncate(24 * time.Hour), function, meter}
	if sum := b.used[key]; sum != nil {
		amount.Add(amount, sum)
	}
	b.used[key] = amount
	return nil
}

// awsMeter returns the meter that a usage type belongs to, or "" if Reconcile does not
// compare that type.
func awsMeter(usage string) string {
	region, rest, found := strings.Cut(usage, "-")
	if !found || strings.Trim(region, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		rest = usage
	}
	switch strings.TrimSuffix(rest, "-ARM") {
	case "Lambda-GB-Second":
		return meterMemory
	case "Request":
		return meterRequests
	}
	return ""
}

// awsTime reads a time in the forms that reports have, and in those that spreadsheets turn
// them into. A time without a zone is in UTC, because AWS bills by UTC.
func awsTime(s string) (t time.Time, err error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02T15:04:05", time.DateOnly} {
		if t, err = time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return t, err
}

// awsFunction returns the name from an ARN such as
// arn:aws:lambda:region:account:function:name:qualifier.
func awsFunction(arn string) (string, error) {
	parts := strings.Split(arn, ":")
	if len(parts) < 7 || parts[2] != "lambda" || parts[5] != "function" {
		return "", fmt.Errorf("%s is %q, and not the ARN of a function: have the report made with resources", awsResource, arn)
	}
	return parts[6], nil
}

// Other returns the usage types of Lambda that were skipped, sorted: for example those of
// provisioned concurrency.
func (b *AWSBill) Other() []string { return slices.Sorted(maps.Keys(b.other)) }

// Period returns the time from the first day with a billed amount to the end of the last such
// day, in UTC. It is zero if the bill has no amounts.
func (b *AWSBill) Period() Period {
	var p Period
	for key := range b.used {
		if p.End.IsZero() || key.day.Before(p.Start) {
			p.Start = key.day
		}
		if end := key.day.Add(24 * time.Hour); end.After(p.End) {
			p.End = end
		}
	}
	return p
}

// BillDifference is an amount that differs between a bill and a ledger.
type BillDifference struct {
	Day      time.Time // midnight, UTC
	Function string
	// Meter is "memory" or "requests".
	Meter string
	// Unit is the unit of both amounts: "GB-s" or "request".
	Unit    string
	Billed  *big.Rat // by AWS
	Metered *big.Rat // in the ledger
}

// String describes the difference on one line.
func (d BillDifference) String() string {
	diff := new(big.Rat).Sub(d.Billed, d.Metered)
	percent := "all of it"
	if d.Metered.Sign() != 0 {
		percent = new(big.Rat).Mul(diff, new(big.Rat).Quo(big.NewRat(100, 1), d.Metered)).FloatString(2) + " %"
	}
	return fmt.Sprintf("%s %s: %s %s billed, %s metered: %s (%s)", d.Day.Format(time.DateOnly), printable(d.Function), fixed(d.Billed), d.Unit,
		fixed(d.Metered), fixed(diff), percent)
}

// Reconcile compares the billed amounts with those of a ledger for the same days, priced by a
// book of Lambda. It returns the amounts that differ by more than tolerance, ordered by day,
// function and meter. The tolerance is a part of the larger of the two amounts: big.NewRat(1,
// 100) is one percent, and nil is no tolerance. The ledger must be made with the book. It
// must count days in UTC and still have all days of the bill; otherwise the error is
// [ErrPeriod]. Overruns are left out, since Lambda ends its handlers at their timeout.
func (b *AWSBill) Reconcile(l *Ledger, book *Book, tolerance *big.Rat) ([]BillDifference, error) {
	if l.calendar.Every != Day || l.calendar.zone() != time.UTC {
		return nil, fmt.Errorf("cost: AWS bills days in UTC, and the ledger counts by the %s in %s: %w", l.calendar.Every, l.calendar.zone(), ErrPeriod)
	}
	if len(b.used) == 0 {
		return nil, fmt.Errorf("cost: AWS bill: %w: there is no compute and no request of a Lambda function in it", ErrFormat)
	}
	if err := l.shared.dropped(b.Period()); err != nil {
		return nil, err
	}
	metered := map[awsKey]*big.Rat{}
	units := map[string]string{}
	for _, day := range b.days(l) {
		if err := meterDay(metered, units, l, book, day); err != nil {
			return nil, err
		}
	}
	var all []BillDifference
	keys := maps.Clone(b.used)
	maps.Copy(keys, metered)
	for key := range keys {
		d := BillDifference{key.day, key.function, key.meter, units[key.meter], amountOf(b.used, key), amountOf(metered, key)}
		if d.exceeds(tolerance) {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(x, y BillDifference) int {
		return cmp.Or(x.Day.Compare(y.Day), strings.Compare(x.Function, y.Function), strings.Compare(x.Meter, y.Meter))
	})
	return all, nil
}

// days returns the days, within the bill's period, on which AWS billed or the ledger metered
// something, in order. On other days there is nothing to compare. So a bill with one line in
// the year 1 and another in 9999 needs two statements, and not three million.
func (b *AWSBill) days(l *Ledger) []time.Time {
	days := map[int64]time.Time{}
	for key := range b.used {
		days[key.day.Unix()] = key.day
	}
	for _, start := range l.shared.starts(b.Period()) {
		days[start.Unix()] = start
	}
	return slices.SortedFunc(maps.Values(days), time.Time.Compare)
}

// meterDay adds the amounts that the ledger has for a day.
func meterDay(to map[awsKey]*big.Rat, units map[string]string, l *Ledger, book *Book, day time.Time) error {
	s, err := l.Statement(day, book)
	if err != nil {
		return err
	}
	for _, c := range s.Total.Charges {
		units[c.Meter] = c.Unit
	}
	for _, row := range s.Rows {
		if row.mark() != "" {
			continue
		}
		for _, c := range row.Charges {
			if c.Quantity.Sign() != 0 {
				key := awsKey{day, row.Function, c.Meter}
				to[key] = new(big.Rat).Add(amountOf(to, key), c.Quantity)
			}
		}
	}
	return nil
}

// amountOf returns an amount, or 0 if there is none. The result must not be changed.
func amountOf(of map[awsKey]*big.Rat, key awsKey) *big.Rat {
	if n := of[key]; n != nil {
		return n
	}
	return new(big.Rat)
}

// exceeds reports whether the amounts differ by more than tolerance, a part of the larger
// one.
func (d BillDifference) exceeds(tolerance *big.Rat) bool {
	diff := new(big.Rat).Sub(d.Billed, d.Metered)
	allowed := new(big.Rat)
	if tolerance != nil {
		larger := d.Billed
		if d.Metered.Cmp(larger) > 0 {
			larger = d.Metered
		}
		allowed.Mul(larger, tolerance)
	}
	return diff.Abs(diff).Cmp(allowed) > 0
}
