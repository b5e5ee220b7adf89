package sim_test

import (
	"cmp"
	"encoding/csv"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas"
	"github.com/inproc/faas/sim"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

var (
	seed      = flag.Uint64("sim.seed", 1, "of the traffic")
	functions = flag.Int("sim.functions", 40, "how many there are")
	length    = flag.Duration("sim.length", 10*time.Minute, "of the traffic")
	out       = flag.String("sim.out", "", "the `directory` for policies.svg, policies.csv and timeline.csv; empty: nothing is written")
)

// overlapping has two calls of each of the functions f and g: the second call of f arrives while
// the first one runs, the second call of g after the first one has ended.
func overlapping() sim.Workload {
	return sim.Workload{
		Calls: []sim.Call{
			{At: time.Second, Function: "f", Duration: 4 * time.Second},
			{At: 2 * time.Second, Function: "f", Duration: 4 * time.Second},
			{At: time.Second, Function: "g", Duration: time.Second},
			{At: 8 * time.Second, Function: "g", Duration: time.Second},
		},
		Length:    10 * time.Second,
		ColdStart: time.Second,
	}
}

//nolint:paralleltest // a bubble is none for parallel subtests
func TestAReportIsWhatOneWorksOutByHand(t *testing.T) {
	one := sim.Policy{Name: "one instance each", Options: func(_ string, peak int) []faas.FunctionOption {
		return []faas.FunctionOption{faas.WithScaler(faas.FixedScaler{N: 1}), faas.WithMinInstances(1)}
	}}
	never := sim.Scaled("kept", faas.LambdaScaler{})
	r := sim.Run(t, overlapping(), sim.Fixed(), one, never)
	require.Len(t, r.Results, 3)
	assert.Equal(t, 2, r.Functions)
	assert.Equal(t, 4, r.Calls)

	fixed := r.Results[0]
	assert.Equal(t, 30*time.Second, fixed.Held, "two for f and one for g")
	assert.Equal(t, 10*time.Second, fixed.Used)
	assert.Zero(t, fixed.Longest)
	assert.Zero(t, fixed.Cold)
	assert.Empty(t, fixed.Decisions, "what is there at the beginning was not decided in its time")

	short := r.Results[1]
	assert.Equal(t, 20*time.Second, short.Held)
	assert.Equal(t, 3*time.Second, short.Longest, "the second of f waits for the first")
	assert.Equal(t, 3*time.Second, short.P99)
	assert.Zero(t, short.P50)

	kept := r.Results[2]
	assert.Equal(t, 26*time.Second, kept.Held, "from 1 s, 2 s and 1 s to the end")
	assert.Equal(t, 3, kept.Cold)
	assert.Equal(t, time.Second, kept.Longest)
	assert.Equal(t, time.Second, kept.P50, "three of four")
	assert.Len(t, kept.Decisions, 3)
	assert.Equal(t, sim.Decision{At: 2 * time.Second, Function: "f", From: 1, To: 2, Rule: "arrival"}, kept.Decisions[2])
	at := kept.Timeline[len(kept.Timeline)*25/100] // 2.5 s
	assert.Equal(t, sim.Point{At: at.At, Running: 2, Waiting: 1, Instances: 3}, at)

	assert.True(t, r.OnFront("fixed"))
	assert.True(t, r.OnFront("one instance each"))
	assert.True(t, r.OnFront("kept"), "it holds more than one and less than fixed, and waits between them")
	assert.False(t, r.OnFront("another"))
}

//nolint:paralleltest // bubbles
func TestNothingIsCountedAfterTheLength(t *testing.T) {
	w := overlapping()
	w.Length = 4 * time.Second // both calls of f run longer, and the second call of g is not made
	r := sim.Run(t, w, sim.Fixed())
	assert.Equal(t, 3, r.Calls)
	assert.Equal(t, 3, r.Results[0].Calls)
	assert.Equal(t, 12*time.Second, r.Results[0].Held)
	assert.Equal(t, 6*time.Second, r.Results[0].Used, "3 and 2 for f, 1 for g")
}

//nolint:paralleltest // bubbles
func TestAYearIsNotTooLong(t *testing.T) {
	const year = 366 * 24 * time.Hour
	w := sim.Workload{Calls: []sim.Call{{Function: "f", Duration: time.Second}}, Length: year}
	x := sim.Run(t, w, sim.Default()).Results[0]
	assert.Equal(t, year, x.Timeline[len(x.Timeline)-1].At)
	assert.True(t, slices.IsSortedFunc(x.Timeline, func(a, b sim.Point) int { return cmp.Compare(a.At, b.At) }))
	assert.Equal(t, time.Second, x.Used)
}

// The test runs itself in another process, where it may fail.
//
//nolint:paralleltest // bubbles
func TestAPolicyThatFailsEndsTheRun(t *testing.T) {
	if os.Getenv("SIM_FAILS") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAPolicyThatFailsEndsTheRun$") // this very program
		cmd.Env = append(os.Environ(), "SIM_FAILS=1")
		said, err := cmd.CombinedOutput()
		require.Error(t, err)
		assert.Contains(t, string(said), "the report has 1 of 3")
		return
	}
	tight := sim.Policy{Name: "too short a time-out", Options: func(string, int) []faas.FunctionOption {
		return []faas.FunctionOption{faas.WithTimeout(time.Second)}
	}}
	r := sim.Run(t, overlapping(), sim.Policy{Name: "as a router does"}, tight, sim.Fixed())
	t.Logf("the report has %d of 3", len(r.Results))
}

