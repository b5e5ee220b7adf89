package cost_test

import (
	"context"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// awsBill reads testdata/cur-2.0.csv. The report is made up, with the column names of AWS's
// documentation, since no report of a real account was available.
func awsBill(tb testing.TB) *cost.AWSBill {
	tb.Helper()
	f, err := os.Open("testdata/cur-2.0.csv")
	require.NoError(tb, err)
	defer f.Close()
	b, err := cost.ReadAWSBill(f)
	require.NoError(tb, err)
	return b
}

// awsCalls returns the calls that the report bills.
func awsCalls() []faas.Execution {
	resize := call(time.Second, 1024*mib)
	resize.Function = "resize"
	mail := call(250*time.Millisecond, 1024*mib)
	mail.Function, mail.Start = "mail", noon.AddDate(0, 0, 1)
	return []faas.Execution{resize, resize, mail}
}

func daily(books []*cost.Book, records ...faas.Execution) *cost.Ledger {
	l := cost.NewLedger(cost.Calendar{Every: cost.Day}, books...)
	for _, e := range records {
		l.Record(context.Background(), e)
	}
	return l
}

const billHead = "line_item_line_item_type,line_item_product_code,line_item_usage_type,line_item_usage_start_date,line_item_usage_end_date," +
	"line_item_resource_id,line_item_usage_amount\n"

func differences(found []cost.BillDifference) []string {
	var all []string
	for _, d := range found {
		all = append(all, d.String())
	}
	return all
}

func TestAnAWSBillIsComparedByFunctionAndDay(t *testing.T) {
	t.Parallel()
	bill, x86 := awsBill(t), preset(t, "aws-lambda-x86")
	assert.Equal(t, []string{"EUC1-Lambda-Provisioned-GB-Second", "Lambda-Edge-Request"}, bill.Other())
	assert.Equal(t, "2026-03-14T00:00:00Z to 2026-03-16T00:00:00Z", bill.Period().String())

	ledger := daily([]*cost.Book{x86}, awsCalls()...)
	ledger.AddOverrun(noon, faas.Overrun{Function: "resize", Duration: time.Hour, Memory: 1024 * mib})
	found, err := bill.Reconcile(ledger, x86, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"2026-03-15 forgotten: 3.000000 request billed, 0.000000 metered: 3.000000 (all of it)"}, differences(found))

	more := append(awsCalls(), awsCalls()[2])
	more[3].Duration = 10 * time.Millisecond
	found, err = bill.Reconcile(daily([]*cost.Book{x86}, more...), x86, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"2026-03-15 forgotten: 3.000000 request billed, 0.000000 metered: 3.000000 (all of it)",
		"2026-03-15 mail: 0.250000 GB-s billed, 0.260000 metered: -0.010000 (-3.85 %)",
		"2026-03-15 mail: 1.000000 request billed, 2.000000 metered: -1.000000 (-50.00 %)",
	}, differences(found))
	found, err = bill.Reconcile(daily([]*cost.Book{x86}, more...), x86, big.NewRat(4, 100))
	require.NoError(t, err)
	require.Len(t, found, 2, "0.01 of 0.26 is within four in a hundred")
	found, err = bill.Reconcile(daily([]*cost.Book{x86}, more...), x86, big.NewRat(1, 1))
	require.NoError(t, err)
	require.Empty(t, found)

	_, err = bill.Reconcile(record([]*cost.Book{x86}), x86, nil)
	require.ErrorIs(t, err, cost.ErrPeriod, "a ledger by months")
	empty, err := cost.ReadAWSBill(strings.NewReader(billHead))
	require.NoError(t, err)
	_, err = empty.Reconcile(daily([]*cost.Book{x86}), x86, nil)
	require.ErrorIs(t, err, cost.ErrFormat, "nothing agrees with nothing")
	_, err = bill.Reconcile(daily(nil, awsCalls()...), x86, nil)
	require.ErrorIs(t, err, cost.ErrUnrated, "a ledger that was not made with the book")
}

func TestAWSBillsOfTheOlderKindAreRead(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/cur-2.0.csv")
	require.NoError(t, err)
	old := string(data)
	for _, names := range [][2]string{
		{"line_item_line_item_type", "lineItem/LineItemType"},
		{"line_item_product_code", "lineItem/ProductCode"},
		{"line_item_usage_type", "lineItem/UsageType"},
		{"line_item_usage_start_date", "lineItem/UsageStartDate"},
		{"line_item_usage_end_date", "lineItem/UsageEndDate"},
		{"line_item_resource_id", "lineItem/ResourceId"},
		{"line_item_usage_amount", "lineItem/UsageAmount"},
		{".000Z", "Z"},
	} {
		old = strings.ReplaceAll(old, names[0], names[1])
	}
	b, err := cost.ReadAWSBill(strings.NewReader(old))
	require.NoError(t, err)
	x86 := preset(t, "aws-lambda-x86")
	found, err := b.Reconcile(daily([]*cost.Book{x86}, awsCalls()...), x86, nil)
	require.NoError(t, err)
	require.Len(t, found, 1)
}

