package admin

import (
	"net/http"
	"time"

	"github.com/inproc/faas/access"
)

// MaxStreams is the largest number of streams that a handler serves at once.
const MaxStreams = maxStreams

// Verb describes an endpoint of the API.
type Verb struct {
	Method, Path, Name string
	Right              access.Right
	Write, Stream      bool
}

// Verbs returns all endpoints.
func Verbs() (all []Verb) {
	for _, e := range endpoints() {
		all = append(all, Verb{e.method, e.path, e.verb, e.right, e.write, e.stream})
	}
	return all
}

// Param is a parameter of a GET endpoint.
type Param struct{ Path, Name string }

// Params returns the parameters of all GET endpoints.
func Params() (all []Param) {
	for _, e := range endpoints() {
		for _, p := range e.query {
			if e.method == http.MethodGet {
				all = append(all, Param{e.path, p.name})
			}
		}
	}
	return all
}

// HeldFrames returns how many frames the last scene of a handler has cached for its streams.
func HeldFrames(api http.Handler) int {
	h, _ := api.(*handler)
	h.live.mu.Lock()
	s := h.live.scene
	h.live.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

// Looked has the results of a look of the collector.
type Looked struct {
	Rev   Count
	Full  bool // readers of the last frame get a full one
	Calls Int  // of the function export
}

// Look calls look of a handler's collector, at a wall-clock time that differs by off from the
// present.
func Look(api http.Handler, off time.Duration) (out Looked) {
	h, _ := api.(*handler)
	if h.live.collector == nil {
		h.live.collector = newCollector(h.router, h.recorder)
	}
	s := h.live.collector.look(time.Now().Add(off))
	out = Looked{Rev: s.rev, Full: s.oldest == s.rev}
	for _, e := range s.entries {
		if e.name == "export" {
			out.Calls = e.row[colCalls]
		}
	}
	return out
}
