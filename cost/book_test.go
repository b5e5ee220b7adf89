package cost_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/cost"
)

func TestPresetsSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	var names []string
	for _, b := range cost.Presets() {
		about := b.About()
		names = append(names, about.Name)
		assert.Contains(t, about.Note, "Third-party reading of 2026", about.Name)
		assert.Contains(t, about.Source, "https://", about.Name)
		assert.Regexp(t, `^2026(-\d\d-\d\d)?$`, about.Read, about.Name)
		assert.Regexp(t, `^202[56]-0[18]-01$`, about.Effective, about.Name)
		if len(about.Read) > len("2026") {
			assert.Contains(t, about.Source, "third-party reading of "+about.Read+", https://", about.Name)
		}
		assert.Equal(t, map[bool]string{true: "EUR", false: "USD"}[about.Provider == "Scaleway"], about.Currency, about.Name)
		assert.NotEmpty(t, about.Region, about.Name)
	}
	assert.Equal(t, []string{
		"aws-lambda-arm", "aws-lambda-x86", "azure-consumption", "azure-flex",
		"cloudflare-workers", "digitalocean-functions", "gcp-cloud-run", "scaleway-functions",
	}, names)
	assert.Equal(t, cost.Rounding{Granularity: time.Millisecond, Init: true}, preset(t, "aws-lambda-arm").Rounding())
	_, err := cost.Preset("lambda")
	require.ErrorContains(t, err, "aws-lambda-x86")
}

// lambda returns the text of a book, into which tests put mistakes.
func lambda(tb testing.TB) string {
	tb.Helper()
	data, err := os.ReadFile("books/aws-lambda-x86.json")
	require.NoError(tb, err)
	return string(data)
}

func TestMistakesInABookAreFoundWhereTheyStand(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, old, new, at, field, text string }{ // at is the text at the position of the mistake; if it is empty, new is
		{"a number", `"0.0000166667"`, `0.0000166667`, "", "prices[0].price", `write it as a string, "0.0000166667"`},
		{"an exponent", `"0.0000166667"`, `"1.66667e-5"`, "", "prices[0].price", "write a decimal"},
		{"negative", `"0.20"`, `"-0.20"`, "", "prices[1].price", "not negative"},
		{"unknown field", `"source"`, `"sauce"`, "", "sauce", "no such field"},
		{"missing field", `"region": "us-east-1",`, ``, `{`, "region", "is missing"},
		{"twice", `"region"`, `"title"`, `"title": "us-east-1"`, "title", "is there twice"},
		{"empty", `"us-east-1"`, `""`, "", "region", "not empty"},
		{"null", `"us-east-1"`, `null`, "", "region", "write a string"},
		{"currency", `"USD"`, `"US D"`, "", "currency", "currency code"},
		{"date", `"2025-08-01"`, `"January"`, "", "effective", "year-month-day"},
		{"no granularity", `"1ms"`, `"0s"`, "", "duration.granularity", "more than zero"},
		{"duration", `"1ms"`, `"1 ms"`, "", "duration.granularity", "write a duration"},
		{"minimum", `"init": true`, `"minimum": "1500us"`, `"1500us"`, "duration.minimum", "multiple of the granularity"},
		{"flag", `true`, `"yes"`, "", "duration.init", "true or false"},
		{"size", `"128MiB"`, `"128 MiB"`, "", "memory.minimum", "write a size"},
		{"huge size", `"128MiB"`, `"99999999999GiB"`, "", "memory.minimum", "write a size"},
		{"step", `"1MiB"`, `"0B"`, "", "memory.step", "more than zero"},
		{"maximum", `"10240MiB"`, `"1MiB"`, `"1MiB"},`, "memory.maximum", "less than the minimum"},
		{"sizes too", `"step": "1MiB"`, `"sizes": ["1MiB"]`, `{"minimum"`, "memory", "leave those out"},
		{"meter", `"meter": "memory"`, `"meter": "disk"`, `"disk"`, "prices[0].meter", `"memory", "cpu" or "requests"`},
		{"meter twice", `"requests", "unit": "1000000 requests"`, `"memory", "unit": "GB-s"`, `"memory", "unit": "GB-s", "price": "0.20"`, "prices[1].meter", "has a price already"},
		{"unit", `"GB-s"`, `"GB"`, "", "prices[0].unit", "times s, min or h"},
		{"unit of another", `"GB-s"`, `"vCPU-s"`, "", "prices[0].unit", "measured in GB or GiB"},
		{"requests", `"1000000 requests"`, `"a million requests"`, "", "prices[1].unit", "a number of them"},
		{"a third", `"1000000 requests"`, `"3 requests"`, "", "prices[1].unit", "not a finite decimal"},
		{"hours", `"GB-s"`, `"GB-h"`, "", "prices[0].unit", "3.6us"},
		{"no gb", `"gb": "1024MiB",`, ``, `"GB-s"`, "prices[0].unit", "what its GB is"},
		{"free", `"400000"`, `"0.00000001"`, "", "prices[0].free", "whole number of billed units"},
		{"no object", `{"meter": "requests", "unit": "1000000 requests", "price": "0.20", "free": "1000000", "grant": "aws-lambda-requests"}`, `7`, "7\n", "prices[1]", "write an object"},
		{"list", `"prices": [`, `"prices": [], "x": [`, "[], ", "prices", "list"},
		{"not JSON", `"AWS Lambda, x86"`, `AWS Lambda`, "", "title", "not JSON"},
		{"more", "]\n}", "]\n} {}", "{}", "", "something follows"},
		{"not UTF-8", `AWS Lambda, x86`, "\xff", "", "", "not UTF-8"},
		{"characters of two bytes", `"title": "AWS Lambda, x86"`, `"title": "ΑΒΓ", "x": 1`, `"x"`, "x", "no such field"},
		{"deep", `"AWS Lambda, x86"`, `[[[[[[[["deepest"]]]]]]]]`, `"deepest"`, "title[0][0][0][0][0][0][0][0]", "nested too deeply"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, lambda(t), tt.old)
			text := strings.Replace(lambda(t), tt.old, tt.new, 1)
			at := tt.at
			if at == "" {
				at = tt.new
			}
			_, err := cost.ParseBook([]byte(text))
			require.Error(t, err)
			line, column := 1, 1
			for _, c := range text[:strings.Index(text, at)] {
				if column++; c == '\n' {
					line, column = line+1, 1
				}
			}
			for _, e := range mistakes(err) { // there may be others, as consequences of the first
				if e.Field == tt.field && strings.Contains(e.Text, tt.text) {
					assert.Equal(t, [2]int{line, column}, [2]int{e.Line, e.Column}, e)
					return
				}
			}
			t.Errorf("%s: %s is not in: %v", tt.field, tt.text, err)
		})
	}
}