func TestAnAWSBillThatCannotBeReadSaysWhere(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/cur-2.0.csv")
	require.NoError(t, err)
	for change, why := range map[[2]string]string{
		{"line_item_usage_type", "usage"}: "no column",
		{"1.5", "1,5"}:                    "line 2",
		{"0.250000", "1e999999999"}:       "line 5",
		{"0.250000", ""}:                  "line_item_usage_amount",
		{"arn:aws:lambda:eu-central-1:111122223333:function:mail", ""}: "made with resources",
		{"2026-03-14T12:00:00.000Z,arn", "2026-04-01T00:00:00Z,arn"}:   "hourly or daily",
		{"2026-03-14T11:00:00.000Z", "yesterday"}:                      "yesterday",
	} {
		require.Contains(t, string(data), change[0])
		_, err := cost.ReadAWSBill(strings.NewReader(strings.Replace(string(data), change[0], change[1], 1)))
		require.ErrorIs(t, err, cost.ErrFormat, change)
		require.ErrorContains(t, err, why, change)
	}
	_, err = cost.ReadAWSBill(strings.NewReader(""))
	require.ErrorIs(t, err, cost.ErrFormat)
}

func TestAnAWSBillIsComparedOnTheDaysThatHaveSomething(t *testing.T) {
	t.Parallel()
	text := billHead
	for _, days := range []string{"0001-01-01,0001-01-01", "9999-12-30,9999-12-31"} {
		text += "Usage,AWSLambda,Request," + days + ",arn:aws:lambda:eu-central-1:111122223333:function:mail,2\n"
	}
	b, err := cost.ReadAWSBill(strings.NewReader(text))
	require.NoError(t, err)
	x86 := preset(t, "aws-lambda-x86").AnyTime()
	found, err := b.Reconcile(daily([]*cost.Book{x86}, awsCalls()...), x86, nil)
	require.NoError(t, err) // and it returns: 3,652,058 statements would take too long
	var days []string
	for _, d := range found {
		days = append(days, d.Day.Format(time.DateOnly))
	}
	require.Equal(t, "0001-01-01", days[0])
	require.Equal(t, "9999-12-30", days[len(days)-1])
	require.Contains(t, days, "2026-03-14", "a day that the ledger alone has")
}

func TestAnAWSBillOfForgottenDaysIsRefused(t *testing.T) {
	t.Parallel()
	text := billHead
	for _, days := range []string{"2026-02-01,2026-02-02", "2026-03-01,2026-03-02"} {
		text += "Usage,AWSLambda,Request," + days + ",arn:aws:lambda:eu-central-1:111122223333:function:mail,2\n"
	}
	b, err := cost.ReadAWSBill(strings.NewReader(text))
	require.NoError(t, err)
	x86 := preset(t, "aws-lambda-x86")
	early := call(time.Second, 1024*mib)
	early.Start = noon.AddDate(0, -1, 0)
	l := daily([]*cost.Book{x86}, early, call(time.Second, 1024*mib))
	_, err = b.Reconcile(l, x86, nil)
	require.NoError(t, err)
	l.Forget(noon.AddDate(0, 0, -10))
	_, err = b.Reconcile(l, x86, nil)
	require.ErrorIs(t, err, cost.ErrPeriod)
}

func TestABillWhoseRowBreaksBeforeItsFirstFieldIsAnError(t *testing.T) {
	data, err := os.ReadFile("testdata/cur-2.0.csv")
	require.NoError(t, err)
	head, _, _ := strings.Cut(string(data), "\n")
	for name, row := range map[string]string{
		"a quote that nothing closes": `"abc`,
		"a quote within a field":      `a"b,c`,
		"text after a quoted field":   `"a"b,c`,
		"one field":                   `abc`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := cost.ReadAWSBill(strings.NewReader(head + "\n" + row + "\n"))
			require.ErrorIs(t, err, cost.ErrFormat)
			require.ErrorContains(t, err, "line 2")
		})
	}
}

func FuzzAWSBill(f *testing.F) {
	data, err := os.ReadFile("testdata/cur-2.0.csv")
	require.NoError(f, err)
	f.Add(string(data))
	f.Add("")
	head, _, _ := strings.Cut(string(data), "\n")
	f.Add(head + "\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := cost.ReadAWSBill(strings.NewReader(text))
		if err != nil {
			require.ErrorIs(t, err, cost.ErrFormat)
			return
		}
		if p := b.Period(); !p.Start.IsZero() {
			require.True(t, p.Start.Before(p.End))
		}
		b.Other()
	})
}
