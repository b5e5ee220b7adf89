package traffic

// Share is one version's part of the calls.
type Share struct {
	Version int    // its number; each stands once in a Split
	Weight  uint64 // its part is Weight / the sum of all weights; positive, and below 2⁶³
}

// Split divides calls among shares. Its shares are constant: other weights are another
// Split. All methods may be called concurrently, and none allocates, but for [Split.Next]
// once in 1024 calls where it has to compute the next picks.
type Split struct {
	shares []Share
	seed   uint64
	rotation
}

// New returns a Split of at least one share. Splits of the same name agree about keys,
// also in other processes; those of different names do not, so that not the same keys
// are the first to meet every new version.
func New(name string, shares []Share) *Split {
	s := &Split{shares: shares, seed: hash(offset64, name)}
	s.init(shares)
	return s
}
