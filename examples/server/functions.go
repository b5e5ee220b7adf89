package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/examples/thumbs"
	"github.com/inproc/faas/trigger/faashttp"
)

// host registers the functions.
func host(r *faas.Router) {
	faas.Register(r, "echo", echo)
	for n := range 2 { // two versions, between which an alias can move calls
		faas.Register(r, "echo", echo, faas.WithVersion(n+1))
	}
	faas.Register(r, "fail", fail, // as a job it is tried three times within a second, and then given up to bury
		faas.WithRetry(faas.Retry{Max: 2, First: 300 * time.Millisecond}), faas.WithOnFailure(faas.ToFunction("bury")))
	faas.Register(r, "bury", bury)
	faas.Register(r, "panicky", panicky)
	faas.Register(r, "slow", slow, faas.WithTimeout(time.Second), faas.WithConcurrency(2), faas.WithQueue(0))
	faas.Register(r, "thumbnail", thumbs.Make, faas.WithTimeout(10*time.Second))
	faas.RegisterStream(r, "countdown", countdown, faas.WithTimeout(2*time.Second)) // a countdown from more than 20 exceeds this
	faas.Register(r, "page", page)
}

// echo returns its input, and writes a line to the log that the caller gets.
func echo(ctx context.Context, in json.RawMessage) (json.RawMessage, error) {
	slog.New(slog.NewTextHandler(faashttp.Logs(ctx), nil)).Info("echo", "bytes", len(in))
	return in, nil
}

func fail(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, errors.New("boom") }

// bury logs a dead letter.
func bury(ctx context.Context, e faas.JobEnvelope) (struct{}, error) {
	of := e.RequestContext
	faas.Logger(ctx).Info("dead letter", "id", of.RequestID, "condition", of.Condition, "attempts", of.ApproximateInvokeCount, "payload", string(e.RequestPayload))
	return struct{}{}, nil
}

func panicky(context.Context, json.RawMessage) (json.RawMessage, error) { panic("out of cheese") }

// slow waits ms milliseconds, or until its context ends.
func slow(ctx context.Context, ms int) (string, error) {
	t := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return fmt.Sprintf("waited %d ms", ms), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// countdown answers with a stream of pieces.
func countdown(ctx context.Context, in struct{ From int }, w io.Writer) error {
	for i := in.From; i > 0; i-- {
		if _, err := fmt.Fprintf(w, "%d\n", i); err != nil {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// request and response have those fields of payload format 2.0 that page needs. The types of
// github.com/aws/aws-lambda-go/events have all of them.
type (
	request struct {
		RawPath               string            `json:"rawPath"`
		QueryStringParameters map[string]string `json:"queryStringParameters"`
	}
	response struct {
		StatusCode int               `json:"statusCode"`
		Headers    map[string]string `json:"headers"`
		Cookies    []string          `json:"cookies"`
		Body       string            `json:"body"`
	}
)

// page is a handler for a function URL.
func page(_ context.Context, in request) (response, error) {
	return response{
		StatusCode: 200,
		Headers:    map[string]string{"Content-Type": "text/plain; charset=utf-8"},
		Cookies:    []string{"seen=yes; Path=/; HttpOnly"},
		Body:       fmt.Sprintf("hello, %s; you asked for %s\n", in.QueryStringParameters["name"], in.RawPath),
	}, nil
}
