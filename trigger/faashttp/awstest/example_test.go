package awstest_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

// likeLambda is a middleware that puts the same values on the context as Lambda's runtime.
// Given to faas.New, it works for all functions.
func likeLambda(next faas.Runner) faas.Runner {
	return func(ctx context.Context, inv faas.Invocation) error {
		return next(lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{
			AwsRequestID:       inv.Origin.RequestID,
			InvokedFunctionArn: "arn:aws:lambda:us-east-1:000000000000:function:" + inv.Function,
		}), inv)
	}
}

// A handler that reads lambdacontext, behind a function URL.
func Example_lambdacontext() {
	r := faas.New(faas.WithMiddleware(likeLambda))
	defer r.Close()
	hook := func(ctx context.Context, req events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
		lc, ok := lambdacontext.FromContext(ctx)
		return events.LambdaFunctionURLResponse{
			StatusCode: 201,
			Body:       fmt.Sprintf("%s %s, %s %t", req.RequestContext.HTTP.Method, req.RawPath, lc.InvokedFunctionArn, ok && lc.AwsRequestID != ""),
		}, nil
	}
	faas.Register(r, "hook", hook)
	w := httptest.NewRecorder()
	faashttp.FunctionURL(r, "hook").ServeHTTP(w, httptest.NewRequest("POST", "http://localhost/orders", strings.NewReader("{}")))
	fmt.Println(w.Code, w.Body)
	// Output: 201 POST /orders, arn:aws:lambda:us-east-1:000000000000:function:hook true
}

// lambda.NewHandler accepts a handler of any signature that lambda.Start accepts. Its
// Invoke takes and returns bytes, so it is a faas.Handler[[]byte, []byte].
func Example_anySignature() {
	r := faas.New(faas.WithMiddleware(likeLambda))
	defer r.Close()
	thumbnails := func(_ context.Context, event events.S3Event) error {
		for _, record := range event.Records {
			fmt.Println("made", record.S3.Object.Key)
		}
		return nil
	}
	faas.Register(r, "thumbnails", lambda.NewHandler(thumbnails).Invoke)
	wire := httptest.NewRecorder()
	faashttp.NewLambda(r).ServeHTTP(wire, httptest.NewRequest("POST", "http://localhost/2015-03-31/functions/thumbnails/invocations",
		strings.NewReader(`{"Records": [{"eventSource": "aws:s3", "s3": {"object": {"key": "cat.png"}}}]}`)))
	fmt.Println(wire.Code, wire.Body)
	// Output:
	// made cat.png
	// 200 null
}
