package faas

import (
	"context"
)

// Carrier takes what a context says along with a job, from the sender to the context
// with which each delivery is called, for example the sender's identity, or a trace. The
// gates and the [WithContext] and [WithTracing] funcs of the deliveries see it there.
type Carrier struct {
	// Name tells its values from those of other carriers in the records of jobs.
	Name string
	// Save returns what is to travel, or nil for nothing. An error refuses the job. It
	// is called on the sender's goroutine; the bytes belong to the job from then on.
	Save func(ctx context.Context) ([]byte, error)
	// Restore returns ctx, or a context derived from it, with what Save has returned. It
	// is called for each delivery of a job for which Save returned something. An error
	// makes the job dead with Denied: it must not run under another identity.
	Restore func(ctx context.Context, saved []byte) (context.Context, error)
}

// checkCarriers returns what is wrong with one of them, or "".
func checkCarriers(all []Carrier) string {
	names := map[string]bool{}
	for _, c := range all {
		switch {
		case c.Name == "" || c.Save == nil || c.Restore == nil:
			return "a carrier needs a Name, Save and Restore"
		case names[c.Name]:
			return "two carriers have one name"
		}
		names[c.Name] = true
	}
	return ""
}
