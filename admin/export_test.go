package admin

import "github.com/inproc/faas/access"

// MaxStreams is how many streams a handler serves at once.
const MaxStreams = maxStreams

// Verb is an endpoint of the API.
type Verb struct {
	Method, Path, Name string
	Right              access.Right
	Write, Stream      bool
}

// Verbs are all endpoints.
func Verbs() (all []Verb) {
	for _, e := range endpoints() {
		all = append(all, Verb{e.method, e.path, e.verb, e.right, e.write, e.stream})
	}
	return all
}
