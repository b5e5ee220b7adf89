package traffic

// SkipTo makes n the next turn. Only for two shares: the picks of more are computed one
// after the other.
func (s *Split) SkipTo(n uint64) { s.taken.Store(n) }
