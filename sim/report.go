package sim

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is how policies did with one workload.
type Report struct {
	Functions, Calls int
	Length           time.Duration
	Results          []Result // in the order of the policies
}

// Result is how one did.
type Result struct {
	Policy string
	Calls  int // that were served
	Cold   int // that waited for an instance to be made

	// From a call's arrival to its handler's start.
	P50, P99, Longest time.Duration

	Held time.Duration // slot-seconds: the time of all instances, from the beginning of their init to their close
	Used time.Duration // slot-seconds: what handlers took of it

	Decisions []Decision
	Timeline  []Point
}

// Decision is a change of scale.
type Decision struct {
	At       time.Duration
	Function string
	From, To int
	Rule     string
}

// Point is a moment.
type Point struct {
	At               time.Duration
	Running, Waiting int // calls
	Instances        int
}

// OnFront tells whether no other policy holds as little and has calls wait as
// little at the 99th percentile, one of both being less. It is false for a policy
// that is not in the report.
func (r Report) OnFront(policy string) bool {
	found := false
	for _, mine := range r.Results {
		if mine.Policy != policy {
			continue
		}
		found = true
		for _, x := range r.Results {
			if x.Held <= mine.Held && x.P99 <= mine.P99 && (x.Held < mine.Held || x.P99 < mine.P99) {
				return false
			}
		}
	}
	return found
}

// String is a table of the policies.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d calls of %d functions in %v\n", r.Calls, r.Functions, r.Length)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "policy\theld, slot-s\tused\tp50 wait\tp99\tlongest\tcold\tdecisions\ton the front\t")
	for _, x := range r.Results {
		share := 0.0
		if x.Held > 0 {
			share = 100 * x.Used.Seconds() / x.Held.Seconds()
		}
		front := ""
		if r.OnFront(x.Policy) {
			front = "yes"
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f %%\t%v\t%v\t%v\t%d\t%d\t%s\t\n", x.Policy, x.Held.Seconds(), share,
			round(x.P50), round(x.P99), round(x.Longest), x.Cold, len(x.Decisions), front)
	}
	_ = w.Flush() // to a builder
	return b.String()
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// WriteCSV writes a line for each policy.
func (r Report) WriteCSV(to io.Writer) error {
	rows := [][]string{{"policy", "calls", "cold", "p50_s", "p99_s", "longest_s", "held_slot_s", "used_slot_s", "decisions", "on_front"}}
	for _, x := range r.Results {
		rows = append(rows, []string{
			x.Policy, strconv.Itoa(x.Calls), strconv.Itoa(x.Cold), seconds(x.P50), seconds(x.P99), seconds(x.Longest),
			seconds(x.Held), seconds(x.Used), strconv.Itoa(len(x.Decisions)), strconv.FormatBool(r.OnFront(x.Policy)),
		})
	}
	return csv.NewWriter(to).WriteAll(rows)
}

// WriteTimeline writes as CSV, for each policy, how many calls ran and waited and how
// many instances there were, at 361 moments.
func (r Report) WriteTimeline(to io.Writer) error {
	rows := [][]string{{"policy", "at_s", "running", "waiting", "instances"}}
	for _, x := range r.Results {
		for _, p := range x.Timeline {
			rows = append(rows, []string{x.Policy, seconds(p.At), strconv.Itoa(p.Running), strconv.Itoa(p.Waiting), strconv.Itoa(p.Instances)})
		}
	}
	return csv.NewWriter(to).WriteAll(rows)
}
