package faashttp

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/inproc/faas"
)

// split is the weights of an alias as the API has them: a version, and what parts of the
// calls go to others. The version has the rest. In a request there is at most one other.
type split struct {
	version int // 0 is $LATEST
	others  map[int]float64
}

// weights returns the integers: hundredths, or thousandths or ten-thousandths where only
// those are exact. For example, 0.1 is 10 of 100, and 0.125 is 125 of 1000. A part with
// more than four decimals is rounded.
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

// isWhole reports whether x is an integer, but for what is lost when a decimal fraction
// becomes a float64 and is multiplied.
func isWhole(x float64) bool { return math.Abs(x-math.Round(x)) < 1e-9 }

// splitOf returns the parts that an alias gives to each version, with version as the one
// that has the rest.
func splitOf(w faas.Weights, version int) split {
	sum := 0.0 // the integers may be so large that their sum is none
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

// heaviest returns the version that has most of the calls; of several, the oldest.
func heaviest(w faas.Weights) int {
	versions := slices.Sorted(maps.Keys(w))
	return slices.MaxFunc(versions, func(a, b int) int { return cmp.Compare(w[a], w[b]) })
}

// versionText is a version as the API writes it.
func versionText(version int) string {
	if version == 0 {
		return latest
	}
	return strconv.Itoa(version)
}

// parseVersion reads a version. ok is false for what no version is called, such as 0 and
// 01.
func parseVersion(s string) (version int, ok bool) {
	if s == latest {
		return 0, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n > 0 && strconv.Itoa(n) == s
}
