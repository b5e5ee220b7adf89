package faas

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/inproc/faas/internal/traffic"
)

// Weights is how an alias divides its calls among versions of its function: version
// number → weight. The number 0 is the version without a number, $LATEST. A version's part is
// its weight divided by the sum of all weights, so {1: 9, 2: 1} and {1: 90, 2: 10} are the same.
// Weights are integers, not negative, and their sum is above 0. A version with weight 0 gets no
// calls, but the alias names it, so that it can't be removed.
type Weights map[int]int

// Alias is a name for versions of a function, as [Router.Aliases] describes it. It is a
// copy.
type Alias struct {
	Function    string
	Name        string // empty: the alias is what the function's name alone stands for
	Description string // see WithDescription
	Weights     Weights
	Sticky      bool      // see WithSticky
	Revision    uint64    // how often the alias has been set, see IfRevision
	Changed     time.Time // when the alias was set last
	By          string    // the author, see WithActor
}

// String returns the weights in the order of the versions, such as "1: 90, 2: 10".
func (w Weights) String() string {
	var parts []string
	for _, n := range slices.Sorted(maps.Keys(w)) {
		parts = append(parts, versionName(n)+": "+strconv.Itoa(w[n]))
	}
	return strings.Join(parts, ", ")
}

// versionName returns the name of a version in records: its number, or $LATEST.
func versionName(n int) string {
	if n == 0 {
		return versionLatest
	}
	return strconv.Itoa(n)
}

// fault describes what is wrong with the weights by themselves, or is empty.
func (w Weights) fault() string {
	most := 0
	for n, weight := range w {
		if weight < 0 {
			return "version " + versionName(n) + " has the weight " + strconv.Itoa(weight) + "; it can't be negative"
		}
		most = max(most, weight)
	}
	if most == 0 {
		return "no version has a positive weight; to end an alias, call RemoveAlias"
	}
	return ""
}

// shares returns the versions that get calls, by number.
func (w Weights) shares() (all []traffic.Share) {
	for _, n := range slices.Sorted(maps.Keys(w)) {
		if w[n] > 0 {
			all = append(all, traffic.Share{Version: n, Weight: uint64(w[n])})
		}
	}
	return all
}
