package cost

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes a table for people. Amounts are rounded to six decimals, each by itself,
// or as [RoundTo] says. The other forms of output are exact without RoundTo.
func (s Statement) WriteText(w io.Writer, opts ...WriteOption) error {
	how := newWriting(opts)
	s = how.of(s)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s\n%s, %s%s\n", s.Period, s.Book.Title, s.Book.Region, since(s.Book))
	var head []string
	for _, d := range s.by {
		head = append(head, strings.TrimPrefix(string(d), labelPrefix))
	}
	head = append(head, "", "calls")
	for _, c := range s.Total.Charges {
		head = append(head, c.Unit+c.tier())
	}
	cells(t, append(head, "list", "billed "+s.Book.Currency))
	for _, row := range s.Rows {
		cells(t, s.line(row, s.by, how.places()))
	}
	cells(t, s.line(s.Total, make([]Dimension, len(s.by)), how.places())) // as many empty dimensions as in the rows, so that the columns line up
	if s.Overruns.Sign() != 0 {
		fmt.Fprintf(t, "of it overruns: %s\n", fixedTo(s.Overruns.rat(), how.places()))
	}
	if slices.ContainsFunc(s.Total.Charges, func(c Charge) bool { return c.AtMost }) {
		fmt.Fprintln(t, "at most: the processor time of some calls was not measured, and is taken to be as long as they took")
	}
	for _, u := range s.Unrated {
		fmt.Fprintf(t, "not in it: %d of %s with %d MiB, for which there is no price\n", u.Calls, printable(u.Function), u.Memory/mib)
	}
	return t.Flush()
}

// since returns the text that says from when the prices of a book are in force.
func since(b About) string {
	if b.Effective == "" {
		return ""
	}
	return ", prices of " + b.Effective
}

// line returns a row as text, a cell for each column, with that many decimals of money.
func (s Statement) line(row Row, by []Dimension, places int) []string {
	var line []string
	for _, d := range by {
		line = append(line, printable(row.text(d)))
	}
	mark := row.mark()
	if slices.Contains(by, Outcome) { // the column of the outcome has the mark
		mark = ""
	}
	line = append(line, mark, strconv.FormatUint(row.Calls, 10))
	for _, c := range row.Charges {
		line = append(line, fixed(c.Quantity))
	}
	return append(line, fixedTo(row.List.rat(), places), fixedTo(row.Billed.rat(), places))
}

// printable quotes a text that would break the table or control the terminal, since names of
// functions and tenants may come from callers.
func printable(s string) string {
	quoted := strconv.Quote(s)
	if plain := quoted[1 : len(quoted)-1]; plain == s {
		return s
	}
	return quoted
}

// tier returns a text that tells the prices of one meter apart.
func (c Charge) tier() (text string) {
	if c.Since != "" {
		text = " since " + c.Since
	}
	if c.Above != nil {
		text += " above " + decimal(c.Above)
	}
	return text
}

// atMost returns the mark of a quantity that is an upper bound, or "".
func (c Charge) atMost() string {
	if c.AtMost {
		return ", at most"
	}
	return ""
}

// cells writes a line of a table: a tab ends each cell.
func cells(w io.Writer, line []string) { fmt.Fprintln(w, strings.Join(line, "\t")+"\t") }

// WriteCSV writes a header and a line for each row, and no total. Amounts and
// quantities are exact decimals; with [RoundTo], amounts are rounded. Names are written
// as they are, so a spreadsheet may take a name that begins with = for a formula.
func (s Statement) WriteCSV(w io.Writer, opts ...WriteOption) error {
	s = newWriting(opts).of(s)
	c := csv.NewWriter(w)
	head := []string{"period_start", "period_end", "book"}
	for _, d := range s.by {
		head = append(head, string(d))
	}
	head = append(head, "overrun", "calls")
	for _, charge := range s.Total.Charges {
		head = append(head, charge.Meter+" "+charge.Unit+charge.tier()+charge.atMost(), charge.Meter+" free"+charge.tier())
	}
	lines := [][]string{append(head, "list", "billed", "currency")}
	for _, row := range s.Rows {
		lines = append(lines, s.record(row))
	}
	return c.WriteAll(lines)
}

// record returns a row of CSV.
func (s Statement) record(row Row) []string {
	record := []string{stamp(s.Period.Start), stamp(s.Period.End), s.Book.Name}
	for _, d := range s.by {
		record = append(record, row.text(d))
	}
	record = append(record, strconv.FormatBool(row.Overrun), strconv.FormatUint(row.Calls, 10))
	for _, c := range row.Charges {
		record = append(record, decimal(c.Quantity), decimal(c.Free))
	}
	return append(record, decimal(row.List.rat()), decimal(row.Billed.rat()), s.Book.Currency)
}

// WriteJSON writes the statement as one object. Amounts are strings such as "0.0833335 USD",
// and quantities are strings with exact decimals.
func (s Statement) WriteJSON(w io.Writer, opts ...WriteOption) error {
	s = newWriting(opts).of(s)
	rows := make([]jsonRow, len(s.Rows))
	for i, row := range s.Rows {
		rows[i] = s.json(row, s.by)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Period   Period    `json:"period"`
		Book     About     `json:"book"`
		Rows     []jsonRow `json:"rows"`
		Total    jsonRow   `json:"total"`
		Overruns Money     `json:"overruns"`
	}{s.Period, s.Book, rows, s.json(s.Total, nil), s.Overruns})
}

type jsonRow struct {
	Key     map[Dimension]string `json:"key,omitempty"`
	Overrun bool                 `json:"overrun,omitempty"`
	Calls   uint64               `json:"calls"`
	Charges []jsonCharge         `json:"charges"`
	List    Money                `json:"list"`
	Billed  Money                `json:"billed"`
}

type jsonCharge struct {
	Meter     string `json:"meter"`
	Unit      string `json:"unit"`
	Since     string `json:"since,omitempty"`
	Above     string `json:"above,omitempty"`
	Quantity  string `json:"quantity"`
	Free      string `json:"free"`
	UnitPrice Money  `json:"unitPrice"`
	List      Money  `json:"list"`
	Billed    Money  `json:"billed"`
	AtMost    bool   `json:"atMost,omitempty"`
}

// json returns a row of JSON. Dimensions without a value are left out.
func (s Statement) json(row Row, by []Dimension) jsonRow {
	j := jsonRow{Overrun: row.Overrun, Calls: row.Calls, List: row.List, Billed: row.Billed, Charges: []jsonCharge{}}
	for _, d := range by {
		if text := row.text(d); text != "" {
			if j.Key == nil {
				j.Key = map[Dimension]string{}
			}
			j.Key[d] = text
		}
	}
	for _, c := range row.Charges {
		above := ""
		if c.Above != nil {
			above = decimal(c.Above)
		}
		j.Charges = append(j.Charges, jsonCharge{
			c.Meter, c.Unit, c.Since, above, decimal(c.Quantity), decimal(c.Free), c.UnitPrice, c.List, c.Billed, c.AtMost,
		})
	}
	return j
}

// stamp returns a time in UTC, to the second, as FOCUS requires.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