func TestTwoPoliciesOfOneNameAreRefused(t *testing.T) {
	t.Parallel()
	require.NoError(t, sim.Differ(sim.Policies()))
	require.ErrorContains(t, sim.Differ([]sim.Policy{sim.Default(), sim.Fixed(), sim.Default()}), `"faas"`)
}

// A user's test may look like this.
//
//nolint:paralleltest // bubbles
func TestWhichPolicyOfOnesOwnForATraceOfOnesOwn(t *testing.T) {
	file, err := os.Open("testdata/tuesday.csv")
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	w, err := sim.ReadTrace(file)
	require.NoError(t, err)
	w.ColdStart = 300 * time.Millisecond
	report := sim.Run(t, w, sim.Default(), sim.Scaled("eager", faas.ConcurrencyScaler{Utilization: 0.2}))
	t.Log(report)
	thrifty, eager := report.Results[0], report.Results[1]
	assert.Greater(t, eager.Held, thrifty.Held)
	assert.Less(t, eager.Cold, thrifty.Cold)
}

func TestThePoliciesThatNoOtherBeatsAreOnTheFront(t *testing.T) {
	t.Parallel()
	of := func(name string, held, p99 time.Duration) sim.Result {
		return sim.Result{Policy: name, Held: held, P99: p99}
	}
	r := sim.Report{Results: []sim.Result{
		of("cheap", 1, 9), of("quick", 9, 1), of("beaten in one", 9, 2), of("beaten in both", 10, 10), of("between", 5, 5), of("its equal", 5, 5),
	}}
	for name, on := range map[string]bool{
		"cheap": true, "quick": true, "beaten in one": false, "beaten in both": false, "between": true, "its equal": true,
	} {
		assert.Equal(t, on, r.OnFront(name), name)
	}
}

//nolint:paralleltest // bubbles
func TestTheSameTrafficGivesTheSameReport(t *testing.T) {
	w := sim.Azure(3, 20, 5*time.Minute)
	require.Equal(t, w, sim.Azure(3, 20, 5*time.Minute))
	require.NotEqual(t, w, sim.Azure(4, 20, 5*time.Minute))
	one, two := sim.Run(t, w, sim.Default()), sim.Run(t, w, sim.Default())
	require.Equal(t, one, two)
}

