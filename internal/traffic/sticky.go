package traffic

import "math"

// For returns the index of the share that the key belongs to, by weighted rendezvous
// hashing: each share draws a number u between 0 and 1 from the key and its version, and
// the least −ln(u)/weight wins. That is the first of several exponential clocks to ring,
// so that a share wins for weight/sum of the keys.
//
// A share's number does not depend on the weights. So a raised weight takes keys from other
// shares and moves none between those, and a lowered one only gives keys away: to
// raise one weight and then to undo it leaves each key where it was.
//
// The hashing is from D. Thaler and C. Ravishankar, "Using name-based mappings to increase
// hit rates", IEEE/ACM Transactions on Networking 6, 1998. The weights are the logarithmic
// method of C. Schindelhauer and G. Schomaker, "Weighted distributed hash tables", SPAA 2005.
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

// unit makes a number between 0 and 1, and neither, of 52 bits of h: one bit less than a
// float64 has, for the half.
func unit(h uint64) float64 { return (float64(h>>12) + 0.5) / (1 << 52) }

// The constants of FNV-1a (G. Fowler, L. Noll, K.-P. Vo; RFC 9923) and of SplitMix64
// (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA
// 2014).
const (
	offset64 = 0xcbf29ce484222325
	prime64  = 0x100000001b3
	golden   = 0x9e3779b97f4a7c15
)

// hash goes on from h with the bytes of text by FNV-1a, and mixes the result. The standard
// library's maphash would be another in each process, and keys must stay where they are
// when a program starts again.
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
