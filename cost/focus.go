package cost

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"slices"
	"strconv"
	"time"
)

// Account says who is billed, and by whom, in FOCUS rows: what calls don't know.
type Account struct {
	ID      string // BillingAccountId; required
	Name    string // BillingAccountName; empty: none
	Issuer  string // InvoiceIssuerName; empty: the book's provider
	Service string // ServiceName; empty: the book's
}

var errAccount = errors.New("cost: FOCUS rows need the ID of an Account")

// WriteFOCUS writes the statement as CSV in the form of the Cost and Usage
// dataset of FOCUS 1.4, the FinOps Open Cost and Usage Specification
// (https://focus.finops.org/focus-specification/v1-4/). Tests hold it against the
// list of columns in testdata/focus-1.4.csv, which says where that was read.
//
// There is a row for what each meter bills of each of the statement's rows, and
// another for what of it is free, at a unit price of 0; each price tier has rows of
// its own. In every row
// PricingQuantity × ListUnitPrice = ListCost, to the last digit, and all four
// costs are equal, for there are no discounts and no commitments. Their sum is
// the statement's total. A missing value (NULL) is an empty field.
//
// A tenant is a sub account, a function a resource, a label a tag. Columns that
// FOCUS does not have begin with x_. Names are as they are: see WriteCSV.
func (s Statement) WriteFOCUS(w io.Writer, a Account) error {
	if a.ID == "" {
		return errAccount
	}
	c := csv.NewWriter(w)
	head := make([]string, 0, len(focusColumns()))
	for _, column := range focusColumns() {
		head = append(head, column.name)
	}
	if err := c.Write(head); err != nil {
		return err
	}
	for _, row := range s.Rows {
		for _, charge := range row.Charges {
			if err := s.writeCharge(c, a, row, charge); err != nil {
				return err
			}
		}
	}
	c.Flush()
	return c.Error()
}

// writeCharge writes what is billed of a charge, and what is free.
func (s Statement) writeCharge(c *csv.Writer, a Account, row Row, charge Charge) error {
	r := focusRow{s: s, a: a, row: row, charge: charge, price: charge.UnitPrice}
	r.quantity = new(big.Rat).Sub(charge.Quantity, charge.Free)
	if err := r.write(c); err != nil {
		return err
	}
	r.free, r.quantity, r.price = true, charge.Free, Money{currency: s.Book.Currency}
	return r.write(c)
}

// focusRow is what the columns of one row are made of.
type focusRow struct {
	s        Statement
	a        Account
	row      Row
	charge   Charge
	free     bool
	quantity *big.Rat
	price    Money // of one
}

func (r *focusRow) write(c *csv.Writer) error {
	if r.quantity.Sign() == 0 {
		return nil
	}
	var record []string
	for _, column := range focusColumns() {
		record = append(record, column.value(r))
	}
	return c.Write(record)
}

// focusColumn is a column and its value in a row; empty is NULL.
type focusColumn struct {
	name  string
	value func(r *focusRow) string
}

