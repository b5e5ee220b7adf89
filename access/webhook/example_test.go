package webhook_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/inproc/faas/access"
	"github.com/inproc/faas/access/webhook"
)

// A webhook of GitHub, with the values of GitHub's documentation.
func Example() {
	github, err := webhook.New("github", webhook.GitHub(access.NewSecret("It's a Secret to Everybody")))
	if err != nil {
		panic(err)
	}
	hook := github.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println("from", access.Caller(r.Context())) // r.Context() is for Router.Invoke
	}))
	for _, body := range []string{"Hello, World!", "Hello, World?", "Hello, World!"} {
		r := httptest.NewRequest(http.MethodPost, "/hooks/github", strings.NewReader(body))
		r.Header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
		w := httptest.NewRecorder()
		hook.ServeHTTP(w, r)
		fmt.Println(body, w.Code)
	}
	// Output:
	// from webhook "github"
	// Hello, World! 200
	// Hello, World? 401
	// Hello, World! 200
}
