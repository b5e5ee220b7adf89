package traffic

// Share is one version's part of the calls.
type Share struct {
	Version int    // the version's number; a Split has each number once
	Weight  uint64 // the version's part is Weight / the sum of all weights; positive, and below 2⁶³
}

// Split divides calls among shares. Its shares do not change: for other weights, make another
// Split. All methods may be called concurrently. None allocates, with one exception: with three
// shares or more, [Split.Next] may have to compute the next picks once in 1024 calls.
type Split struct {
	shares []Share
	seed   uint64
	rotation
}

// New returns a Split of at least one share. Splits of the same name give a key to the same
// version, also in other processes. Splits of different names distribute the keys
// differently, so that it is not always the same keys that get a new version first.
func New(name string, shares []Share) *Split {
	s := &Split{shares: shares, seed: hash(offset64, name)}
	s.init(shares)
	return s
}