// The documentation claims this.
func TestTheDefaultIsOnTheFrontForTwentySeeds(t *testing.T) {
	t.Parallel()
	seeds := uint64(seeds)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			r := sim.Run(t, sim.Azure(seed, 200, time.Hour), sim.Policies()...)
			assert.True(t, r.OnFront("faas"), "%s", r)
			knative, ours := r.Results[1], r.Results[3]
			assert.Less(t, ours.Held, knative.Held, "%s", r)
			assert.Less(t, ours.P99, knative.P99, "%s", r)
		})
	}
}

//nolint:paralleltest // bubbles
func TestAReportIsWrittenAsTablesAndADrawing(t *testing.T) {
	r := sim.Run(t, overlapping(), sim.Fixed(), sim.Default())
	var table, timeline, svg strings.Builder
	require.NoError(t, r.WriteCSV(&table))
	rows, err := csv.NewReader(strings.NewReader(table.String())).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 3)
	assert.Equal(t, []string{"fixed", "4", "0", "0", "0", "0", "30", "10", "0", "true"}, rows[1])

	require.NoError(t, r.WriteTimeline(&timeline))
	rows, err = csv.NewReader(strings.NewReader(timeline.String())).ReadAll()
	require.NoError(t, err)
	assert.Len(t, rows, 1+2*361)
	assert.Equal(t, []string{"fixed", "10", "0", "0", "3"}, rows[361])

	require.NoError(t, r.WriteSVG(&svg))
	require.NoError(t, xml.Unmarshal([]byte(svg.String()), new(struct{})))
	for _, s := range []string{"faas: ", "fixed: ", "decisions", "slot-seconds held"} {
		assert.Contains(t, svg.String(), s)
	}
	assert.Contains(t, r.String(), "on the front")
	require.NoError(t, sim.Report{}.WriteSVG(io.Discard), "nothing to draw is drawn")
}

func TestNamesOfEqualPoliciesDoNotLieOnEachOther(t *testing.T) {
	t.Parallel()
	r := sim.Report{Results: []sim.Result{{Policy: "far", Held: 9 * time.Hour}}}
	for _, name := range []string{"one", "two", "three", "four"} {
		r.Results = append(r.Results, sim.Result{Policy: name, Held: 5 * time.Hour, P99: time.Second, Timeline: []sim.Point{{}, {At: 1}}})
	}
	r.Results[0].Timeline = r.Results[1].Timeline
	var svg strings.Builder
	require.NoError(t, r.WriteSVG(&svg))
	texts := regexp.MustCompile(`(?s)<text x="([\d.]+)" y="(-?[\d.]+)"[^>]*>(one|two|three|four)<`).FindAllStringSubmatch(svg.String(), -1)
	require.Len(t, texts, 4)
	for i, a := range texts {
		for _, b := range texts[:i] {
			assert.Greater(t, max(math.Abs(number(t, a[1])-number(t, b[1]))/2, math.Abs(number(t, a[2])-number(t, b[2]))), 9., "%s, %s", a[3], b[3])
		}
	}
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	return f
}

// TestAzureShapedTraffic is what make sim runs, for an hour of 200 functions.
//
//nolint:paralleltest // its log is its progress
func TestAzureShapedTraffic(t *testing.T) {
	report := sim.Run(t, sim.Azure(*seed, *functions, *length), sim.Policies()...)
	t.Logf("\n%s", report)
	assert.True(t, report.OnFront("faas"))
	if *out == "" {
		return
	}
	for name, write := range map[string]func(io.Writer) error{
		"policies.svg": report.WriteSVG, "policies.csv": report.WriteCSV, "timeline.csv": report.WriteTimeline,
	} {
		require.NoError(t, os.MkdirAll(*out, 0o750))
		f, err := os.Create(filepath.Join(*out, name))
		require.NoError(t, err)
		require.NoError(t, write(f))
		require.NoError(t, f.Close())
	}
}
