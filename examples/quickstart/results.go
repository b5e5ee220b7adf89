package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/examples/thumbs"
)

// results has what the calls returned: one thumbnail or summary for each file, even if the file was used several
// times.
type results struct {
	mu         sync.Mutex
	thumbnails map[string]thumbs.Thumbnail
	summaries  map[string]summary
	failures   map[string]error
	refused    int // calls that came after Shutdown
}

func newResults() *results {
	return &results{
		thumbnails: make(map[string]thumbs.Thumbnail),
		summaries:  make(map[string]summary),
		failures:   make(map[string]error),
	}
}

func (r *results) thumbnail(f file, t thumbs.Thumbnail, err error) {
	if err != nil {
		r.fail(f, err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.thumbnails[f.name] = t
}

func (r *results) summary(f file, s summary, err error) {
	if err != nil {
		r.fail(f, err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.summaries[f.name] = s
}

// fail stores the error of a file. It only counts a refused call, because a refusal is not about the file.
func (r *results) fail(f file, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(err, faas.ErrClosed) {
		r.refused++
		return
	}
	r.failures[f.name] = err
}

func (r *results) print(w io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(w, "\nMade %s and %s.\n", plural(len(r.thumbnails), "thumbnail"), plural(len(r.summaries), "word list"))
	if longest, ok := r.longest(); ok {
		fmt.Fprintf(w, "The longest text, %s, says %s.\n", longest, r.summaries[longest])
	}
	if r.refused > 0 {
		fmt.Fprintf(w, "Refused %s that came after the end.\n", plural(r.refused, "call"))
	}
	if len(r.failures) == 0 {
		return
	}
	fmt.Fprintf(w, "Calls with %s failed, and nothing else did:\n", plural(len(r.failures), "file"))
	for _, name := range slices.Sorted(maps.Keys(r.failures)) {
		fmt.Fprintf(w, "  %s: %v\n", name, r.failures[name])
	}
}

func (r *results) longest() (name string, ok bool) {
	for n, s := range r.summaries {
		if s.Words > r.summaries[name].Words || s.Words == r.summaries[name].Words && n < name {
			name = n
		}
	}
	return name, r.summaries[name].Words > 0
}

// String reads like "the" 10000×, "of" 5000×.
func (s summary) String() string {
	var top []string
	for _, c := range s.Top {
		top = append(top, fmt.Sprintf("%q %d×", c.Word, c.N))
	}
	return strings.Join(top, ", ")
}

// write writes the thumbnails into a directory. Each has the name of its picture with another ending.
func (r *results) write(stdout io.Writer, dir string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, t := range r.thumbnails {
		path := filepath.Join(dir, filepath.FromSlash(name)+".thumb.jpeg")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, t.JPEG, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "The thumbnails are in %s.\n", dir)
	return nil
}

// printSpeed prints how long the hosted calls took. If they and the plain loop were both completed, it compares
// them.
func printSpeed(w io.Writer, hosted time.Duration, alone timing, rounds int, interrupted bool) {
	if interrupted {
		fmt.Fprintf(w, "\nInterrupted after %s; what had begun was finished.\n", seconds(hosted))
		return
	}
	fmt.Fprintf(w, "\nHosted:         %s\n", seconds(hosted))
	if alone.took == 0 {
		fmt.Fprintln(w, "One at a time:  interrupted")
		return
	}
	full := alone.took * time.Duration(rounds) / time.Duration(alone.rounds)
	how := "measured"
	if alone.rounds < rounds {
		how = fmt.Sprintf("extrapolated from %d of the %d rounds, which took %s", alone.rounds, rounds, seconds(alone.took))
	}
	fmt.Fprintf(w, "One at a time:  %s in a plain loop (%s)\n", seconds(full), how)
	if full >= hosted { // with one core the loop may be faster
		fmt.Fprintf(w, "Speed-up:       %.1f\n", full.Seconds()/hosted.Seconds())
	}
}

// printHosting prints the cost of hosting a call, and compares it with the mean run.
func printHosting(w io.Writer, each, run time.Duration) {
	fmt.Fprintf(w, "Hosting costs:  %.2f µs a call that does nothing, %.3f %% of the mean run here\n",
		float64(each)/float64(time.Microsecond), 100*float64(each)/float64(run))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
