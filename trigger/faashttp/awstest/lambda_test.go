package awstest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faashttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// keys are the credentials that the tests' clients sign with.
type keys struct{ id, secret string }

// Retrieve implements aws.CredentialsProvider.
func (k keys) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: k.id, SecretAccessKey: k.secret}, nil
}

// host serves a router over the Lambda wire until the test ends.
func host(t *testing.T, r *faas.Router, opts ...faashttp.LambdaOption) (url string) {
	t.Helper()
	l := faashttp.NewLambda(r, append([]faashttp.LambdaOption{faashttp.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	t.Cleanup(func() { _ = l.Shutdown(context.Background()) })
	return server.URL
}

func client(t *testing.T, url string, opts ...func(*lambda.Options)) *lambda.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return lambda.New(lambda.Options{
		Region: "us-east-1", BaseEndpoint: &url, Credentials: keys{"AKIDLOCAL", "secret"},
		HTTPClient: &http.Client{Transport: transport}, RetryMaxAttempts: 1,
	}, opts...)
}

func router(t *testing.T, opts ...faas.RouterOption) *faas.Router {
	t.Helper()
	return faastest.New(t, append([]faas.RouterOption{faas.WithContext(faashttp.Carry)}, opts...)...)
}

func echo(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil }

func call(name string, payload string) *lambda.InvokeInput {
	in := &lambda.InvokeInput{FunctionName: &name}
	if payload != "" {
		in.Payload = []byte(payload)
	}
	return in
}

func TestAnAnswerIsTheHandlersJSON(t *testing.T) {
	r := router(t)
	faas.Register(r, "echo", echo)
	faas.Register(r, "nothing", func(context.Context, struct{}) (any, error) { return nil, nil })
	faas.Register(r, "bytes", func(context.Context, struct{}) ([]byte, error) { return nil, nil })
	c := client(t, host(t, r))
	for payload, want := range map[string]string{`{"a":1}`: `{"a":1}`, `"ü"`: `"ü"`, "": "{}"} {
		out, err := c.Invoke(t.Context(), call("echo", payload))
		require.NoError(t, err)
		assert.EqualValues(t, 200, out.StatusCode)
		assert.Equal(t, "$LATEST", *out.ExecutedVersion)
		assert.Nil(t, out.FunctionError)
		assert.Nil(t, out.LogResult)
		assert.Equal(t, want, string(out.Payload))
	}
	for _, name := range []string{"nothing", "bytes"} {
		out, err := c.Invoke(t.Context(), call(name, ""))
		require.NoError(t, err)
		assert.Equal(t, "null", string(out.Payload), "no return value is null")
	}
}

func TestAFunctionIsFoundByEveryFormOfItsName(t *testing.T) {
	r := router(t)
	faas.Register(r, "echo", echo)
	c := client(t, host(t, r, faashttp.WithAddress("eu-north-1", "123456789012")))
	const arn = "arn:aws:lambda:eu-north-1:123456789012:function:echo"
	for _, name := range []string{"echo", "echo:$LATEST", "123456789012:echo", "123456789012:function:echo", "function:echo:$LATEST", arn, arn + ":$LATEST"} {
		out, err := c.Invoke(t.Context(), call(name, "1"))
		require.NoError(t, err, name)
		assert.Equal(t, "1", string(out.Payload))
	}
	in := call("echo", "1")
	in.Qualifier = aws.String("$LATEST")
	_, err := c.Invoke(t.Context(), in)
	require.NoError(t, err)
	for _, name := range []string{"echo:1", "echo:live", arn + ":7", strings.Replace(arn, "eu-", "us-", 1), strings.Replace(arn, "1234", "4321", 1)} {
		_, err := c.Invoke(t.Context(), call(name, "1"))
		var missing *types.ResourceNotFoundException
		require.ErrorAs(t, err, &missing, name)
	}
	in.Qualifier = aws.String("1")
	_, err = c.Invoke(t.Context(), in)
	var missing *types.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)
	assert.Equal(t, "Function not found: arn:aws:lambda:eu-north-1:123456789012:function:echo:1", missing.ErrorMessage())
}

func TestAnEventIsAcceptedAndRunsOnItsOwn(t *testing.T) {
	m := &faastest.Recorder{}
	r := router(t, faas.WithMeter(m))
	got := make(chan string, 1)
	faas.Register(r, "later", func(_ context.Context, in string) (struct{}, error) { got <- in; return struct{}{}, nil })
	c := client(t, host(t, r))
	in := call("later", `"x"`)
	in.InvocationType = types.InvocationTypeEvent
	out, err := c.Invoke(t.Context(), in)
	require.NoError(t, err)
	assert.EqualValues(t, 202, out.StatusCode)
	assert.Empty(t, out.Payload)
	assert.Nil(t, out.ExecutedVersion)
	assert.Equal(t, "x", <-got)
	require.NoError(t, m.Wait(t.Context(), 1))

	in.InvocationType = types.InvocationTypeDryRun
	out, err = c.Invoke(t.Context(), in)
	require.NoError(t, err)
	assert.EqualValues(t, 204, out.StatusCode)
	assert.Equal(t, 1, m.Len(), "a dry run runs nothing")
	in.FunctionName = aws.String("nobody")
	_, err = c.Invoke(t.Context(), in)
	var missing *types.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)
}

