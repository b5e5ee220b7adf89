package cost

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Account has the data of FOCUS rows that is neither in calls nor in price lists: who is
// billed, who bills, and where the functions ran. A price list is only used for its prices:
// what ran on your own machine is not a service of the price list's provider, and must not be
// added to that provider's bill.
type Account struct {
	// ID is BillingAccountId. It is required.
	ID string
	// Name is BillingAccountName. It may be empty.
	Name string
	// Provider is ServiceProviderName or, before FOCUS 1.3, ProviderName and PublisherName.
	// If it is empty, Name is used or, if that is empty too, ID.
	Provider string
	// Host is HostProviderName. If it is empty, the provider is used.
	Host string
	// Region is RegionId and RegionName. It may be empty.
	Region string
	// Issuer is InvoiceIssuerName. If it is empty, the provider is used.
	Issuer string
	// Service is ServiceName. If it is empty, "Functions" is used.
	Service string
}

// provider returns the text for the provider in rows.
func (a Account) provider() string { return cmp.Or(a.Provider, a.Name, a.ID) }

var errAccount = errors.New("cost: FOCUS rows need the ID of an Account")

// FOCUSForm writes statements in the form of the Cost and Usage dataset of the FinOps
// Open Cost and Usage Specification. It is read-only, and may be used concurrently.
type FOCUSForm struct {
	version string
	columns []focusColumn
}

// FOCUS returns the form of a version of FOCUS: "1.4"
// (https://focus.finops.org/focus-specification/v1-4/) or "1.2". Most tools read 1.2; it has
// ProviderName and PublisherName in place of ServiceProviderName and HostProviderName. For
// any other version FOCUS returns [ErrFormat].
func FOCUS(version string) (*FOCUSForm, error) {
	f := &FOCUSForm{version: version}
	switch version {
	case "1.4":
		f.columns = focusColumns("HostProviderName", "ServiceProviderName")
	case "1.2":
		f.columns = focusColumns("ProviderName", "PublisherName")
	default:
		return nil, fmt.Errorf("cost: FOCUS %q: %w: there are \"1.2\" and \"1.4\"", version, ErrFormat)
	}
	return f, nil
}

// WriteFOCUS writes the statement as CSV in the form of FOCUS 1.4, as [FOCUSForm.Write]
// does.
func (s Statement) WriteFOCUS(w io.Writer, a Account) error {
	f, err := FOCUS("1.4")
	if err != nil {
		return err
	}
	return f.Write(w, a, s)
}

// Write writes one or several statements as CSV: for example those of all days of a
// month, or of several books. Tests compare the rows with the list of columns in
// testdata/focus-1.4.csv, which names its source.
//
// Each row of a statement becomes one FOCUS row for each meter, and another one, with a unit
// price of 0, for the free part of the meter's quantity. Each price tier has rows of its own.
// In every row PricingQuantity × ListUnitPrice = ListCost, to the last digit, and all four
// costs are equal, because there are no discounts and no commitments. The rows add up to the
// statements' totals. A missing value (NULL) is an empty field.
//
// x_Calls is the number of calls of a statement's row in the first of its FOCUS rows, and 0
// in the others. So this column adds up to the statement's calls, as quantities and costs add
// up.
//
// A tenant is a sub account, a function with its version is a resource, a label is a tag, and
// a base fee is a purchase. The billing period is the calendar month, in its own zone, that
// the statement's period is in. A SkuPriceId stays the same when the price changes. Columns
// that FOCUS does not have begin with x_. Names are written as they are, so a spreadsheet may
// take a name that begins with = for a formula.
func (f *FOCUSForm) Write(w io.Writer, a Account, statements ...Statement) error {
	var rows []*focusRow
	for _, s := range statements {
		rows = append(rows, focusRows(s, a, billingPeriod(s.Period))...)
	}
	return f.write(w, a, rows)
}

