package admin

import (
	"slices"
	"time"

	"github.com/inproc/faas/access"
)

// rightsTime is for how long a stream takes a viewer's rights to functions for what they were.
const rightsTime = 10 * time.Second

// sight is what the viewer of a stream sees. The authorizer is asked for this viewer alone: viewers
// share a view when its answers about each of them are the same.
type sight struct {
	x      *exchange
	told   string    // the digest of the view that the reader comes back with; empty: it has none
	until  time.Time // for so long view holds, by the monotonic clock: the wall clock may be put back
	view   *view     // of roster; nil: the authorizer was not asked yet
	roster *roster
}

// look brings the view up to date: it asks again, if it is time to, and otherwise about the
// functions that it does not know, for example new ones. It reports whether the answers about
// any that it knew have changed, or, the first time, whether the viewer sees anything else than
// what the reader comes back with.
func (v *sight) look(s *scene) (changed bool) {
	now := time.Now()
	if now.Before(v.until) {
		if s.roster != v.roster {
			v.set(s.roster, v.ask(s.roster, v.view.host, v.sees))
		}
		return false
	}
	v.until = now.Add(rightsTime)
	fresh := v.ask(s.roster, v.x.allowsAll(access.See, ""), v.allows)
	if v.view != nil {
		changed = v.differs(s.roster, fresh)
		v.set(s.roster, fresh)
		return changed
	}
	v.set(s.roster, fresh)
	return v.view.digest != v.told
}

func (v *sight) set(r *roster, fresh *view) { v.roster, v.view = r, r.shared(fresh) }

func (v *sight) allows(name string) bool { return v.x.allowsAll(access.See, name) }

// sees asks about a function that the view does not know.
func (v *sight) sees(name string) bool {
	if yes, known := v.roster.answer(v.view, name); known {
		return yes
	}
	return v.allows(name)
}

// ask makes a view of a roster.
func (v *sight) ask(r *roster, host bool, sees func(name string) bool) *view {
	fresh := &view{names: make([]bool, len(r.names)), gone: make([]bool, len(r.gone)), host: host}
	for i, name := range r.names {
		fresh.names[i] = sees(name)
	}
	for i, g := range r.gone {
		fresh.gone[i] = sees(g.name)
	}
	return fresh
}

// differs compares a view of a roster with the one before, about the functions that there were then. One
// that was removed meanwhile counts too: its reader is not told that it is gone if it is not seen
// any more. New ones don't: their rows are new to each reader.
func (v *sight) differs(r *roster, fresh *view) bool {
	if r == v.roster {
		return fresh.host != v.view.host || !slices.Equal(fresh.names, v.view.names)
	}
	for i, name := range v.roster.names {
		if sees, known := r.answer(fresh, name); known && sees != v.view.names[i] {
			return true
		}
	}
	return fresh.host != v.view.host
}
