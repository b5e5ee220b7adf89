package admission_test

import (
	"slices"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas/internal/admission"
)

// modelVersion is a version in the model. Everything about its slots is found by searching.
type modelVersion struct {
	class            *modelClass
	limited, removed bool
	limit            int
}

// versionHolds describes a call's slot of its version as modelCall does for that of the
// class: which call has lent it, and which has borrowed it. All fields are nil if the version
// has no limit.
type versionHolds struct{ versionFrom, versionLender, versionBorrower *modelCall }

var versionHalf = half{func(k *modelCall) *modelCall { return k.versionFrom }, func(k *modelCall) *modelCall { return k.versionBorrower }}

// ownersIn returns the calls that took a slot of the version from the pool and have not given
// it back.
func (m *model) ownersIn(v *modelVersion) (os []*modelCall) {
	for _, k := range m.calls {
		if k.version == v && k.versionFrom == k && versionHalf.used(k) {
			os = append(os, k)
		}
	}
	return os
}

func (m *model) roomIn(v *modelVersion) bool { return !v.limited || len(m.ownersIn(v)) < v.limit }

// versionLenderOf returns the nearest call above k, of the same version, that has not lent
// its slot, or nil.
func (m *model) versionLenderOf(k *modelCall) *modelCall {
	for p := k.parent; p != nil && k.version.limited; p = p.parent {
		if p.version == k.version && p.state == holding && p.versionBorrower == nil {
			return p
		}
	}
	return nil
}

func (m *model) hasVersionNow(k *modelCall) bool {
	return m.roomIn(k.version) || m.versionLenderOf(k) != nil
}

func (m *model) takeVersion(k *modelCall) {
	lender := m.versionLenderOf(k)
	switch {
	case !k.version.limited:
	case lender == nil:
		k.versionFrom = k
	default:
		k.versionFrom, k.versionLender, lender.versionBorrower = lender.versionFrom, lender, k
	}
}

// returnVersion does for k's slot of its version what returnClass does for that of its class.
func (m *model) returnVersion(k *modelCall) (returned []*modelCall) {
	for k.versionBorrower == nil && k.state >= replaced && k.versionLender != nil {
		k = k.versionLender
		k.versionBorrower = nil
		if k.state == holding {
			return []*modelCall{k}
		}
	}
	return nil
}

// hasVersion reports whether there will be a slot of its version for k if the calls in good
// end.
func (m *model) hasVersion(k *modelCall, good map[*modelCall]bool) bool {
	for p := k.parent; p != nil; p = p.parent {
		if p.version == k.version && p.state == holding && comesBack(p.versionBorrower, good, versionHalf) {
			return true
		}
	}
	os := m.ownersIn(k.version)
	return m.roomIn(k.version) || len(os) == 0 || slices.ContainsFunc(os, func(o *modelCall) bool { return comesBack(o, good, versionHalf) })
}

// wantedVersion reports whether a nested call waits in vain for a slot of v.
func (m *model) wantedVersion(v *modelVersion, good map[*modelCall]bool) bool {
	return slices.ContainsFunc(v.class.queue, func(k *modelCall) bool {
		return k.version == v && k.parent != nil && !m.hasVersion(k, good)
	})
}

func (m *model) stuckVersion(v *modelVersion) bool {
	n := 0
	for _, o := range m.ownersIn(v) {
		if slices.ContainsFunc(m.calls, func(k *modelCall) bool { return k.state == holding && k.stuck && k.versionFrom == o }) {
			n++
		}
	}
	return n > 0 && n >= v.limit
}

// drawVersions gives a class up to three versions, some with a limit. The first is the base
// version.
func (s *machine) drawVersions(t *rapid.T, c *modelClass, r *admission.Class) {
	for i := range rapid.SampledFrom([]int{1, 1, 2, 3}).Draw(t, "versions") {
		v := &modelVersion{class: c}
		if v.limited = rapid.Bool().Draw(t, "limited"); v.limited {
			v.limit = rapid.SampledFrom([]int{0, 1, 1, 1, 2, 3}).Draw(t, "limit")
		}
		part := r.Base()
		switch {
		case i > 0 && v.limited:
			part = r.NewVersion(v.limit)
		case i > 0:
			part = r.NewVersion(admission.Unlimited)
		case v.limited:
			part.Resize(v.limit)
		}
		c.versions = append(c.versions, v)
		s.parts[v] = part
	}
}

func (s *machine) drawVersion(t *rapid.T, c *modelClass) *modelVersion {
	return c.versions[rapid.IntRange(0, len(c.versions)-1).Draw(t, "version")]
}

func (s *machine) ResizeVersion(t *rapid.T) {
	c := s.classes[rapid.IntRange(0, len(s.classes)-1).Draw(t, "class")]
	v := s.drawVersion(t, c)
	if !v.limited {
		t.Skip("it has no limit")
	}
	v.limit = rapid.SampledFrom([]int{0, 1, 1, 2, 2, 3, admission.Unlimited}).Draw(t, "limit")
	s.serve(nil, nil, nil)
	s.breakCycles(c)
	s.refuseStuck()
	s.parts[v].Resize(v.limit)
}

func (s *machine) RemoveVersion(t *rapid.T) {
	c := s.classes[rapid.IntRange(0, len(s.classes)-1).Draw(t, "class")]
	v := s.drawVersion(t, c)
	if rapid.IntRange(0, 9).Draw(t, "now") > 0 {
		t.Skip("not now") // too early to remove a version, whose calls are refused from then on
	}
	v.removed = true
	s.parts[v].Remove()
}

func (s *machine) checkVersions(t *rapid.T) {
	for v, part := range s.parts {
		require.Len(t, s.ownersIn(v), part.Used())
		waiting := 0
		for _, k := range v.class.queue {
			if k.version == v {
				waiting++
			}
		}
		require.Equal(t, waiting, part.Queued())
	}
}