// WriteCorrections writes the rows that correct a bill: added to the rows of the first
// statement (was, as billed) they give those of the second (is, the right one). They have
// ChargeClass "Correction" and the charge period of the two statements. Their billing period is
// the month in which the parameter in begins: the month on whose bill the correction appears.
// Quantities and costs are negative where too much was billed. The two statements must have the
// same period and currency; otherwise WriteCorrections returns [ErrFormat].
func (f *FOCUSForm) WriteCorrections(w io.Writer, a Account, in Period, was, is Statement) error {
	if !was.Period.Start.Equal(is.Period.Start) || !was.Period.End.Equal(is.Period.End) || was.Book.Currency != is.Book.Currency {
		return fmt.Errorf("cost: a correction from %s in %s to %s in %s: %w", was.Period, was.Book.Currency, is.Period, is.Book.Currency, ErrFormat)
	}
	billed := billingPeriod(Period{in.Start, in.Start})
	rows := focusRows(is, a, billed)
	at := map[string]*focusRow{}
	for _, r := range rows {
		at[r.identity()] = r
	}
	for _, r := range focusRows(was, a, billed) {
		name := r.identity()
		if at[name] == nil {
			at[name] = &focusRow{s: is, a: a, row: r.row, charge: r.charge, free: r.free, price: r.price, billed: billed, quantity: new(big.Rat), calls: new(big.Int)}
			rows = append(rows, at[name])
		}
		at[name].less(r)
	}
	rows = slices.DeleteFunc(rows, func(r *focusRow) bool { return r.quantity.Sign() == 0 && r.calls.Sign() == 0 })
	for _, r := range rows {
		r.correction = true
	}
	return f.write(w, a, rows)
}

