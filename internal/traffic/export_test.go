package traffic

// SkipTo makes n the next turn. It works only for two shares: with more, the picks are computed
// one after the other.
func (s *Split) SkipTo(n uint64) { s.taken.Store(n) }
