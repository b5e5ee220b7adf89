package admin

import (
	"slices"
	"time"

	"github.com/inproc/faas/access"
)

// rightsTime is how long a stream relies on the authorizer's answers about functions.
const rightsTime = 10 * time.Second

// sight decides what the viewer of a stream sees. It asks the authorizer for this viewer only.
// Viewers share a view if the answers for them are the same.
type sight struct {
	x      *exchange
	told   string    // the digest in the ID of the event from which the reader resumes; empty: there is none
	until  time.Time // view is valid until then; it has the monotonic clock's reading, since the wall clock may be set back
	view   *view     // of roster; nil: the authorizer has not been asked
	roster *roster
}

// look brings the view up to date with a scene. After rightsTime it asks the authorizer about
// all functions. Before that, it asks only about functions that the view does not have, such as
// new ones. It reports whether an answer about a known function has changed. At the first look
// it reports instead whether the viewer sees other functions than those in the event from which
// the reader resumes.
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

// sees asks the authorizer about a function, unless the view has the answer.
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

// differs reports whether the answers about the functions of the earlier roster have changed. A
// function that was removed meanwhile counts too: if the viewer may no longer see it, the
// reader would not learn that it is gone. New functions do not count, since their rows are new
// to every reader.
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
