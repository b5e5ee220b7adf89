package faashttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

type bill struct {
	Total int `json:"total"`
}

func price(_ context.Context, o order) (bill, error) {
	if o.Count < 1 {
		return bill{}, &faashttp.Problem{Status: 422, Reason: "empty", Detail: "Nothing is ordered."}
	}
	return bill{Total: 5 * o.Count}, nil
}

// The handlers are mounted beside the routes of an existing service. Functions are
// then called over HTTP and, with AWS's own tools, over Lambda's wire.
func Example_mount() {
	router := faas.New(faas.WithContext(faashttp.Carry))
	defer router.Close()
	faas.Register(router, "price", price)

	mux := http.NewServeMux() // the service's own
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	front := faashttp.Handler(router, faashttp.WithHosts("functions.example.com"))
	for _, path := range []string{"/fn/", "/healthz", "/readyz"} {
		mux.Handle(path, front)
	}
	mux.Handle("/v1/price", faashttp.Function(router, "price")) // one, at a path of your choice
	mux.Handle("/2015-03-31/", faashttp.NewLambda(router))

	server := httptest.NewServer(mux)
	defer server.Close()
	for _, body := range []string{`{"item":"tea","count":3}`, `{}`} {
		res, err := http.Post(server.URL+"/v1/price", "application/json", strings.NewReader(body))
		if err != nil {
			fmt.Println(err)
			return
		}
		answer, _ := io.ReadAll(res.Body)
		res.Body.Close()
		fmt.Println(res.StatusCode, strings.Split(string(answer), `,"requestId"`)[0])
	}
	// Output:
	// 200 {"total":15}
	// 422 {"title":"Unprocessable Entity","status":422,"detail":"Nothing is ordered.","reason":"empty"
}

// A handler of your own calls a function, and answers an error as the front does.
func ExampleProblemOf() {
	router := faas.New()
	defer router.Close()
	price := faas.Register(router, "price", price)
	http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		total, err := price.Invoke(r.Context(), order{Item: r.FormValue("item")})
		if err != nil {
			faashttp.ProblemOf(err, "price").ServeHTTP(w, r)
			return
		}
		fmt.Fprintln(w, total)
	}).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/?item=tea", nil))

	_, err := price.Invoke(context.Background(), order{})
	p := faashttp.ProblemOf(err, "price")
	fmt.Println(p.Status, p.Reason, p.RetryAfter)
	_ = router.Close()
	_, err = price.Invoke(context.Background(), order{})
	p = faashttp.ProblemOf(err, "price")
	fmt.Println(p.Status, p.Reason, p.RetryAfter)
	// Output:
	// 422 empty 0s
	// 503 closed 1s
}

// A server of the functions alone. It drains when its context ends, for example on
// SIGTERM if the context is one of signal.NotifyContext.
func ExampleNewServer() {
	router := faas.New()
	faas.Register(router, "price", price)
	lambda := faashttp.NewLambda(router)
	server := faashttp.NewServer(router, lambda, faashttp.WithAddr("127.0.0.1:0"))

	ctx, stop := context.WithCancel(context.Background())
	stop() // at once, in an example
	fmt.Println(server.Run(ctx))
	// Output:
	// <nil>
}

// A client of Lambda's wire that asks for the log gets what a handler writes to it, for
// example with aws lambda invoke --log-type Tail.
func ExampleLogs() {
	router := faas.New(faas.WithContext(faashttp.Carry))
	defer router.Close()
	faas.Register(router, "work", func(ctx context.Context, _ struct{}) (string, error) {
		log := slog.New(slog.NewTextHandler(faashttp.Logs(ctx), nil))
		req, _ := faashttp.FromContext(ctx)
		log.Info("at work", "request", req.ID)
		return "done", nil
	})
	req := httptest.NewRequest(http.MethodPost, "/2015-03-31/functions/work/invocations", strings.NewReader("{}"))
	req.Header.Set("X-Amz-Log-Type", "Tail")
	w := httptest.NewRecorder()
	faashttp.NewLambda(router).ServeHTTP(w, req)
	fmt.Println(w.Body, w.Header().Get("X-Amz-Log-Result") != "")
	// Output:
	// "done" true
}

// A function behind a function URL returns a status, headers and cookies. Its output may
// also have a type of github.com/aws/aws-lambda-go/events.
func ExampleFunctionURL() {
	router := faas.New()
	defer router.Close()
	type event struct {
		RawPath string `json:"rawPath"`
	}
	type response struct {
		StatusCode int               `json:"statusCode"`
		Headers    map[string]string `json:"headers"`
		Body       string            `json:"body"`
	}
	faas.Register(router, "hook", func(_ context.Context, e event) (response, error) {
		return response{StatusCode: 202, Headers: map[string]string{"Content-Type": "text/plain"}, Body: "got " + e.RawPath}, nil
	})
	w := httptest.NewRecorder()
	faashttp.FunctionURL(router, "hook").ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/a/b", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"), w.Body)
	// Output:
	// 202 text/plain got /a/b
}

// A job that is given up is posted to a URL, in the form of AWS Lambda's destinations.
func ExampleToURL() {
	letters := make(chan string)
	ops := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e faas.JobEnvelope
		_ = json.NewDecoder(r.Body).Decode(&e)
		letters <- fmt.Sprintf("%s after %d attempts: %s", e.RequestContext.Condition, e.RequestContext.ApproximateInvokeCount, e.ResponsePayload)
	}))
	defer ops.Close()

	router := faas.New()
	defer router.Close()
	charge := faas.Register(router, "charge", func(context.Context, order) (bill, error) { return bill{}, errors.New("the card is declined") },
		faas.WithRetry(faas.Retry{Max: 1, First: time.Millisecond}),
		faas.WithOnFailure(faashttp.ToURL(ops.URL, faashttp.WithNetworks("127.0.0.1")))) // of one's own network, and so named

	if _, err := charge.Send(context.Background(), order{"tea", 3}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-letters)
	// Output:
	// RetriesExhausted after 2 attempts: {"errorMessage":"the card is declined","errorType":"errorString"}
}

// A caller that does not want to wait gets the path of a job.
func ExampleHandler_respondAsync() {
	router := faas.New()
	defer router.Close()
	faas.Register(router, "price", price)
	front := faashttp.Handler(router)
	ask := func(method, path, body string) *httptest.ResponseRecorder {
		w, req := httptest.NewRecorder(), httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
		req.Header.Set("Prefer", "respond-async")
		front.ServeHTTP(w, req)
		return w
	}

	accepted := ask("POST", "/fn/price", `{"item":"tea","count":3}`)
	fmt.Println(accepted.Code, accepted.Header().Get("Preference-Applied"))
	var job struct {
		State  string
		Result bill
	}
	for job.State != "Succeeded" {
		_ = json.Unmarshal(ask("GET", accepted.Header().Get("Location"), "").Body.Bytes(), &job)
	}
	fmt.Println(job.Result)
	// Output:
	// 202 respond-async
	// {15}
}
