package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// roster is which functions there are, and which were removed. Scenes share one until that
// changes. It is constant, but for the views.
type roster struct {
	names  []string       // sorted
	gone   []gone         // the oldest first; each name once, and none that is in names
	places map[string]int // of the names in gone
	oldest Count          // since when gone is complete

	mu    sync.Mutex // guards what follows
	views map[string]*view
}

// gone is a function that was removed.
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

// view is what a viewer sees of a roster: all that the viewer's frames depend on. Viewers who
// see the same have the same view, and so share their frames. It is constant.
type view struct {
	names, gone []bool // by the index of the roster
	host        bool   // the viewer sees the host
	digest      string // of the names that are seen, and of host
}

// shared returns the view that equals v: v itself if it is the first one.
func (r *roster) shared(v *view) *view {
	key := v.key()
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.views[key]; known != nil {
		return known
	}
	if len(r.views) >= 4*maxStreams { // rights have changed many times: who needs one makes it again
		clear(r.views)
	}
	v.digest = r.digest(v)
	r.views[key] = v
	return v
}

// digest is a short hash of what a viewer sees of the functions that there are, and of the host. It
// stands in the ids of events: a reader that is back gets a full frame if it sees anything else
// than it did then. What is gone is no part of it, so that time alone changes nothing.
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

// key is the same for views that are equal, and only for those: the lengths are the roster's.
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

// answer is what a view of this roster says about a function. known is false if the roster does
// not have the function.
func (r *roster) answer(v *view, name string) (sees, known bool) {
	if i, ok := slices.BinarySearch(r.names, name); ok {
		return v.names[i], true
	}
	i, ok := r.places[name]
	return ok && v.gone[i], ok
}
