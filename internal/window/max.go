package window

// Max is the highest value of the last slots, which are periods of time. It is immutable: With
// returns a new Max. So a scaling policy can keep a Max in its state, which must not change. The
// zero Max has no slots, and its value is always 0.
//
// It holds only values that can still become the highest. Each of them is lower than the one
// before it (a monotonic queue, as in the ascending minima algorithm). While the load rises,
// that is one value; at most it is one value for each slot.
type Max struct {
	slots int64
	peaks []peak // shared by Max values, so never changed
}

type peak struct {
	slot  int64
	value float64
}

// NewMax returns an empty maximum over this number of slots, including the slot of the latest
// value.
func NewMax(slots int) Max { return Max{slots: int64(slots)} }

// Slots returns the number of slots.
func (m Max) Slots() int { return int(m.slots) }

// With returns the maximum after the value v in that slot. A v below an earlier value of the
// same slot changes nothing. A slot before the latest counts as the latest, because
// the clock may have been set back.
//
// With copies the values that m holds, or returns m itself if v changes nothing.
func (m Max) With(slot int64, v float64) Max {
	if m.slots == 0 {
		return m
	}
	from, to := 0, len(m.peaks)
	for to > 0 && m.peaks[to-1].value <= v {
		to--
	}
	for from < to && slot-m.peaks[from].slot >= m.slots {
		from++
	}
	if to > from && m.peaks[to-1].slot == slot {
		if from == 0 && to == len(m.peaks) {
			return m
		}
		return Max{slots: m.slots, peaks: m.peaks[from:to:to]}
	}
	if int64(to-from) == m.slots { // happens only if an earlier slot counted as the latest
		from++
	}
	peaks := make([]peak, 0, to-from+1)
	return Max{slots: m.slots, peaks: append(append(peaks, m.peaks[from:to]...), peak{slot, v})}
}

// Value returns the highest value of the last slots up to the latest one, or 0 if there
// is none.
func (m Max) Value() float64 {
	if len(m.peaks) == 0 {
		return 0
	}
	return m.peaks[0].value
}
