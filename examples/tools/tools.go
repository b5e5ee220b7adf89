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

// deafFor is how long the tool deaf sleeps: far beyond its deadline, but short enough to wait for in a demonstration.
const deafFor = 4 * timeout

// search is fast.
func search(ctx context.Context, q query) (result, error) {
	if err := sleep(ctx, 20*time.Millisecond); err != nil {
		return result{}, err
	}
	return result{Text: "found: " + q.Text}, nil
}

// slow takes longer than its timeout, but stops when its context ends.
func slow(ctx context.Context, q query) (result, error) {
	if err := sleep(ctx, time.Minute); err != nil {
		return result{}, err
	}
	return result{Text: "at last: " + q.Text}, nil
}

// deaf ignores its context, like a long computation or a call of an old library.
func deaf(_ context.Context, q query) (result, error) {
	time.Sleep(deafFor)
	return result{Text: "who waits for this? " + q.Text}, nil
}

// broken has a bug: it assumes that a question contains a colon.
func broken(_ context.Context, q query) (result, error) {
	parts := strings.SplitN(q.Text, ":", 2)
	return result{Text: parts[1]}, nil
}

// busy allows only a few calls at a time, see its registration.
func busy(ctx context.Context, q query) (result, error) {
	if err := sleep(ctx, 100*time.Millisecond); err != nil {
		return result{}, err
	}
	return result{Text: "done: " + q.Text}, nil
}

// sleep stands for work that stops when its context ends.
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
