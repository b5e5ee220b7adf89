package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/inproc/faas/bench/measure"
	"github.com/inproc/faas/bench/peers"
)

// TestMain makes the test binary act as the child process: the command starts its own
// executable as the child, which in a test is the test binary.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-child" {
		if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestCommand runs everything for as short a time as possible, and checks the form of
// the output: the figures mean nothing here.
//
//nolint:paralleltest // changes GOMAXPROCS
func TestCommand(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{"-quick", "-runs", "1", "-benchtime", "1ms", "-waiting", "100"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, p := range peers.All {
		if !strings.Contains(text, "| "+p.Name+" | "+string(p.Class)+" |") {
			t.Errorf("no row for %s", p.Name)
		}
	}
	for _, title := range []string{"CPU per call: add", "Targets", "Latency", "How late", "Memory held"} {
		if !strings.Contains(text, "\n## "+title) {
			t.Errorf("no table %q", title)
		}
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error("a figure was not measured:\n" + text)
	}
	checkColumns(t, text)
}

// checkColumns checks that all lines of a table have the same number of fields.
func checkColumns(t *testing.T, text string) {
	t.Helper()
	want := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			want = 0
			continue
		}
		if got := strings.Count(line, "|"); want == 0 {
			want = got
		} else if got != want {
			t.Errorf("%d bars instead of %d in %q", got, want, line)
		}
	}
}

func TestBadFlags(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-runs", "0"},
		{"-benchtime", "0s"},
		{"-waiting", "0"},
		{"-child", "waiting"},
		{"-child", "waiting,x,faas"},
		{"-child", "waiting,0,faas"},
		{"-child", "other,1,faas"},
		{"-child", "waiting,1,nobody"},
	} {
		if err := run(args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}

func TestHeldCaseRoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range heldCases(7) {
		if got, err := parseHeldCase(c.String()); err != nil || got != c {
			t.Errorf("%v became %v, %v", c, got, err)
		}
	}
}

// The measured size must be plausible: two goroutines have two stacks of at least 2 KiB each.
func TestHeldInChild(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		held                        heldCase
		goroutines, atLeast, atMost float64
	}{
		{heldCase{waiting, peers.GoTimeout, 2000}, 2, 4 << 10, 64 << 10},
		{heldCase{heeding, peers.FaasTyped, 2000}, 2, 4 << 10, 64 << 10},
		{heldCase{idle, peers.FaasTyped, 2000}, 0, 64, 16 << 10},
	} {
		h, err := c.held.measureInChild()
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(h.Goroutines-c.goroutines) > 0.1 || h.Bytes < c.atLeast || h.Bytes > c.atMost {
			t.Errorf("%s holds %+v", c.held, h)
		}
	}
}

func TestSeries(t *testing.T) {
	t.Parallel()
	// If both sides are slower in a run, their ratio stays the same.
	a, b := series{1, 2, 30}, series{2, 4, 60}
	if got := a.over(b).median(); got != .5 {
		t.Errorf("ratio %v, want 0.5", got)
	}
	if got := a.plus(b).median(); got != 6 {
		t.Errorf("sum %v, want 6", got)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		got  target
		want string
	}{
		{ratioAtMost("", series{.3}, .3, ""), "yes"},
		{ratioAtMost("", series{.3001}, .3, ""), "**no**"},
		{ratioAtMost("", nil, .3, ""), "**no**"}, // the ratio is NaN, which is within no bound
		{countAtMost("", series{1.04}, 1, ""), "yes"},
		{countAtMost("", series{1.06}, 1, ""), "**no**"},
		{countAtMost("", series{0.0001}, 0, ""), "yes"},
		{target{skipped: "why"}, "why"},
	} {
		if v := c.got.verdict(); v != c.want {
			t.Errorf("%+v: %s, want %s", c.got, v, c.want)
		}
	}
}

// TestTargetsOfKnownFigures computes the targets of made-up measurements.
func TestTargetsOfKnownFigures(t *testing.T) {
	t.Parallel()
	res := newResults()
	put := func(peer string, cpu, bytes, allocs float64) {
		for _, m := range measure.Modes {
			res.rates[cell{"add", m.Name, peer}] = []measure.Rate{{CPU: cpu, Bytes: bytes, Allocs: allocs}}
		}
	}
	put(peers.AntsObvious, 2000, 600, 10)
	put(peers.GoChan, 500, 100, 2)
	put(peers.JSON, 500, 200, 6)
	put(peers.FaasTyped, 500, 100, 1)  // 0.25 and 1.0
	put(peers.FaasCancel, 800, 200, 3) // 0.40: misses
	put(peers.FaasInline, 100, 50, 0)  // 0.05
	put(peers.FaasBytes, 1100, 300, 9) // 1.1
	want := []string{"0.250", "1.000", "1.0", "100.0", "0.400", "3.0", "0.050", "0.0", "1.100"}
	for i, got := range res.callTargets(first()) {
		if got.measured != want[i] {
			t.Errorf("%s: %s, want %s", got.what, got.measured, want[i])
		}
		if wantHolds := i != 4; got.holds != wantHolds {
			t.Errorf("%s holds: %v", got.what, got.holds)
		}
	}
}

func TestGainTarget(t *testing.T) {
	t.Parallel()
	res := newResults()
	if got := res.gainTarget("add").verdict(); got != "needs 2 processors" {
		t.Errorf("without a measurement: %q", got)
	}
	res.gain[cell{work: "add", peer: peers.Direct}] = []gain{{100, 195}}
	res.gain[cell{work: "add", peer: peers.GoChan}] = []gain{{100, 200}}
	res.gain[cell{work: "add", peer: peers.FaasTyped}] = []gain{{50, 95}}
	if got := res.gainTarget("add"); !got.holds || got.measured != "0.950" {
		t.Errorf("1.9 against 2: %+v", got)
	}
	res.gain[cell{work: "add", peer: peers.Direct}] = []gain{{100, 120}}
	if got := res.gainTarget("add").verdict(); got != "machine busy: bare calls gain 1.20" {
		t.Errorf("on a busy machine: %q", got)
	}
}
