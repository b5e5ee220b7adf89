package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/inproc/faas"
)

// mail is a message to be sent.
type mail struct {
	To   string `json:"to"`
	Text string `json:"text"`
}

// office has the functions: ordinary code that knows of jobs only what it says about them in errors and by Progress.
type office struct {
	letters *letters // that could not be delivered
}

// send sends a mail. Its server is busy at first, and what it says decides what becomes of the job.
func (o *office) send(ctx context.Context, m mail) (string, error) {
	if !strings.Contains(m.To, "@") {
		return "", faas.Permanent(fmt.Errorf("%q is no address", m.To)) // to try again is of no use
	}
	inv, _ := faas.FromContext(ctx)
	switch {
	case m.To == "ops@example.com":
		return "", errors.New("the server is down") // tried again by the function's policy
	case inv.Delivery == 1:
		return "", faas.RetryAfter(50*time.Millisecond, errors.New("the server asks to wait")) // that was no attempt
	case inv.Attempt == 1:
		return "", errors.New("the connection broke")
	}
	return "sent to " + m.To, nil
}

// rows imports a file, and tells how far it is.
func (o *office) rows(ctx context.Context, n int64) (int64, error) {
	for done := range n {
		if err := faas.Progress(ctx, done, n, "rows"); err != nil {
			return done, err // another host has the job
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return done, ctx.Err()
		}
	}
	return n, nil
}

// letters are the dead letters: a person looks at them.
type letters struct{ came chan faas.JobEnvelope }

// take is the destination of jobs that are given up. An error has it told again.
func (l *letters) take(ctx context.Context, e faas.JobEnvelope) error {
	select {
	case l.came <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
