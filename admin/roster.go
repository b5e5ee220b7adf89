package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// roster lists the functions of a scene, and those that were removed. Scenes share a roster as
// long as these are the same. Only its cache of views changes.
type roster struct {
	names  []string       // of the functions, sorted
	gone   []gone         // removed functions, the oldest first; each once, and none that is in names
	places map[string]int // the index of each name in gone
	oldest Count          // gone has every removal after this revision

	mu    sync.Mutex // guards what follows
	views map[string]*view
}

// gone is a removed function, and the revision of the look that noticed it.
type gone struct {
	name string
	rev  Count
}

func newRoster(entries []*entry, removed []gone, oldest Count) *roster {
	r := &roster{
		names: make([]string, len(entries)), gone: removed, oldest: oldest,
		places: make(map[string]int, len(removed)), views: map[string]*view{},
	}
	for i, e := range entries {
		r.names[i] = e.name
	}
	for i, g := range removed {
		r.places[g.name] = i
	}
	return r
}

// view says which functions of a roster a viewer may see; the viewer's frames depend on nothing
// else. Viewers with the same rights share a view, and so share their frames. It never changes.
type view struct {
	names, gone []bool // by the index in the roster
	host        bool   // the viewer may see the host
	digest      string // see roster.digest
}

// shared returns the roster's view that equals v, or adds v if there is none.
func (r *roster) shared(v *view) *view {
	key := v.key()
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.views[key]; known != nil {
		return known
	}
	if len(r.views) >= 4*maxStreams { // rights have changed very often; a viewer whose view is dropped makes it again
		clear(r.views)
	}
	v.digest = r.digest(v)
	r.views[key] = v
	return v
}

// digest returns a short hash of the functions that a viewer may see, and of whether that
// includes the host. It is a part of the IDs of events. A reader that reconnects gets a full
// frame if it now sees other functions than before. Removed functions are not hashed, since
// they change with time alone.
func (r *roster) digest(v *view) string {
	seen := strconv.AppendBool(nil, v.host)
	for i, name := range r.names {
		if v.names[i] {
			seen = strconv.AppendQuote(seen, name)
		}
	}
	sum := sha256.Sum256(seen)
	return hex.EncodeToString(sum[:8])
}

// key returns a text that is the same for equal views only. All views of a roster have the same
// lengths.
func (v *view) key() string {
	var b strings.Builder
	b.Grow(1 + len(v.names) + len(v.gone))
	for _, flags := range [][]bool{{v.host}, v.names, v.gone} {
		for _, yes := range flags {
			b.WriteByte("01"[btoi(yes)])
		}
	}
	return b.String()
}

// answer reports whether a view of this roster sees a function. known is false if the roster
// does not have the function.
func (r *roster) answer(v *view, name string) (sees, known bool) {
	if i, ok := slices.BinarySearch(r.names, name); ok {
		return v.names[i], true
	}
	i, ok := r.places[name]
	return ok && v.gone[i], ok
}