func TestTheLogsTailComesWithTheAnswer(t *testing.T) {
	r := router(t)
	faas.Register(r, "talk", func(ctx context.Context, n int) (int, error) {
		log := slog.New(slog.NewTextHandler(faashttp.Logs(ctx), nil))
		for i := range n {
			log.Info("line", "i", i)
		}
		return n, nil
	})
	c := client(t, host(t, r))
	in := call("talk", "2")
	in.LogType = types.LogTypeTail
	out, err := c.Invoke(t.Context(), in)
	require.NoError(t, err)
	log, err := base64.StdEncoding.DecodeString(*out.LogResult)
	require.NoError(t, err)
	assert.Regexp(t, `(?s)^START RequestId: \S{36} Version: \$LATEST\n.*msg=line i=0\n.*msg=line i=1\nEND RequestId: \S{36}\n$`, string(log))

	in.Payload = []byte("1000")
	out, err = c.Invoke(t.Context(), in)
	require.NoError(t, err)
	log, err = base64.StdEncoding.DecodeString(*out.LogResult)
	require.NoError(t, err)
	assert.Len(t, log, 4096)
	assert.Contains(t, string(log), "i=999\n")
}

type customError struct{}

func (*customError) Error() string { return "of my own" }

func TestAFunctionsErrorIsToldAsLambdaTellsIt(t *testing.T) {
	const huge = 6291556
	r := router(t, faas.WithTimeout(time.Second))
	faas.Register(r, "fail", func(context.Context, struct{}) (any, error) { return nil, errors.New("boom") })
	faas.Register(r, "custom", func(context.Context, struct{}) (any, error) { return nil, &customError{} })
	faas.Register(r, "wrapped", func(context.Context, struct{}) (any, error) { return nil, fmt.Errorf("why: %w", io.EOF) })
	faas.Register(r, "exit", func(context.Context, struct{}) (any, error) { runtime.Goexit(); return nil, nil })
	faas.Register(r, "late", func(ctx context.Context, _ struct{}) (any, error) { <-ctx.Done(); return nil, ctx.Err() })
	faas.Register(r, "huge", func(context.Context, struct{}) ([]byte, error) { return make([]byte, huge+1), nil }, faas.WithLimits(1<<20, huge))
	faas.Register(r, "shape", func(context.Context, int) (any, error) { return nil, nil })
	faas.Register(r, "channel", func(context.Context, struct{}) (any, error) { return make(chan int), nil })
	c := client(t, host(t, r))
	for name, want := range map[string]string{
		"fail":    `{"errorMessage":"boom","errorType":"errorString"}`,
		"custom":  `{"errorMessage":"of my own","errorType":"customError"}`,
		"wrapped": `{"errorMessage":"why: EOF","errorType":"wrapError"}`,
		"exit":    `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: Runtime exited without providing a reason"}`,
		"late":    `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: ID Error: Task timed out after 1.00 seconds"}`,
		"huge":    `{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}`,
		"shape":   `{"errorMessage":"json: cannot unmarshal object into Go value of type int","errorType":"UnmarshalTypeError"}`,
		"channel": `{"errorMessage":"json: unsupported type: chan int","errorType":"UnsupportedTypeError"}`,
	} {
		t.Run(name, func(t *testing.T) {
			out, err := c.Invoke(t.Context(), call(name, "{}"))
			require.NoError(t, err)
			assert.EqualValues(t, 200, out.StatusCode)
			require.NotNil(t, out.FunctionError)
			assert.Equal(t, "Unhandled", *out.FunctionError)
			id, _ := requestID(out)
			assert.Equal(t, strings.Replace(want, "ID Error", id+" Error", 1), string(out.Payload))
		})
	}
}

