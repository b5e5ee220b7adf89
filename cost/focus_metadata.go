package cost

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"strings"
	"time"
)

// focusMetadata is the data that FOCUS requires in addition to the rows
// (https://focus.finops.org/focus-specification/v1-4/, section Metadata). The names were read in the
// specification's repository,
// https://github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec/tree/working_draft/specification/metadata.
type focusMetadata struct {
	DataGenerator   focusGenerator
	Schema          []focusSchema
	DatasetInstance []focusDataset `json:",omitempty"`
	Recency         []focusRecency `json:",omitempty"`
}

type focusGenerator struct{ DataGenerator string }

type focusSchema struct {
	SchemaID         string `json:"SchemaId"`
	FocusVersion     string
	CreationDate     string
	ColumnDefinition []focusDefinition
}

type focusDefinition struct{ ColumnName, DataType string }

type focusDataset struct {
	DatasetInstanceID   string `json:"DatasetInstanceId"`
	DatasetInstanceName string
	FocusDatasetID      string `json:"FocusDatasetId"`
}

type focusRecency struct {
	DatasetInstanceID          string `json:"DatasetInstanceId"`
	DatasetInstanceLastUpdated string
	RecencyLastUpdated         string
	TimeSectors                []focusSector
}

type focusSector struct {
	TimeSectorStart, TimeSectorEnd string
	TimeSectorLastUpdated          string
	TimeSectorComplete             bool
}

// WriteMetadata writes, as JSON, the metadata that belongs to the rows that Write makes of
// the same statements: the version of FOCUS, the time at which the rows were made, their
// columns and, since FOCUS 1.3, which periods are complete. Set complete if all usage has
// been recorded. A period is then marked as complete if it was over when the rows were made.
// The identifier of the schema changes exactly if the columns change.
func (f *FOCUSForm) WriteMetadata(w io.Writer, a Account, made time.Time, complete bool, statements ...Statement) error {
	if a.ID == "" {
		return errAccount
	}
	m := focusMetadata{DataGenerator: focusGenerator{a.provider()}, Schema: []focusSchema{f.schema(made)}}
	if f.version != "1.2" {
		name := "cost-and-usage/" + a.ID
		m.DatasetInstance = []focusDataset{{name, "Functions, by their declared size", "CostAndUsage"}}
		m.Recency = []focusRecency{{name, stamp(made), stamp(made), sectors(made, complete, statements)}}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(m)
}

// schema describes the columns. Its identifier is a hash of the version and the
// columns.
func (f *FOCUSForm) schema(made time.Time) focusSchema {
	s := focusSchema{FocusVersion: f.version, CreationDate: stamp(made)}
	var names strings.Builder
	for _, c := range f.columns {
		s.ColumnDefinition = append(s.ColumnDefinition, focusDefinition{c.name, focusType(c.name)})
		names.WriteString(c.name + "\n")
	}
	sum := sha256.Sum256([]byte(f.version + "\n" + names.String()))
	s.SchemaID = hex.EncodeToString(sum[:16])
	return s
}

// sectors returns one time sector for each period. Statements of several books may have the
// same period.
func sectors(made time.Time, complete bool, statements []Statement) []focusSector {
	var all []focusSector
	seen := map[string]bool{}
	for _, s := range statements {
		if seen[s.Period.String()] {
			continue
		}
		seen[s.Period.String()] = true
		all = append(all, focusSector{
			stamp(s.Period.Start), stamp(s.Period.End), stamp(made), complete && !s.Period.End.After(made),
		})
	}
	return all
}

// focusType returns the type of a column's values.
func focusType(name string) string {
	switch {
	case strings.HasSuffix(name, "Cost"), strings.HasSuffix(name, "Quantity"), strings.HasSuffix(name, "UnitPrice"), name == "x_Calls":
		return "DECIMAL"
	case strings.HasSuffix(name, "PeriodStart"), strings.HasSuffix(name, "PeriodEnd"):
		return "DATETIME"
	case name == "Tags", name == "SkuPriceDetails":
		return "JSON"
	}
	return "STRING"
}
