package window

// Max is the highest of the values of the last slots. It is a value: With returns
// another one and leaves this as it is, so that a policy can answer its next
// state and keep the one it was asked with. The zero Max has no slots and says
// nothing.
//
// It holds only values that may yet be the highest, each later one lower than the
// one before (the ascending minima algorithm, turned round): for a load that
// rises that is a single one, at worst one for each slot.
type Max struct {
	slots int64
	peaks []peak // never written to once they are in a Max
}

type peak struct {
	slot  int64
	value float64
}

// NewMax returns an empty maximum over the last slots, that of the latest value
// included.
func NewMax(slots int) Max { return Max{slots: int64(slots)} }

// Slots is over how many it is.
func (m Max) Slots() int { return int(m.slots) }

// With returns the maximum after v in that slot. In a slot that has a higher value
// already v says nothing. A slot before the latest joins at the end all the same:
// where a clock has been set back, what counts is what came last.
//
// It costs a copy of what is held, and nothing where v changes nothing.
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
	if int64(to-from) == m.slots { // only where slots have gone backwards
		from++
	}
	peaks := make([]peak, 0, to-from+1)
	return Max{slots: m.slots, peaks: append(append(peaks, m.peaks[from:to]...), peak{slot, v})}
}

// Value is the highest value as of the latest slot, or 0.
func (m Max) Value() float64 {
	if len(m.peaks) == 0 {
		return 0
	}
	return m.peaks[0].value
}