func TestTheRequestIDThatTheSDKReadsIsTheRecords(t *testing.T) {
	records := make(chan faas.Execution, 1)
	r := router(t, faas.WithMeter(faas.MeterFunc(func(_ context.Context, e faas.Execution) { records <- e })))
	faas.Register(r, "echo", echo)
	out, err := client(t, host(t, r)).Invoke(t.Context(), call("echo", "{}"))
	require.NoError(t, err)
	id, ok := requestID(out)
	require.True(t, ok)
	assert.Equal(t, faas.Origin{Trigger: "other", Door: "lambda", RequestID: id}, (<-records).Origin)
}

func TestAPanicIsToldWithItsStack(t *testing.T) {
	r := router(t)
	faas.Register(r, "panicky", func(context.Context, struct{}) (any, error) { panic("boom") })
	faas.Register(r, "nilmap", func(context.Context, struct{}) (any, error) {
		var m map[string]int
		m["x"] = 1 //nolint:govet,staticcheck // the case itself
		return nil, nil
	})
	c := client(t, host(t, r))
	for name, want := range map[string][2]string{
		"panicky": {"boom", "string"},
		"nilmap":  {"assignment to entry in nil map", "plainError"},
	} {
		out, err := c.Invoke(t.Context(), call(name, "{}"))
		require.NoError(t, err)
		var got struct {
			ErrorMessage, ErrorType string
			StackTrace              []struct {
				Path, Label string
				Line        int
			}
		}
		require.NoError(t, json.Unmarshal(out.Payload, &got))
		assert.Equal(t, want, [2]string{got.ErrorMessage, got.ErrorType})
		require.Len(t, got.StackTrace, 1, "the handler's frame, and none of the platform's: %s", out.Payload)
		assert.Equal(t, "github.com/inproc/faas/trigger/faashttp/awstest_test/lambda_test.go", got.StackTrace[0].Path)
		assert.Regexp(t, `^TestAPanicIsToldWithItsStack\.func\d$`, got.StackTrace[0].Label)
		assert.Positive(t, got.StackTrace[0].Line)
	}
}

func TestEveryRefusalHasTheSDKsType(t *testing.T) {
	r := router(t)
	faas.Register(r, "echo", echo, faas.WithLimits(100, 100))
	c := client(t, host(t, r))

	_, err := c.Invoke(t.Context(), call("nobody", "{}"))
	var missing *types.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)
	assert.Equal(t, "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody:$LATEST", *missing.Message)
	assert.Equal(t, "User", *missing.Type)

	_, err = c.Invoke(t.Context(), call("echo", "{"))
	var content *types.InvalidRequestContentException
	require.ErrorAs(t, err, &content)
	assert.Equal(t, "Could not parse request body into json: unexpected end of JSON input", *content.Message)
	assert.Equal(t, "User", *content.Type)

	_, err = c.Invoke(t.Context(), call("echo", strings.Repeat("1", 101)))
	var large *types.RequestTooLargeException
	require.ErrorAs(t, err, &large)
	assert.Equal(t, "Request must be smaller than 100 bytes for the InvokeFunction operation", *large.Message)

	_, err = c.Invoke(t.Context(), call("no.name", "{}"))
	var api interface{ ErrorCode() string }
	require.ErrorAs(t, err, &api)
	assert.Equal(t, "ValidationException", api.ErrorCode())
	assert.ErrorContains(t, err, `1 validation error detected: Value "no.name" at 'functionName' failed to satisfy constraint`)

	in := call("echo", "1")
	in.ClientContext = aws.String("not base64")
	_, err = c.Invoke(t.Context(), in)
	require.ErrorAs(t, err, &content)

	in = call("echo:$LATEST", "1")
	in.Qualifier = aws.String("live")
	_, err = c.Invoke(t.Context(), in)
	var parameter *types.InvalidParameterValueException
	require.ErrorAs(t, err, &parameter)

	require.NoError(t, r.Close())
	_, err = c.Invoke(t.Context(), call("echo", "1"))
	var service *types.ServiceException
	require.ErrorAs(t, err, &service)
	assert.Equal(t, "Service", *service.Type)
}

