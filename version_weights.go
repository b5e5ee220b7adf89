package faas

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/inproc/faas/internal/traffic"
)

// Weights says how an alias divides its calls among versions of its function: version
// number → weight. 0 is the version without a number, $LATEST. The part of a version is
// its weight over the sum of all, so that {1: 9, 2: 1} and {1: 90, 2: 10} are the same.
// The weights are integers that are not negative, with any sum above 0. A version with
// weight 0 gets no calls; but the alias names it, so that it can't be removed.
type Weights map[int]int

// Alias is a name for versions of a function, as [Router.Aliases] describes it. It is a
// copy.
type Alias struct {
	Function    string
	Name        string // empty: it is what the function's name alone stands for
	Description string // see WithDescription
	Weights     Weights
	Sticky      bool      // see WithSticky
	Revision    uint64    // how often it has been set, see IfRevision
	Changed     time.Time // when it was set last
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

// versionName is how records name the version of that number.
func versionName(n int) string {
	if n == 0 {
		return versionLatest
	}
	return strconv.Itoa(n)
}

// fault says what is wrong with the weights by themselves, or is empty.
func (w Weights) fault() string {
	most := 0
	for n, weight := range w {
		if weight < 0 {
			return "version " + versionName(n) + " has the weight " + strconv.Itoa(weight) + "; it can't be negative"
		}
		most = max(most, weight)
	}
	if most == 0 {
		return "no version has a positive weight; to end an alias, RemoveAlias"
	}
	return ""
}

// shares are the versions that get calls, by number.
func (w Weights) shares() (all []traffic.Share) {
	for _, n := range slices.Sorted(maps.Keys(w)) {
		if w[n] > 0 {
			all = append(all, traffic.Share{Version: n, Weight: uint64(w[n])})
		}
	}
	return all
}
