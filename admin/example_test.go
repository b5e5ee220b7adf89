package admin_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
	"github.com/inproc/faas/observe"
)

func ExampleHandler() {
	log.SetFlags(0)
	recorder, ring, tail := observe.NewRecorder(), faas.NewRing(1000, 64<<20, nil), observe.Tail(1000)
	r := faas.New(faas.WithMeter(recorder), faas.WithRefusals(recorder.Refused), faas.WithCapture(ring), faas.WithLogger(slog.New(tail)))
	defer r.Close()
	faas.Register(r, "greet", func(_ context.Context, name string) (string, error) { return "Hello, " + name, nil }, faas.WithConcurrency(8))
	tokens, err := access.NewTokens()
	if err != nil {
		panic(err)
	}

	rules := access.Rules{
		{Functions: []string{"*"}, Roles: []string{"ops"}, AnyTenant: true, Rights: access.Rights()},
		{Functions: []string{"*"}, Principals: []string{"user:*"}, Rights: []access.Right{access.See}}, // each user for the user's own tenant
	}
	api := admin.Handler(r,
		admin.WithAuthorize(rules.Permit),
		admin.WithAudit(func(e admin.Entry) { log.Println(e.Principal, e.Verb, e.Object, e.Detail, e.Result) }),
		admin.WithRecorder(recorder), // numbers, series, streams
		admin.WithRing(ring),         // failed calls, and replay
		admin.WithTail(tail),         // the log
		admin.WithWrites(),           // changes
	)
	mux := http.NewServeMux()
	mux.Handle("/v1/", access.Bearer(tokens)(api))

	token, _, err := tokens.Issue(access.Principal{Kind: access.User, ID: "ana", Roles: []string{"ops"}}, time.Hour)
	if err != nil {
		panic(err)
	}
	req := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/v1/functions/greet/aliases", nil)
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, req)
	text, _ := io.ReadAll(answer.Body)
	fmt.Print(answer.Code, " ", string(text))
	// Output: 200 {"function":"greet","aliases":[]}
}