func TestAThrottleSaysWhoseLimitItIs(t *testing.T) {
	release := make(chan struct{})
	hold := func(context.Context, struct{}) (any, error) { <-release; return nil, nil }
	deny := gate(func(inv faas.Invocation) error {
		if inv.Function == "rated" {
			return &faas.Error{Reason: "rate", RetryAfter: 90 * time.Second, Err: faas.ErrOverloaded}
		}
		return nil
	})
	r := router(t, faas.WithCapacity(2), faas.WithQueue(0), faas.WithGate(deny))
	faas.Register(r, "reserved", hold, faas.WithConcurrency(1))
	faas.Register(r, "open", hold)
	faas.Register(r, "rated", hold)
	c := client(t, host(t, r))
	done := make(chan error, 2)
	for _, name := range []string{"reserved", "open"} {
		go func() {
			_, err := c.Invoke(t.Context(), call(name, "{}"))
			done <- err
		}()
	}
	require.Eventually(t, func() bool { return r.Stats().InFlight == 2 }, 10*time.Second, time.Millisecond)
	for name, want := range map[string]types.ThrottleReason{
		"reserved": types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded,
		"open":     types.ThrottleReasonConcurrentInvocationLimitExceeded,
		"rated":    types.ThrottleReasonCallerRateLimitExceeded,
	} {
		_, err := c.Invoke(t.Context(), call(name, "{}"))
		var throttled *types.TooManyRequestsException
		require.ErrorAs(t, err, &throttled, name)
		assert.Equal(t, want, throttled.Reason)
		assert.Equal(t, "Rate Exceeded.", *throttled.Message)
		assert.Equal(t, "User", *throttled.Type)
		after := map[bool]string{true: "90", false: "1"}[name == "rated"]
		assert.Equal(t, after, *throttled.RetryAfterSeconds)
	}
	close(release)
	require.NoError(t, errors.Join(<-done, <-done))
}

// gate is a faas.Gate that calls a function.
type gate func(inv faas.Invocation) error

func (g gate) Admit(_ context.Context, inv faas.Invocation) error { return g(inv) }
func (gate) Done(faas.Invocation, *faas.Execution)                {}

func TestADeniedCallLooksLikeAnUnknownOne(t *testing.T) {
	r := router(t, faas.WithGate(gate(func(faas.Invocation) error { return errors.New("no") })))
	faas.Register(r, "secret", func(context.Context, int) (any, error) { return nil, nil }, faas.WithLimits(10, 10))
	c := client(t, host(t, r))
	for _, payload := range []string{"1", "{", "{}", strings.Repeat("1", 11)} {
		for _, kind := range []types.InvocationType{"RequestResponse", "Event", "DryRun"} {
			in := call("secret", payload)
			in.InvocationType = kind
			_, err := c.Invoke(t.Context(), in)
			var missing *types.ResourceNotFoundException
			require.ErrorAs(t, err, &missing, "%s %s", kind, payload)
			assert.Equal(t, "Function not found: arn:aws:lambda:us-east-1:000000000000:function:secret:$LATEST", *missing.Message)
		}
	}
	list, err := c.ListFunctions(t.Context(), &lambda.ListFunctionsInput{})
	require.NoError(t, err)
	assert.Empty(t, list.Functions)
	_, err = c.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: aws.String("secret")})
	var missing *types.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)

	c = client(t, host(t, r, faashttp.WithForbidden()))
	_, err = c.Invoke(t.Context(), call("secret", "1"))
	var api interface{ ErrorCode() string }
	require.ErrorAs(t, err, &api)
	assert.Equal(t, "AccessDeniedException", api.ErrorCode())
}

