package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// countArrows returns the numbers of arrows and of pairs.
func (h *house) countArrows() (arrows, pairs int) {
	for from, to := range h.arrows {
		arrows += len(to)
		for t := range to {
			if h.arrows[t][from] && from < t {
				pairs++
			}
		}
	}
	return arrows, pairs
}

// explain prints each arrow with the names that cause it. Arrows that belong to a pair are
// marked.
func (h *house) explain(w io.Writer) {
	for _, arrow := range slices.Sorted(maps.Keys(h.why)) {
		from, to, _ := strings.Cut(arrow, " → ")
		mark := " "
		if h.arrows[to][from] {
			mark = "⇄"
		}
		fmt.Fprintf(w, "%s %s: %s\n", mark, arrow, strings.Join(slices.Sorted(maps.Keys(h.why[arrow])), " "))
	}
	fmt.Fprintf(w, "largest circle: %s\n", strings.Join(h.circle(), " "))
}

// circle returns the largest strongly connected component of the graph of arrows. It first
// computes the files that each file reaches; this is fast enough for the size of packages.
func (h *house) circle() []string {
	reach := map[string]map[string]bool{}
	for f := range h.lines {
		seen := map[string]bool{}
		for todo := []string{f}; len(todo) > 0; {
			next := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			for t := range h.arrows[next] {
				if !seen[t] {
					seen[t] = true
					todo = append(todo, t)
				}
			}
		}
		reach[f] = seen
	}
	var most []string
	for f := range h.lines {
		var own []string
		for t := range reach[f] {
			if reach[t][f] {
				own = append(own, t)
			}
		}
		if len(own) > len(most) {
			most = own
		}
	}
	slices.Sort(most)
	return most
}

// longest returns the longest file.
func (h *house) longest() (name string, lines int) {
	for _, f := range slices.Sorted(maps.Keys(h.lines)) {
		if h.lines[f] > lines {
			name, lines = f, h.lines[f]
		}
	}
	return name, lines
}

// share returns the percentage of comment lines among the lines that are not empty.
func (h *house) share() int { return 100 * h.comments / max(1, h.code+h.comments) }

// percentile returns a percentile of the lengths of functions.
func percentile(fs []function, p int) int {
	if len(fs) == 0 {
		return 0
	}
	lines := make([]int, len(fs))
	for i, f := range fs {
		lines[i] = f.lines
	}
	slices.Sort(lines)
	return lines[(len(lines)-1)*p/100]
}

// people counts the words for people in the comments of a repository.
type people struct {
	comments int // lines of comments
	words    int
	where    []string // file:line: the line
}

func (p *people) rate() float64 { return 100 * float64(p.words) / float64(max(1, p.comments)) }

// aPerson matches words for a person. Usually the comment should name a goroutine, a caller,
// a lock or a case instead.
var aPerson = regexp.MustCompile(`(?i)\b(whoever|whom|nobody|somebody|he|him|his)\b`)

// readComments reads the comments of all Go files that git tracks.
func readComments(root string) (people, error) {
	out, err := exec.Command("git", "-C", root, "ls-files", "-z", "*.go").Output()
	if err != nil {
		return people{}, fmt.Errorf("git ls-files: %w", err)
	}
	var p people
	for name := range strings.SplitSeq(strings.Trim(string(out), "\x00"), "\x00") {
		src, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return people{}, err
		}
		p.read(name, src)
	}
	return p, nil
}

func (p *people) read(name string, src []byte) {
	block := false
	for i, line := range bytes.Split(src, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if !block && !strings.HasPrefix(text, "//") && !strings.HasPrefix(text, "/*") {
			continue
		}
		block = (block || strings.HasPrefix(text, "/*")) && !strings.Contains(text, "*/")
		p.comments++
		if n := len(aPerson.FindAllString(text, -1)); n > 0 {
			p.words += n
			p.where = append(p.where, fmt.Sprintf("%s:%d: %s", name, i+1, text))
		}
	}
}

// report prints a line for each package.
func report(w io.Writer, hs []*house, p people) {
	fmt.Fprintf(w, "%-45s %5s %6s %6s %5s %6s  %-18s %s\n",
		"package", "files", "lines", "arrows", "pairs", "circle", "functions", "comments; longest file")
	var all []function
	for _, h := range hs {
		arrows, pairs := h.countArrows()
		name, longest := h.longest()
		all = append(all, h.functions...)
		fmt.Fprintf(w, "%-45s %5d %6d %6d %5d %6d  %-18s %d %%; %s %d\n",
			strings.TrimPrefix(h.path, "github.com/inproc/"), len(h.lines), h.code+h.comments, arrows, pairs, len(h.circle()),
			spread(h.functions), h.share(), name, longest)
	}
	fmt.Fprintf(w, "\nfunctions, p50/p90/longest: %s\nwords for people in 100 comment lines: %.2f (%d in %d)\n",
		spread(all), p.rate(), p.words, p.comments)
}

func spread(fs []function) string {
	return fmt.Sprintf("%d/%d/%d", percentile(fs, 50), percentile(fs, 90), percentile(fs, 100))
}

// excess returns a line for each measure that is over its bound. mostPairs has the bounds of
// pairs, by package.
func excess(hs []*house, p people, mostPairs map[string]int) (found []string) {
	var all []function
	for _, h := range hs {
		all = append(all, h.functions...)
		for _, name := range slices.Sorted(maps.Keys(h.lines)) {
			if n := h.lines[name]; n > maxFile {
				found = append(found, fmt.Sprintf("%s/%s has %d lines, at most %d are meant", h.path, name, n, maxFile))
			}
		}
		if c := h.circle(); len(c) > maxCircle {
			found = append(found, fmt.Sprintf("%s: %d files need each other, at most %d are meant: %s", h.path, len(c), maxCircle, strings.Join(c, " ")))
		}
	}
	for _, h := range hs {
		if most, bounded := mostPairs[h.path]; bounded {
			if _, pairs := h.countArrows(); pairs > most {
				found = append(found, fmt.Sprintf("%s: %d pairs of files need each other, at most %d are meant; -why %s marks them", h.path, pairs, most, h.path))
			}
		}
	}
	if n := percentile(all, 90); n > maxP90 {
		found = append(found, fmt.Sprintf("a tenth of the functions has more than %d lines, %d are meant", n, maxP90))
	}
	if p.rate() > maxPeople {
		found = append(found, fmt.Sprintf("comments speak of people %.2f times in 100 lines, at most %.1f are meant:", p.rate(), maxPeople))
		found = append(found, p.where...)
	}
	return found
}
