package peers

import (
	"context"
	"encoding/json"
)

// direct is the lower bound: it only calls the handler and checks the answer.
func direct(h Handler, _ Config) Instance {
	return Instance{Call: typed(h), Close: nothing}
}

// goChan is the smallest hand-off: a new goroutine and an unbuffered channel.
func goChan(h Handler, _ Config) Instance {
	return Instance{Call: typed(func(ctx context.Context, in In) (Out, error) {
		ch := make(chan result)
		go func() {
			out, err := h(ctx, in)
			ch <- result{out, err}
		}()
		r := <-ch
		return r.out, r.err
	}), Close: nothing}
}

// goTimeout is the textbook code for a deadline. It does not recover, limit or meter, so it
// is a lean yardstick for latency and memory.
func goTimeout(h Handler, c Config) Instance {
	return Instance{Call: typed(func(ctx context.Context, in In) (Out, error) {
		ctx, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		ch := make(chan result, 1) // buffered, so that a late handler does not block on it for ever
		go func() {
			out, err := h(ctx, in)
			ch <- result{out, err}
		}()
		select {
		case r := <-ch:
			return r.out, r.err
		case <-ctx.Done():
			return Out{}, ctx.Err()
		}
	}), Close: nothing}
}

// jsonAlone is the part of a bytes call that no host can avoid: it decodes the request, calls
// the handler and encodes the response.
func jsonAlone(h Handler, _ Config) Instance {
	return Instance{Call: wire(func(ctx context.Context, payload []byte) ([]byte, error) {
		var in In
		if err := json.Unmarshal(payload, &in); err != nil {
			return nil, err
		}
		out, err := h(ctx, in)
		if err != nil {
			return nil, err
		}
		return json.Marshal(out)
	}), Close: nothing}
}