func TestFunctionsAreListedPageByPage(t *testing.T) {
	r := router(t)
	var want []string
	for i := range 120 {
		want = append(want, fmt.Sprintf("f%03d", i))
		faas.Register(r, want[i], echo)
	}
	c := client(t, host(t, r))
	for _, size := range []int32{0, 1, 7, 50, 1000} {
		in := &lambda.ListFunctionsInput{}
		if size > 0 {
			in.MaxItems = &size
		}
		var got []string
		for p := lambda.NewListFunctionsPaginator(c, in); p.HasMorePages(); {
			page, err := p.NextPage(t.Context())
			require.NoError(t, err)
			assert.LessOrEqual(t, len(page.Functions), 50)
			for _, f := range page.Functions {
				got = append(got, *f.FunctionName)
			}
		}
		assert.Equal(t, want, got, size)
	}
	_, err := c.ListFunctions(t.Context(), &lambda.ListFunctionsInput{Marker: aws.String("!")})
	var parameter *types.InvalidParameterValueException
	require.ErrorAs(t, err, &parameter)
}

func TestAFunctionsConfigurationIsTold(t *testing.T) {
	r := router(t, faas.WithCapacity(77))
	faas.Register(r, "f", echo, faas.WithTimeout(1500*time.Millisecond), faas.WithConcurrency(3), faas.WithMemory(256<<20), faas.WithLabels(map[string]string{"team": "a"}))
	c := client(t, host(t, r))
	name := aws.String("f")
	f, err := c.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: name})
	require.NoError(t, err)
	assert.EqualValues(t, 3, *f.Concurrency.ReservedConcurrentExecutions)
	assert.Equal(t, map[string]string{"team": "a"}, f.Tags)
	configuration, err := c.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: name})
	require.NoError(t, err)
	assert.Equal(t, "arn:aws:lambda:us-east-1:000000000000:function:f", *configuration.FunctionArn)
	assert.EqualValues(t, 2, *configuration.Timeout)
	assert.EqualValues(t, 256, *configuration.MemorySize)
	assert.Equal(t, types.StateActive, f.Configuration.State)
	account, err := c.GetAccountSettings(t.Context(), &lambda.GetAccountSettingsInput{})
	require.NoError(t, err)
	assert.EqualValues(t, 77, account.AccountLimit.ConcurrentExecutions)
	assert.EqualValues(t, 1, account.AccountUsage.FunctionCount)
	require.NoError(t, lambda.NewFunctionActiveV2Waiter(c).Wait(t.Context(), &lambda.GetFunctionInput{FunctionName: name}, time.Minute))
	require.NoError(t, lambda.NewFunctionUpdatedWaiter(c).Wait(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: name}, time.Minute))
}

// read collects a response stream.
func read(t *testing.T, out *lambda.InvokeWithResponseStreamOutput) (pieces []string, end types.InvokeWithResponseStreamCompleteEvent) {
	t.Helper()
	s := out.GetStream()
	defer s.Close()
	ended := false
	for e := range s.Events() {
		switch e := e.(type) {
		case *types.InvokeWithResponseStreamResponseEventMemberPayloadChunk:
			pieces = append(pieces, string(e.Value.Payload))
		case *types.InvokeWithResponseStreamResponseEventMemberInvokeComplete:
			end, ended = e.Value, true
		}
	}
	require.NoError(t, s.Err())
	require.True(t, ended)
	return pieces, end
}

