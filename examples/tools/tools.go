package main

import (
	"context"
	"strings"
	"time"
)

type query struct {
	Text string `json:"text" jsonschema:"the question"`
}

type result struct {
	Text string `json:"text" jsonschema:"the answer"`
}

// deafFor is how long the deaf tool sleeps: far beyond its deadline, but short enough to be waited for in a demo.
const deafFor = 4 * timeout

// search is quick.
func search(ctx context.Context, q query) (result, error) {
	if err := sleep(ctx, 20*time.Millisecond); err != nil {
		return result{}, err
	}
	return result{Text: "found: " + q.Text}, nil
}

// slow takes longer than it may, but stops when it is told to.
func slow(ctx context.Context, q query) (result, error) {
	if err := sleep(ctx, time.Minute); err != nil {
		return result{}, err
	}
	return result{Text: "at last: " + q.Text}, nil
}

// deaf doesn't look at its context, as a computation or a call of an old library may not.
func deaf(_ context.Context, q query) (result, error) {
	time.Sleep(deafFor)
	return result{Text: "who waits for this? " + q.Text}, nil
}

// broken has a bug: it takes for granted that a question has a colon.
func broken(_ context.Context, q query) (result, error) {
	parts := strings.SplitN(q.Text, ":", 2)
	return result{Text: parts[1]}, nil
}

// busy has room for a few calls only, see its registration.
func busy(ctx context.Context, q query) (result, error) {
	if err := sleep(ctx, 100*time.Millisecond); err != nil {
		return result{}, err
	}
	return result{Text: "done: " + q.Text}, nil
}

// sleep is work that heeds its context.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
