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
	for n := range 2 { // releases of it, between which an alias moves calls
		faas.Register(r, "echo", echo, faas.WithVersion(n+1))
	}
	faas.Register(r, "fail", fail, // as a job it is tried three times in a second, and then buried
		faas.WithRetry(faas.Retry{Max: 2, First: 300 * time.Millisecond}), faas.WithOnFailure(faas.ToFunction("bury")))
	faas.Register(r, "bury", bury)
	faas.Register(r, "panicky", panicky)
	faas.Register(r, "slow", slow, faas.WithTimeout(time.Second), faas.WithConcurrency(2), faas.WithQueue(0))
	faas.Register(r, "thumbnail", thumbs.Make, faas.WithTimeout(10*time.Second))
	faas.RegisterStream(r, "countdown", countdown, faas.WithTimeout(2*time.Second)) // from more than 20 it breaks off
	faas.Register(r, "page", page)
}

// echo answers its input, and tells the caller's log so.
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

// slow waits that many milliseconds, or until its context ends.
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

// countdown answers piece by piece.
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

// request and response are as much of payload format 2.0 as page needs; the
// types of github.com/aws/aws-lambda-go/events have it all.
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

// page is written for a function URL.
func page(_ context.Context, in request) (response, error) {
	return response{
		StatusCode: 200,
		Headers:    map[string]string{"Content-Type": "text/plain; charset=utf-8"},
		Cookies:    []string{"seen=yes; Path=/; HttpOnly"},
		Body:       fmt.Sprintf("hello, %s; you asked for %s\n", in.QueryStringParameters["name"], in.RawPath),
	}, nil
}