// write writes a header and the rows. It reuses one record for all of them.
func (f *FOCUSForm) write(w io.Writer, a Account, rows []*focusRow) error {
	if a.ID == "" {
		return errAccount
	}
	c := csv.NewWriter(w)
	var record []string
	for _, column := range f.columns {
		record = append(record, column.name)
	}
	if err := c.Write(record); err != nil {
		return err
	}
	for _, r := range rows {
		for i, column := range f.columns {
			record[i] = column.value(r)
		}
		if err := c.Write(record); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// billingPeriod returns the calendar month that contains the period, or the months if it
// spans several. Months are by the period's own zone.
func billingPeriod(p Period) Period {
	months := Calendar{Month, p.Start.Location()}
	last := p.Start
	if p.End.After(p.Start) {
		last = p.End.Add(-1)
	}
	return Period{months.Period(p.Start).Start, months.Period(last).End}
}

// focusRow has the values from which the columns of one row are made.
type focusRow struct {
	s          Statement
	a          Account
	row        Row
	charge     Charge
	free       bool // the row is for the free part of the charge
	quantity   *big.Rat
	price      Money // of one unit
	calls      *big.Int
	billed     Period
	correction bool
}

// focusRows returns the rows of a statement.
func focusRows(s Statement, a Account, billed Period) []*focusRow {
	var all []*focusRow
	for _, row := range s.Rows {
		var of, none []*focusRow
		for _, charge := range row.Charges {
			r := &focusRow{s: s, a: a, row: row, charge: charge, price: charge.UnitPrice, billed: billed, calls: new(big.Int)}
			r.quantity = new(big.Rat).Sub(charge.Quantity, charge.Free)
			free := *r
			free.free, free.quantity, free.price, free.calls = true, charge.Free, Money{currency: s.Book.Currency}, new(big.Int)
			none = append(none, r)
			for _, r := range []*focusRow{r, &free} {
				if r.quantity.Sign() != 0 {
					of = append(of, r)
				}
			}
		}
		if len(of) == 0 && row.Calls > 0 { // nothing was used, but the calls must still be counted
			of = none[:min(1, len(none))]
		}
		if len(of) > 0 && row.mark() == "" {
			of[0].calls.SetUint64(row.Calls)
		}
		all = append(all, of...)
	}
	return all
}

// identity returns a text that is equal for two rows if one can correct the other.
func (r *focusRow) identity() string {
	return strings.Join([]string{r.skuPrice(), r.price.String(), groupName(r.row.Key, dimensions([]Row{r.row}))}, " ")
}

// less subtracts a row that was billed. It makes new numbers, since rows may share theirs.
func (r *focusRow) less(was *focusRow) {
	r.quantity = new(big.Rat).Sub(r.quantity, was.quantity)
	r.calls = new(big.Int).Sub(r.calls, was.calls)
}

// focusColumn is a column and the function that returns its value in a row. An empty value is
// NULL.
type focusColumn struct {
	name  string
	value func(r *focusRow) string
}

// focusColumns returns the columns that are mandatory for all providers, and those that are
// mandatory for a provider with usage, unit prices, regions, resources, sub accounts and
// tags, all of which a statement has. The columns are sorted by name; those that begin with
// x_ come last, since they are in lower case. first and second are the names of two columns
// for providers, which differ between versions of FOCUS: HostProviderName and
// ServiceProviderName or, before FOCUS 1.3, ProviderName and PublisherName.
func focusColumns(first, second string) []focusColumn {
	columns := slices.Concat(billingColumns(), chargeColumns(), priceColumns(), providerColumns(first, second), resourceColumns(), ownColumns())
	slices.SortStableFunc(columns, func(x, y focusColumn) int { return strings.Compare(x.name, y.name) })
	return columns
}

// billingColumns are about the bill: accounts, currency, billing period and amounts.
func billingColumns() []focusColumn {
	return []focusColumn{
		{"BilledCost", (*focusRow).cost},
		{"BillingAccountId", func(r *focusRow) string { return r.a.ID }},
		{"BillingAccountName", func(r *focusRow) string { return r.a.Name }},
		{"BillingCurrency", func(r *focusRow) string { return r.s.Book.Currency }},
		{"BillingPeriodEnd", func(r *focusRow) string { return stamp(r.billed.End) }},
		{"BillingPeriodStart", func(r *focusRow) string { return stamp(r.billed.Start) }},
		{"ContractedCost", (*focusRow).cost},
		{"EffectiveCost", (*focusRow).cost},
		{"InvoiceIssuerName", func(r *focusRow) string { return cmp.Or(r.a.Issuer, r.a.provider()) }},
		{"ListCost", (*focusRow).cost},
		{"SubAccountId", func(r *focusRow) string { return r.row.Tenant }},
		{"SubAccountName", func(r *focusRow) string { return r.row.Tenant }},
	}
}

// chargeColumns are about what was used, and when.
func chargeColumns() []focusColumn {
	return []focusColumn{
		{"ChargeCategory", usageOr("Usage", "Purchase")},
		{"ChargeClass", (*focusRow).class},
		{"ChargeDescription", (*focusRow).description},
		{"ChargeFrequency", usageOr("Usage-Based", "Recurring")},
		{"ChargePeriodEnd", func(r *focusRow) string { return stamp(r.s.Period.End) }},
		{"ChargePeriodStart", func(r *focusRow) string { return stamp(r.s.Period.Start) }},
		{"ConsumedQuantity", ofUsage((*focusRow).amount)},
		{"ConsumedUnit", ofUsage((*focusRow).unit)},
	}
}

// priceColumns are about prices. Without discounts all unit prices are the list price.
func priceColumns() []focusColumn {
	return []focusColumn{
		{"ContractedUnitPrice", (*focusRow).unitPrice},
		{"ListUnitPrice", (*focusRow).unitPrice},
		{"PricingCategory", always("Standard")},
		{"PricingQuantity", (*focusRow).amount},
		{"PricingUnit", (*focusRow).unit},
		{"SkuId", (*focusRow).sku},
		{"SkuMeter", func(r *focusRow) string { return focusMeter(r.charge.Meter) }},
		{"SkuPriceDetails", (*focusRow).priceDetails},
		{"SkuPriceId", (*focusRow).skuPrice},
	}
}

// providerColumns are about where the functions ran, and for which provider.
func providerColumns(first, second string) []focusColumn {
	provider := func(r *focusRow) string { return r.a.provider() }
	host := provider
	if first == "HostProviderName" {
		host = func(r *focusRow) string { return cmp.Or(r.a.Host, r.a.provider()) }
	}
	region := func(r *focusRow) string { return r.a.Region }
	return []focusColumn{
		{first, host},
		{second, provider},
		{"RegionId", region},
		{"RegionName", region},
		{"ServiceCategory", always("Compute")},
		{"ServiceName", func(r *focusRow) string { return cmp.Or(r.a.Service, "Functions") }},
		{"ServiceSubcategory", always("Serverless Compute")},
	}
}

// resourceColumns are about functions and their labels.
func resourceColumns() []focusColumn {
	return []focusColumn{
		{"ResourceId", (*focusRow).resource},
		{"ResourceName", func(r *focusRow) string { return r.row.Function }},
		{"ResourceType", (*focusRow).resourceType},
		{"Tags", (*focusRow).tags},
	}
}

// ownColumns are the columns that FOCUS does not have.
func ownColumns() []focusColumn {
	return []focusColumn{
		{"x_Book", func(r *focusRow) string { return r.s.Book.Name }},
		{"x_AtMost", func(r *focusRow) string { return strconv.FormatBool(r.charge.AtMost) }},
		{"x_Calls", func(r *focusRow) string { return r.calls.String() }},
		{"x_FreeTier", func(r *focusRow) string { return strconv.FormatBool(r.free) }},
		{"x_FunctionVersion", func(r *focusRow) string { return r.row.Version }},
		{"x_Outcome", (*focusRow).outcome},
		{"x_Overrun", func(r *focusRow) string { return strconv.FormatBool(r.row.Overrun) }},
	}
}

func (r *focusRow) cost() string { return decimal(r.price.Mul(r.quantity).rat()) }

func (r *focusRow) unitPrice() string { return decimal(r.price.rat()) }

func (r *focusRow) amount() string { return decimal(r.quantity) }

func (r *focusRow) unit() string { return r.charge.price.focus }

func (r *focusRow) class() string {
	if r.correction {
		return "Correction"
	}
	return ""
}

// resourceType is empty for rows of a statement that was grouped without functions.
func (r *focusRow) resourceType() string {
	if r.row.Function == "" {
		return ""
	}
	return "Function"
}

// always returns the value function of a column that has the same text in each row.
func always(text string) func(*focusRow) string { return func(*focusRow) string { return text } }

// usageOr returns the value function of a column that has one text for usage and another for
// a base fee.
func usageOr(usage, base string) func(*focusRow) string {
	return func(r *focusRow) string {
		if r.row.Base {
			return base
		}
		return usage
	}
}

// ofUsage returns a value function that is empty for a base fee, and value for all other
// rows.
func ofUsage(value func(*focusRow) string) func(*focusRow) string {
	return func(r *focusRow) string {
		if r.row.Base {
			return ""
		}
		return value(r)
	}
}

// resource returns the function with its version, as faas writes it.
func (r *focusRow) resource() string {
	if r.row.Version == "" {
		return r.row.Function
	}
	return r.row.Function + ":" + r.row.Version
}

// description returns one line that says what the charge is for. FOCUS requires a text for
// people.
func (r *focusRow) description() string {
	text := focusMeter(r.charge.Meter) + r.charge.tier() + r.charge.atMost() + ", by the prices of " + r.s.Book.Title
	if r.row.Overrun {
		text += ", after the caller was freed"
	}
	if r.free {
		text += ", free tier"
	}
	return text
}

func (r *focusRow) sku() string { return r.s.Book.Name + "/" + r.charge.Meter }

// skuPrice returns the SkuPriceId. It has no date in it, so that it stays the same when the
// price changes.
func (r *focusRow) skuPrice() string {
	id := r.sku()
	if r.charge.Above != nil {
		id += "/above-" + decimal(r.charge.Above)
	}
	if r.free {
		id += "/free"
	}
	return id
}

// priceDetails returns the source of the price, and the dates that SkuPriceId must not have.
func (r *focusRow) priceDetails() string {
	details := map[string]string{"x_Source": r.s.Book.Source, "x_Provider": r.s.Book.Provider, "x_Region": r.s.Book.Region}
	for name, value := range map[string]string{"x_Effective": cmp.Or(r.charge.Since, r.s.Book.Effective), "x_Read": r.s.Book.Read} {
		if value != "" {
			details[name] = value
		}
	}
	return object(details)
}

// outcome is empty if a group has calls of several outcomes.
func (r *focusRow) outcome() string {
	if slices.Contains(r.s.by, Outcome) {
		return r.row.text(Outcome)
	}
	return ""
}

func (r *focusRow) tags() string {
	if len(r.row.Labels) == 0 {
		return ""
	}
	return object(r.row.Labels)
}

// object writes pairs as a JSON object, sorted by name.
func object(pairs map[string]string) string {
	text, err := json.Marshal(pairs)
	if err != nil {
		panic(err) // cannot happen: a map of strings can always be encoded
	}
	return string(text)
}

// focusMeter returns the name that a meter has in FOCUS rows.
func focusMeter(meter string) string {
	switch meter {
	case meterMemory:
		return "Memory Duration"
	case meterCPU:
		return "CPU Duration"
	case meterProcessor:
		return "CPU Time"
	case meterBytes:
		return "Data Transfer Out"
	case meterBase:
		return "Base Fee"
	}
	return "Requests"
}
