package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas/admin"
)

func TestCountsHaveCommasAndAllTheirDigits(t *testing.T) {
	t.Parallel()
	for n, want := range map[admin.Count]string{0: "0", 999: "999", 1000: "1,000", 123456: "123,456", math.MaxUint64: "18,446,744,073,709,551,615"} {
		assert.Equal(t, want, count(n))
	}
	assert.Equal(t, "-1,234", count(admin.Int(-1234)))
	assert.Equal(t, "-9,223,372,036,854,775,808", count(admin.Int(math.MinInt64)))
}

func TestNumbersHaveThreeDigitsAndNoExponent(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0", 0.0004: "<0.001", 0.00999: "0.010", 0.123: "0.12", 9.99: "9.99", 9.996: "10.0", 99.94: "99.9", 99.96: "100", 999.4: "999", 999.6: "1,000",
		1234567: "1,234,567", -12.34: "-12.3",
	} {
		assert.Equal(t, want, digits(v), "%v", v)
	}
	assert.Equal(t, "–", digits(math.NaN()))
	assert.Equal(t, "–", digits(math.Inf(1)))
}

func TestDurationsChooseTheirUnit(t *testing.T) {
	t.Parallel()
	for ns, want := range map[float64]string{
		0: "0", 1: "1.00 ns", 999: "999 ns", 1000: "1.00 µs", 72_400_000: "72.4 ms", 999.6e6: "1.00 s", 99e9: "99.0 s", 100e9: "1 m 40 s",
		11400e9: "3 h 10 m", 187200e9: "2 d 4 h",
	} {
		assert.Equal(t, want, duration(ns), "%v", ns)
	}
}

func TestMoneyShowsSmallAmounts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "–", "x": "–", "NaN": "–", "0": "0.00", "0.00002": "<0.0001", "0.00026": "0.00026", "0.0034": "0.0034", "0.0834": "0.083", "0.9949": "0.995",
		"0.996": "1.00", "12.345": "12.35", "999.999": "1,000.00", "1234567.891": "1,234,567.89", "-1234.5": "-1,234.50", "1e30": "1000000000000000019884624838656.00",
	} {
		assert.Equal(t, want, money(text), text)
	}
}

func TestSharesOfNothingAreNoNumber(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "–", percent(0, 0))
	assert.Equal(t, "13.3%", percent(66, 496))
	assert.Equal(t, "1.00 GiB", size(1<<30))
	assert.Equal(t, "0 B", size(0))
	assert.Equal(t, "1.95 KiB", size(2000))
}

func TestMomentsOfAnotherDayHaveTheirDate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 14, 0, 0, 0, time.UTC)
	assert.Equal(t, "13:59:58", moment(now.Add(-2*time.Second), now))
	assert.Equal(t, "14:00:02", moment(now.Add(2*time.Second), now), "the host's clock is ahead")
	assert.Equal(t, "11-28 14:00", moment(now.Add(-48*time.Hour), now))
	assert.Equal(t, "2024-11-30", moment(now.AddDate(-2, 0, 0), now))
	assert.Equal(t, "–", moment(time.Time{}, now))
	assert.Equal(t, "13:00:00", moment(time.Date(2026, 11, 30, 15, 0, 0, 0, time.FixedZone("", 7200)), now), "times are in UTC")
}

func TestPrintableTextHasNoControlCharacters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain – ünï 日本": "plain – ünï 日本", "a\nb\tc": `a\nb\tc`, "\x1b[31mred": `\x1b[31mred`, "\u202eevil": `\u202eevil`, "\u009b2J": `\u009b2J`, "bad\xff": "bad\ufffd",
	} {
		assert.Equal(t, want, printable(text))
	}
	assert.Equal(t, "a\n    b", lines("a\n\tb\n"))
}

func FuzzPrintableTextStaysInItsCell(f *testing.F) {
	f.Add("a\x1b]0;x\x07")
	f.Fuzz(func(t *testing.T, text string) {
		assert.False(t, strings.ContainsFunc(printable(text), unprintable))
		row := layOut([]column[string]{{title: "A", flex: true, text: func(s string) string { return s }}}, []string{text}, 20).lines([]string{text}, false)
		assert.NotContains(t, row[1], "\n")
	})
}

func TestWeightsReadLikeSharesOfCalls(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "8", weights(map[string]admin.Count{"8": 1}))
	assert.Equal(t, "$LATEST", weights(map[string]admin.Count{"0": 1}))
	assert.Equal(t, "7: 90, 8: 10", weights(map[string]admin.Count{"8": 10, "7": 90}))
	assert.Equal(t, "$LATEST: 1, 9: 2, 10: 3, 100: 4, next: 5", weights(map[string]admin.Count{"next": 5, "10": 3, "100": 4, "9": 2, "0": 1}))
	assert.Empty(t, weights(nil))
}

func TestWeightsAreReadFromArguments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		want map[string]admin.Count
	}{
		{"8", map[string]admin.Count{"8": 1}},
		{"latest", map[string]admin.Count{"0": 1}},
		{"$LATEST", map[string]admin.Count{"0": 1}},
		{"7=90 8=10%", map[string]admin.Count{"7": 90, "8": 10}},
	} {
		got, err := parseWeights(strings.Fields(c.args))
		assert.NoError(t, err, c.args)
		assert.Equal(t, c.want, got, c.args)
	}
	for _, args := range []string{"7 8", "7=x", "live", "7=1 7=2", "-1", "=", "7=-1"} {
		_, err := parseWeights(strings.Fields(args))
		assert.Error(t, err, args)
	}
}

func TestNamesThatDifferByASlipAreNear(t *testing.T) {
	t.Parallel()
	assert.True(t, isNear("resize", "reszie"))
	assert.True(t, isNear("resize", "res"))
	assert.False(t, isNear("resize", "mail"))
	assert.False(t, isNear("a", "b"))
	assert.False(t, isNear("resize", ""))
	assert.Equal(t, 3, distance([]rune("kitten"), []rune("sitting")))
}

func TestAttributesAreTheRestOfALine(t *testing.T) {
	t.Parallel()
	assert.Equal(t, `id=7 image="a b" big=9007199254740993 o={"x":1} empty=""`,
		attributes(`{"time":"t","level":"INFO","msg":"m","function":"f","tenant":"t","id":7,"image":"a b","big":9007199254740993,"o":{"x":1},"empty":"","stack":"s"}`, nil))
	assert.Empty(t, attributes("no JSON", nil))
	assert.Equal(t, "a=1", attributes(`{"a":1,"b"`, nil))
	assert.Equal(t, "run=19.976159ms n=3 wait=soon", attributes(`{"run":19976159,"n":3,"wait":"soon"}`, spans("call")))
	assert.Empty(t, spans("decoded"), "run may be any number of a handler's own")
}
