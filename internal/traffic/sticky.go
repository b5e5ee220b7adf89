package traffic

import "math"

// For returns the index of the share that the key belongs to, by weighted rendezvous
// hashing. For each share, a number u between 0 and 1 is computed from the key and the share's
// version, and the share with the lowest −ln(u)/weight wins. These values are exponentially
// distributed with the weights as rates, so that a share wins for weight/sum of the keys.
//
// The number u does not depend on the weights. So if a weight is raised, keys move only from
// other shares to that share; if it is lowered, keys move only away from that share. If one
// weight is raised and then set back, each key belongs to the same share as before.
//
// The hashing is from D. Thaler and C. Ravishankar, "Using name-based mappings to increase
// hit rates", IEEE/ACM Transactions on Networking 6, 1998. The weights are applied by the
// logarithmic method of C. Schindelhauer and G. Schomaker, "Weighted distributed hash tables", SPAA 2005.
func (s *Split) For(key string) int {
	k := hash(s.seed, key)
	best, least := 0, math.Inf(1)
	for i, sh := range s.shares {
		u := unit(mix(k + uint64(sh.Version)*golden))
		if d := -math.Log(u) / float64(sh.Weight); d < least {
			best, least = i, d
		}
	}
	return best
}

// unit makes a number between 0 and 1, both excluded, from 52 bits of h. A float64 has 53
// bits; the last one is needed for the added half.
func unit(h uint64) float64 { return (float64(h>>12) + 0.5) / (1 << 52) }

// The constants of FNV-1a (G. Fowler, L. Noll, K.-P. Vo; RFC 9923) and of SplitMix64
// (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA
// 2014).
const (
	offset64 = 0xcbf29ce484222325
	prime64  = 0x100000001b3
	golden   = 0x9e3779b97f4a7c15
)

// hash continues the FNV-1a hash h with the bytes of text, and mixes the result. The standard
// library's maphash is not used because its results differ in each process: a key must belong
// to the same version after a program has started again.
func hash(h uint64, text string) uint64 {
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * prime64
	}
	return mix(h)
}

// mix is the finalizer of SplitMix64: each bit of h changes each bit of the result in half
// of all cases.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
