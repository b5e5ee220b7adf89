package faas

import (
	"context"
	"fmt"

	"github.com/inproc/faas/internal/foreign"
)

// save calls Save of each carrier, for a job that is sent with ctx.
func (r *Router) save(ctx context.Context) (map[string][]byte, error) {
	var all map[string][]byte
	for _, c := range r.settings.carriers {
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

// restore calls Restore of each carrier that has saved something, for a delivery with ctx.
func (r *Router) restore(ctx context.Context, carried map[string][]byte) (context.Context, error) {
	for _, c := range r.settings.carriers {
		if saved := carried[c.Name]; saved != nil {
			next, err := r.restoreBy(ctx, c, saved)
			if err != nil {
				return nil, err
			}
			ctx = next //nolint:fatcontext // each carrier wraps it once
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

// carrierPanicked turns a panic of a carrier into an error. It must be deferred directly.
func (r *Router) carrierPanicked(name string, err *error) {
	if p := recover(); p != nil {
		r.hookPanicked("WithCarrier", "", p)
		*err = fmt.Errorf("carrier %q panicked: %s", name, foreign.Plain(p))
	}
}
