package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/inproc/faas"
)

// mail is a message to send.
type mail struct {
	To   string `json:"to"`
	Text string `json:"text"`
}

// office has the functions. They are ordinary code: their errors and Progress are all that concerns jobs.
type office struct {
	letters *letters // the jobs that were given up
}

// send sends a mail. Its server is busy at first. The kind of the returned error decides whether and when the job is
// tried again.
func (o *office) send(ctx context.Context, m mail) (string, error) {
	if !strings.Contains(m.To, "@") {
		return "", faas.Permanent(fmt.Errorf("%q is no address", m.To)) // the job is not tried again
	}
	inv, _ := faas.FromContext(ctx)
	switch {
	case m.To == "ops@example.com":
		return "", errors.New("the server is down") // tried again as WithRetry says
	case inv.Delivery == 1:
		return "", faas.RetryAfter(50*time.Millisecond, errors.New("the server asks to wait")) // does not count as an attempt
	case inv.Attempt == 1:
		return "", errors.New("the connection broke")
	}
	return "sent to " + m.To, nil
}

// rows imports a file, and reports its progress.
func (o *office) rows(ctx context.Context, n int64) (int64, error) {
	for done := range n {
		if err := faas.Progress(ctx, done, n, "rows"); err != nil {
			return done, err // the job has been given to another host
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return done, ctx.Err()
		}
	}
	return n, nil
}

// letters receives the dead letters. A person would look at them.
type letters struct{ came chan faas.JobEnvelope }

// take is the destination of jobs that are given up. If it returns an error, it is called again later.
func (l *letters) take(ctx context.Context, e faas.JobEnvelope) error {
	select {
	case l.came <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