func TestBookThatIsCutOffIsRefusedAtEveryByte(t *testing.T) {
	t.Parallel()
	text := strings.TrimSpace(lambda(t))
	for i := range text {
		_, err := cost.ParseBook([]byte(text[:i]))
		require.Error(t, err)
		checkMistakes(t, []byte(text[:i]), err)
	}
}

func mistakes(err error) []*cost.BookError {
	var all []*cost.BookError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			if found := (*cost.BookError)(nil); errors.As(e, &found) {
				all = append(all, found)
			}
		}
	}
	return all
}

func TestAllMistakesAreReportedAtOnceWithTheFile(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer(`"USD"`, `""`, `"0.20"`, `0.20`).Replace(lambda(t))
	file := filepath.Join(t.TempDir(), "book.json")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	_, err := cost.LoadBook(file)
	require.ErrorContains(t, err, file+":7:15: currency: ")
	require.ErrorContains(t, err, file+":17:64: prices[1].price: ")

	_, err = cost.LoadBook(filepath.Join(t.TempDir(), "none.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestCPUTableMistakes(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("books/gcp-cloud-run.json")
	require.NoError(t, err)
	for _, tt := range [][3]string{
		{`"256MiB"`, `"128MiB"`, "ascend"},
		{`"milli": 167`, `"milli": -1`, "must not be negative"},
		{`"milli": 167`, `"milli": 1.5`, "whole number"},
		{`"vCPU-s"`, `"GiB-s"`, "measured in vCPU"},
	} {
		_, err := cost.ParseBook([]byte(strings.Replace(string(data), tt[0], tt[1], 1)))
		require.ErrorContains(t, err, tt[2])
	}
	from := strings.Index(string(data), `  "cpu"`)
	to := strings.Index(string(data), `  "prices"`)
	_, err = cost.ParseBook(slices.Concat(data[:from], data[to:]))
	require.ErrorContains(t, err, `needs a table "cpu"`)
}

func TestMachineCostsItsHours(t *testing.T) {
	t.Parallel()
	b, err := cost.Machine(money(t, "0.04 USD"), money(t, "0.005 USD"))
	require.NoError(t, err)
	got, err := cost.NewRater(b).Call(call(time.Hour, 2048*mib))
	require.NoError(t, err)
	assert.Equal(t, "0.05 USD", got.String())

	for _, bad := range [][2]string{{"1/3 USD", "0"}, {"-1 USD", "0"}, {"0", "0"}, {"1 USD", "-1 USD"}} {
		_, err := cost.Machine(money(t, bad[0]), money(t, bad[1]))
		require.Error(t, err, bad)
	}
	_, err = cost.Machine(money(t, "1 USD"), money(t, "1 EUR"))
	require.ErrorIs(t, err, cost.ErrCurrency)
}

// FuzzBook checks that a book either is refused, with the position of each mistake, or prices
// any usage in finite decimals.
func FuzzBook(f *testing.F) {
	files, err := filepath.Glob("books/*.json")
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
	for _, text := range []string{``, `{`, `[]`, `{"prices":[{}]}`, `{"duration":{},"memory":{"sizes":[]},"cpu":[null]}`, `{"a":1,"a":2}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := cost.ParseBook(data)
		if err != nil {
			checkMistakes(t, data, err)
			return
		}
		usage := record([]*cost.Book{b}, call(1234567891, 300*mib), call(0, 0)).Usage(noon)
		s, err := cost.NewStatement(march(), b, usage)
		if err != nil {
			require.ErrorIs(t, err, cost.ErrUnrated)
			return
		}
		checkFOCUS(t, s)
	})
}

func checkMistakes(tb testing.TB, data []byte, err error) {
	tb.Helper()
	all := mistakes(err)
	require.NotEmpty(tb, all, "%v", err)
	lines := strings.Split(string(data), "\n")
	for _, e := range all {
		require.True(tb, e.Line >= 1 && e.Line <= len(lines), e)
		require.True(tb, e.Column >= 1 && e.Column <= len(lines[e.Line-1])+1, e)
		require.NotEmpty(tb, e.Text)
	}
}