// focusColumns are the mandatory columns, and those that are so for a provider
// of what a statement has: usage, unit prices, regions, resources, sub accounts
// and tags.
func focusColumns() []focusColumn {
	cost := func(r *focusRow) string { return decimal(r.price.Mul(r.quantity).rat()) }
	price := func(r *focusRow) string { return decimal(r.price.rat()) }
	quantity := func(r *focusRow) string { return decimal(r.quantity) }
	unit := func(r *focusRow) string { return r.charge.price.focus }
	start := func(r *focusRow) string { return stamp(r.s.Period.Start) }
	end := func(r *focusRow) string { return stamp(r.s.Period.End) }
	region := func(r *focusRow) string { return r.s.Book.Region }
	provider := func(r *focusRow) string { return r.s.Book.Provider }
	tenant := func(r *focusRow) string { return r.row.Tenant }
	function := func(r *focusRow) string { return r.row.Function }
	return []focusColumn{
		{"BilledCost", cost},
		{"BillingAccountId", func(r *focusRow) string { return r.a.ID }},
		{"BillingAccountName", func(r *focusRow) string { return r.a.Name }},
		{"BillingCurrency", func(r *focusRow) string { return r.s.Book.Currency }},
		{"BillingPeriodEnd", end},
		{"BillingPeriodStart", start},
		{"ChargeCategory", is("Usage")},
		{"ChargeClass", is("")}, // not a correction
		{"ChargeDescription", (*focusRow).description},
		{"ChargeFrequency", is("Usage-Based")},
		{"ChargePeriodEnd", end},
		{"ChargePeriodStart", start},
		{"ConsumedQuantity", quantity},
		{"ConsumedUnit", unit},
		{"ContractedCost", cost},
		{"ContractedUnitPrice", price},
		{"EffectiveCost", cost},
		{"HostProviderName", provider},
		{"InvoiceIssuerName", func(r *focusRow) string { return or(r.a.Issuer, r.s.Book.Provider) }},
		{"ListCost", cost},
		{"ListUnitPrice", price},
		{"PricingCategory", is("Standard")},
		{"PricingQuantity", quantity},
		{"PricingUnit", unit},
		{"RegionId", region},
		{"RegionName", region},
		{"ResourceId", function},
		{"ResourceName", function},
		{"ResourceType", func(r *focusRow) string {
			if r.row.Function == "" { // a statement that was grouped
				return ""
			}
			return "Function"
		}},
		{"ServiceCategory", is("Compute")},
		{"ServiceName", func(r *focusRow) string { return or(r.a.Service, r.s.Book.Service) }},
		{"ServiceProviderName", provider},
		{"ServiceSubcategory", is("Serverless Compute")},
		{"SkuId", (*focusRow).sku},
		{"SkuMeter", func(r *focusRow) string { return focusMeter(r.charge.Meter) }},
		{"SkuPriceDetails", (*focusRow).priceDetails},
		{"SkuPriceId", (*focusRow).skuPrice},
		{"SubAccountId", tenant},
		{"SubAccountName", tenant},
		{"Tags", (*focusRow).tags},
		{"x_Book", func(r *focusRow) string { return r.s.Book.Name }},
		{"x_Calls", func(r *focusRow) string { return strconv.FormatUint(r.row.Calls, 10) }},
		{"x_FreeTier", func(r *focusRow) string { return strconv.FormatBool(r.free) }},
		{"x_FunctionVersion", func(r *focusRow) string { return r.row.Version }},
		{"x_Outcome", (*focusRow).outcome},
		{"x_Overrun", func(r *focusRow) string { return strconv.FormatBool(r.row.Overrun) }},
	}
}

func is(text string) func(*focusRow) string { return func(*focusRow) string { return text } }

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func (r *focusRow) description() string {
	text := r.s.Book.Title + ": " + focusMeter(r.charge.Meter) + r.charge.tier()
	if r.row.Overrun {
		text += ", after the caller was freed"
	}
	if r.free {
		text += ", free tier"
	}
	return text
}

func (r *focusRow) sku() string { return r.s.Book.Name + "/" + r.charge.Meter }

func (r *focusRow) skuPrice() string {
	id := r.sku()
	if r.s.Book.Effective != "" {
		id += "@" + r.s.Book.Effective
	}
	if r.charge.Above != nil {
		id += "/above-" + decimal(r.charge.Above)
	}
	if r.free {
		id += "/free"
	}
	return id
}

func (r *focusRow) priceDetails() string {
	details := map[string]string{"x_Source": r.s.Book.Source}
	if r.s.Book.Effective != "" {
		details["x_Effective"] = r.s.Book.Effective
	}
	return object(details)
}

// outcome is empty where a group has several.
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

func object(pairs map[string]string) string {
	text, err := json.Marshal(pairs)
	if err != nil {
		panic(err) // strings have no reason to fail
	}
	return string(text)
}

func focusMeter(meter string) string {
	switch meter {
	case meterMemory:
		return "Memory Duration"
	case meterCPU:
		return "CPU Duration"
	}
	return "Requests"
}

// stamp writes a time as FOCUS wants it: UTC, to the second.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
