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

// Report is the result of one workload under several policies.
type Report struct {
	Functions, Calls int
	Length           time.Duration
	Results          []Result // in the order of the policies
}

// Result is the result under one policy.
type Result struct {
	Policy string
	Calls  int // calls that were served
	Cold   int // calls that waited for an instance to start

	// The wait of calls, from the arrival to the start of the handler.
	P50, P99, Longest time.Duration

	Held time.Duration // slot-seconds: the time of all instances, from the beginning of their init to their close
	Used time.Duration // slot-seconds: the part of Held in which handlers ran

	Decisions []Decision
	Timeline  []Point
}

// Decision is a change of the number of instances.
type Decision struct {
	At       time.Duration // since the beginning
	Function string
	From, To int
	Rule     string
}

// Point is the state at one time.
type Point struct {
	At               time.Duration // since the beginning
	Running, Waiting int           // calls
	Instances        int
}

// OnFront reports whether the policy is on the Pareto front: no other policy is better
// in Held or P99 and at least as good in the other. It is false for a policy that is
// not in the report.
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

// WriteCSV writes a heading and a line for each policy. It returns the errors of to.
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

// WriteTimeline writes the timelines as CSV: for each policy, at 361 times, the number of
// calls that run and wait and the number of instances. It returns the errors of to.
func (r Report) WriteTimeline(to io.Writer) error {
	rows := [][]string{{"policy", "at_s", "running", "waiting", "instances"}}
	for _, x := range r.Results {
		for _, p := range x.Timeline {
			rows = append(rows, []string{x.Policy, seconds(p.At), strconv.Itoa(p.Running), strconv.Itoa(p.Waiting), strconv.Itoa(p.Instances)})
		}
	}
	return csv.NewWriter(to).WriteAll(rows)
}