func TestAStreamArrivesPieceByPiece(t *testing.T) {
	r := router(t)
	gate := make(chan struct{})
	faas.RegisterStream(r, "count", func(ctx context.Context, n int, w io.Writer) error {
		fmt.Fprintln(faashttp.Logs(ctx), "counting")
		for i := range n {
			fmt.Fprint(w, i)
			if i == 0 {
				<-gate // until the first has arrived
			}
		}
		if n == 3 {
			return errors.New("boom")
		}
		return nil
	})
	faas.Register(r, "echo", echo)
	c := client(t, host(t, r))
	stream := func(name, payload string) *lambda.InvokeWithResponseStreamOutput {
		out, err := c.InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{
			FunctionName: &name, Payload: []byte(payload), LogType: types.LogTypeTail,
		})
		require.NoError(t, err)
		assert.EqualValues(t, 200, out.StatusCode)
		assert.Equal(t, "$LATEST", *out.ExecutedVersion)
		return out
	}
	out := stream("count", "2")
	first := (<-out.GetStream().Events()).(*types.InvokeWithResponseStreamResponseEventMemberPayloadChunk)
	assert.Equal(t, "0", string(first.Value.Payload))
	close(gate)
	pieces, end := read(t, out)
	assert.Equal(t, []string{"1"}, pieces)
	assert.Nil(t, end.ErrorCode)
	log, err := base64.StdEncoding.DecodeString(*end.LogResult)
	require.NoError(t, err)
	assert.Contains(t, string(log), "counting\n")

	pieces, end = read(t, stream("count", "3"))
	assert.Equal(t, []string{"0", "1", "2"}, pieces)
	assert.Equal(t, "Unhandled", *end.ErrorCode)
	assert.JSONEq(t, `{"errorMessage":"boom","errorType":"errorString"}`, *end.ErrorDetails)

	pieces, _ = read(t, stream("echo", `{"a":1}`))
	assert.Equal(t, []string{`{"a":1}`}, pieces)

	_, err = c.InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{FunctionName: aws.String("nobody")})
	var missing *types.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)
}

func TestALargePieceArrivesWhole(t *testing.T) {
	r := router(t, faas.WithLimits(1<<10, 32<<20))
	want := bytes.Repeat([]byte("0123456789abcdef"), 20<<16)
	faas.RegisterStream(r, "large", func(_ context.Context, _ struct{}, w io.Writer) error {
		_, err := w.Write(want)
		return err
	})
	c := client(t, host(t, r))
	out, err := c.InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{FunctionName: aws.String("large")})
	require.NoError(t, err)
	pieces, _ := read(t, out)
	assert.Len(t, pieces, 3)
	assert.Equal(t, string(want), strings.Join(pieces, ""))
}

func TestOnlySignedCallsPassWhereKeysAreAsked(t *testing.T) {
	r := router(t)
	faas.Register(r, "echo", echo)
	url := host(t, r, faashttp.WithCredentials(func(id string) (string, bool) { return "secret", id == "AKIDLOCAL" }))
	c := client(t, url)
	in := call("arn:aws:lambda:us-east-1:000000000000:function:echo", `{"a":"b c"}`)
	in.Qualifier = aws.String("$LATEST")
	in.ClientContext = aws.String(base64.StdEncoding.EncodeToString([]byte(`{"a":1}`)))
	out, err := c.Invoke(t.Context(), in)
	require.NoError(t, err)
	assert.JSONEq(t, `{"a":"b c"}`, string(out.Payload))
	_, err = c.ListFunctions(t.Context(), &lambda.ListFunctionsInput{MaxItems: aws.Int32(7)})
	require.NoError(t, err)
	stream, err := c.InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{FunctionName: aws.String("echo"), Payload: []byte("1")})
	require.NoError(t, err)
	pieces, _ := read(t, stream)
	assert.Equal(t, []string{"1"}, pieces)

	for want, k := range map[string]aws.CredentialsProvider{
		"InvalidSignatureException":           keys{"AKIDLOCAL", "wrong"},
		"UnrecognizedClientException":         keys{"AKIDOTHER", "secret"},
		"MissingAuthenticationTokenException": aws.AnonymousCredentials{},
	} {
		for _, name := range []string{"echo", "nobody"} {
			_, err := client(t, url, func(o *lambda.Options) { o.Credentials = k }).Invoke(t.Context(), call(name, "1"))
			var api interface{ ErrorCode() string }
			require.ErrorAs(t, err, &api)
			assert.Equal(t, want, api.ErrorCode())
		}
	}
	_, err = client(t, url, func(o *lambda.Options) { o.Region = "eu-north-1" }).Invoke(t.Context(), call("echo", "1"))
	assert.ErrorContains(t, err, "IncompleteSignatureException")
	assert.EqualValues(t, 2, mustInfo(t, r, "echo").Admitted, "nothing else came through")
}

func mustInfo(t *testing.T, r *faas.Router, name string) faas.Info {
	t.Helper()
	i, err := r.Info(name)
	require.NoError(t, err)
	return i
}
