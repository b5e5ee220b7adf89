package faas

import (
	"context"
)

// Carrier carries something from the sender's context to the context of each delivery of a job,
// for example the sender's identity, or a trace. The gates, [WithContext] and [WithTracing] see
// it in the delivery's context.
type Carrier struct {
	// Name is the key of the carrier's values in the records of jobs.
	Name string
	// Save returns what the job is to carry; nil: nothing. If it returns an error, the job
	// is refused. It is called on the sender's goroutine, and must not change the bytes
	// afterwards.
	Save func(ctx context.Context) ([]byte, error)
	// Restore returns a context that is ctx or derived from it and has what Save returned.
	// It is called for each delivery of a job for which Save returned something. If it
	// returns an error, the job is dead with [ConditionDenied]: it must not run under
	// another identity.
	Restore func(ctx context.Context, saved []byte) (context.Context, error)
}

// checkCarriers returns what is wrong with the carriers, or "".
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
