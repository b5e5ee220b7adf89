package access_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
)

// A service authenticates requests by tokens and authorizes calls by rules.
func Example() {
	rules, err := access.ParseRules([]byte(`[
		{"functions": ["checkout"], "principals": ["user:*"]},
		{"functions": ["charge"], "principals": ["function:checkout"]}
	]`))
	if err != nil {
		panic(err)
	}
	r := faas.New(faas.WithGate(access.Authorizer(rules.Authorize, access.WithInline())))
	defer r.Close()
	faas.Register(r, "charge", func(context.Context, string) (string, error) { return "charged", nil })
	faas.Register(r, "checkout", func(ctx context.Context, cart string) (string, error) {
		out, err := r.Invoke(ctx, "charge", []byte(`"`+cart+`"`))
		return "checked out, " + string(out), err
	})

	tokens, err := access.NewTokens()
	if err != nil {
		panic(err)
	}
	token, _, err := tokens.Issue(access.Principal{Kind: access.User, ID: "ana"}, 0) // the second result is to be stored
	if err != nil {
		panic(err)
	}
	door := access.Bearer(tokens)(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		out, err := r.Invoke(req.Context(), req.URL.Path[1:], []byte(`"cart 7"`))
		if errors.Is(err, faas.ErrDenied) || errors.Is(err, faas.ErrNotFound) {
			http.NotFound(w, req)
			return
		}
		_, _ = w.Write(out)
	}))
	call := func(path string, token access.Secret) {
		req := httptest.NewRequest(http.MethodPost, path, nil)
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
		w := httptest.NewRecorder()
		door.ServeHTTP(w, req)
		fmt.Println(path, w.Code, w.Body)
	}
	call("/checkout", token)
	call("/charge", token) // ana may not call it: checkout may
	call("/unknown", token)
	call("/checkout", access.NewSecret("guess"))
	fmt.Println(token)
	// Output:
	// /checkout 200 "checked out, \"charged\""
	// /charge 404 404 page not found
	//
	// /unknown 404 404 page not found
	//
	// /checkout 401 not authenticated
	//
	// [redacted]
}

// An authorizer is a func. For example, it may call a policy service, or read a table.
func ExampleAuthorizer() {
	gate := access.Authorizer(func(_ context.Context, p access.Principal, inv faas.Invocation) error {
		if p.Kind == access.User && inv.Labels["public"] == "yes" {
			return nil
		}
		return errors.New("not public")
	})
	r := faas.New(faas.WithGate(gate))
	defer r.Close()
	f := faas.Register(r, "f", func(context.Context, int) (int, error) { return 1, nil })

	ctx := access.WithPrincipal(context.Background(), access.Principal{Kind: access.User, ID: "ana"})
	_, err := f.Invoke(ctx, 0)
	fmt.Println(errors.Is(err, faas.ErrDenied), err)
	// Output: true faas: invoke "f": denied to user "ana": not public
}

// One function has a secret, and nothing prints it.
func ExampleGive() {
	r := faas.New()
	defer r.Close()
	f := faas.Register(r, "mail", func(ctx context.Context, _ int) (string, error) {
		key, _ := access.Given(ctx, "smtp")
		return fmt.Sprintf("%v has %d characters", key, len(key.Reveal())), nil
	}, access.Give("smtp", access.NewSecret("hunter2")))
	out, err := f.Invoke(context.Background(), 0)
	fmt.Println(out, err)
	// Output: [redacted] has 7 characters <nil>
}
