package faas

import (
	"context"
	"fmt"

	"github.com/inproc/faas/internal/foreign"
)

// Carrier takes what a context says along with a job, from the sender to the context
// with which each delivery is called, for example who the sender is, or a trace. The
// gates and the [WithContext] and [WithTracing] funcs of the deliveries see it there.
type Carrier struct {
	// Name tells its values from those of other carriers in the records of jobs.
	Name string
	// Save returns what is to travel, or nil for nothing. An error refuses the job. It
	// is called on the sender's goroutine; the bytes belong to the job from then on.
	Save func(ctx context.Context) ([]byte, error)
	// Restore returns ctx, or a context derived from it, with what Save has returned. It
	// is called for each delivery of a job for which Save returned something. An error
	// makes the job dead with Denied: it must not run as somebody else.
	Restore func(ctx context.Context, saved []byte) (context.Context, error)
}

// WithCarrier adds a carrier. Its Name must not be empty or taken, and both of its funcs
// must be set. Many goroutines call them at once; a panic is an error.
func WithCarrier(c Carrier) RouterOption {
	return routerOption(func(r *routerSettings) { r.jobs.carriers = append(r.jobs.carriers, c) })
}

// save asks the carriers what is to travel with a job that is sent with ctx.
func (r *Router) save(ctx context.Context) (map[string][]byte, error) {
	var all map[string][]byte
	for _, c := range r.settings.jobs.carriers {
		saved, err := r.saveBy(ctx, c)
		if err != nil {
			return nil, err
		}
		if saved != nil {
			if all == nil {
				all = map[string][]byte{}
			}
			all[c.Name] = saved
		}
	}
	return all, nil
}

func (r *Router) saveBy(ctx context.Context, c Carrier) (saved []byte, err error) {
	defer r.carrierPanicked(c.Name, &err)
	return c.Save(ctx)
}

// restore gives the context of a delivery what has travelled with the job.
func (r *Router) restore(ctx context.Context, carried map[string][]byte) (context.Context, error) {
	for _, c := range r.settings.jobs.carriers {
		if saved := carried[c.Name]; saved != nil {
			next, err := r.restoreBy(ctx, c, saved)
			if err != nil {
				return nil, err
			}
			ctx = next
		}
	}
	return ctx, nil
}

func (r *Router) restoreBy(ctx context.Context, c Carrier, saved []byte) (next context.Context, err error) {
	defer r.carrierPanicked(c.Name, &err)
	next, err = c.Restore(ctx, saved)
	if err == nil && next == nil {
		err = fmt.Errorf("carrier %q restored a nil context", c.Name)
	}
	return next, err
}

// carrierPanicked makes a panic of a carrier an error. It must be deferred directly.
func (r *Router) carrierPanicked(name string, err *error) {
	if p := recover(); p != nil {
		r.hookPanicked("WithCarrier", "", p)
		*err = fmt.Errorf("carrier %q panicked: %s", name, foreign.Plain(p))
	}
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
