package faasconsole_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
	"github.com/inproc/faas/observe"
	"github.com/inproc/faas/observe/faasconsole"
)

func ExampleHandler() {
	recorder := observe.NewRecorder()
	r := faas.New(faas.WithMeter(recorder), faas.WithRefusals(recorder.Refused))
	defer r.Close()
	faas.Register(r, "hello", func(_ context.Context, name string) (string, error) { return "Hello, " + name, nil })

	tokens, err := access.NewTokens()
	if err != nil {
		fmt.Println(err)
		return
	}
	// Issue returns the secret once. Give it to the viewer who will log in with it.
	_, _, err = tokens.Issue(access.Principal{Kind: "user", ID: "ana", Roles: []string{"operator"}}, 30*24*time.Hour)
	if err != nil {
		fmt.Println(err)
		return
	}
	rules := access.Rules{{Functions: []string{"*"}, Roles: []string{"operator"}, AnyTenant: true, Rights: []access.Right{access.See, access.Replay, access.Manage}}}
	api := admin.Handler(r, admin.WithAuthorize(rules.Permit), admin.WithRecorder(recorder), admin.WithWrites())

	mux := http.NewServeMux()
	console := http.StripPrefix("/console", faasconsole.Handler(api, faasconsole.WithLogin(tokens)))
	mux.Handle("/console", console)
	mux.Handle("/console/", console)

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/console/", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}
