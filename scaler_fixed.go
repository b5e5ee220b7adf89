package faas

import "fmt"

// FixedScaler keeps a function at N instances, within the limits of [WithMinInstances] and
// [WithMaxInstances]. N is at least 1.
type FixedScaler struct{ N int }

// Desired implements [Scaler]. The answer never changes, so Rest is set, and the scale loop
// calls Desired again only after a call has come.
func (f FixedScaler) Desired(l Load, s State) (Target, State) {
	t := l.within(Target{N: max(0, f.N), Rule: "fixed"})
	t.Rest = true
	return t, s
}

func (f FixedScaler) check() error {
	if f.N < 1 {
		return fmt.Errorf("FixedScaler.N is %d: it has to be 1 or more", f.N)
	}
	return nil
}
