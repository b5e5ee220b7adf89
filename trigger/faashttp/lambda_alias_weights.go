package faashttp

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/inproc/faas"
)

// split is the weights of an alias in the API's form: a main version, and the parts of the
// calls that other versions get. The main version gets the rest. A request has at most one
// other version.
type split struct {
	version int // 0 is $LATEST
	others  map[int]float64
}

// weights returns integer weights. They add up to 100, or to 1,000 or 10,000 if a part has more
// decimals. For example, 0.1 is 10 of 100, and 0.125 is 125 of 1000. A part with more than four
// decimals is rounded.
func (s split) weights() faas.Weights {
	scale := 100
	for _, part := range s.others {
		for scale < 10_000 && !isWhole(part*float64(scale)) {
			scale *= 10
		}
	}
	w := faas.Weights{s.version: scale}
	for version, part := range s.others {
		w[version] = int(math.Round(part * float64(scale)))
		w[s.version] -= w[version]
	}
	return w
}

// isWhole reports whether x is an integer. The tolerance covers the error of converting a
// decimal fraction to float64 and multiplying it.
func isWhole(x float64) bool { return math.Abs(x-math.Round(x)) < 1e-9 }

// splitOf returns the split of an alias whose main version is version.
func splitOf(w faas.Weights, version int) split {
	sum := 0.0 // a float64, because the sum of the integers may overflow
	for _, n := range w {
		sum += float64(n)
	}
	s := split{version: version}
	for v, n := range w {
		if v != version {
			if s.others == nil {
				s.others = map[int]float64{}
			}
			s.others[v] = float64(n) / sum
		}
	}
	return s
}

// heaviest returns the version with the greatest weight; if several have it, the lowest
// version.
func heaviest(w faas.Weights) int {
	versions := slices.Sorted(maps.Keys(w))
	return slices.MaxFunc(versions, func(a, b int) int { return cmp.Compare(w[a], w[b]) })
}

// versionText returns a version as the API writes it.
func versionText(version int) string {
	if version == 0 {
		return latest
	}
	return strconv.Itoa(version)
}

// parseVersion parses a version number or $LATEST. ok is false for any other text; 0 and 01 are
// no version numbers.
func parseVersion(s string) (version int, ok bool) {
	if s == latest {
		return 0, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n > 0 && strconv.Itoa(n) == s
}
