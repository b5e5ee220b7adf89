package faashttp_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faashttp"
)

// TestTheWiresErrorsAreThisToTheLetter checks what SDKs do not check: the exact bodies, and
// upper and lower case of their keys.
func TestTheWiresErrorsAreThisToTheLetter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t, faas.WithQueue(0))
		release := make(chan struct{})
		faas.Register(r, "echo", echo, faas.WithLimits(10, 10))
		faas.Register(r, "hold", func(context.Context, any) (any, error) { <-release; return nil, nil }, faas.WithConcurrency(1))
		faas.Register(r, "off", echo, faas.WithConcurrency(0)) // on Lambda: a reserved concurrency of 0
		l := lambdaOf(t, r)
		go do(t, l, "POST", invocations("hold"), "1")
		time.Sleep(time.Millisecond)
		for _, c := range []struct {
			path, body string
			status     int
			kind, want string
		}{
			{invocations("nobody"), "1", 404, "ResourceNotFoundException", `{"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody:$LATEST","Type":"User"}`},
			{invocations("hold"), "1", 429, "TooManyRequestsException", `{"message":"Rate Exceeded.","Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User"}`},
			{invocations("off"), "1", 429, "TooManyRequestsException", `{"message":"Rate Exceeded.","Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User"}`},
			{invocations("echo"), "{", 400, "InvalidRequestContentException", `{"message":"Could not parse request body into json: unexpected end of JSON input","Type":"User"}`},
			{invocations("echo"), strings.Repeat("1", 11), 413, "RequestTooLargeException", `{"message":"Request must be smaller than 10 bytes for the InvokeFunction operation","Type":"User"}`},
			{invocations("-"), "1", 404, "ResourceNotFoundException", `{"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:-:$LATEST","Type":"User"}`},
			{invocations("a%0Ab"), "1", 400, "ValidationException", `{"message":"1 validation error detected: Value \"a\\nb\" at 'functionName' failed to satisfy constraint: Member must be a function name, a partial ARN or an ARN"}`},
			{"/2015-03-31/layers", "", 404, "UnknownOperationException", `{"message":"There is no such operation."}`},
		} {
			w := do(t, l, "POST", c.path, c.body)
			assert.Equal(t, c.status, w.Code, c.path)
			assert.Equal(t, c.kind, w.Header().Get("X-Amzn-ErrorType"))
			assert.Equal(t, c.want, w.Body.String())
			assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
			assert.Len(t, w.Header().Get("X-Amzn-RequestId"), 36)
			assert.Equal(t, map[bool]string{true: "1"}[c.status == 429], w.Header().Get("Retry-After"))
		}
		close(release)
		require.NoError(t, r.Close())
		w := do(t, l, "POST", invocations("echo"), "1")
		assert.Equal(t, 500, w.Code)
		assert.Equal(t, `{"Message":"The host is shutting down.","Type":"Service"}`, w.Body.String()) //nolint:testifylint // to the letter
	})
}

// rude is an error whose Error method panics, or takes an hour.
type rude struct{ panics bool }

func (r rude) Error() string {
	if r.panics {
		panic("no")
	}
	time.Sleep(time.Hour)
	return "late"
}

func TestAnErrorWithoutMannersIsNamedByItsType(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.Register(r, "rude", func(_ context.Context, panics bool) (any, error) { return nil, rude{panics} })
		faas.Register(r, "ruder", func(_ context.Context, panics bool) (any, error) { panic(rude{panics}) })
		l := lambdaOf(t, r)
		for _, name := range []string{"rude", "ruder"} {
			for panics, want := range map[string]string{"true": "(faashttp_test.rude that does not say what it is)", "false": "(faashttp_test.rude that does not answer)"} {
				start := time.Now()
				w := do(t, l, "POST", invocations(name), panics)
				var got struct{ ErrorMessage, ErrorType string }
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
				assert.Equal(t, want, got.ErrorMessage)
				assert.Equal(t, "rude", got.ErrorType)
				assert.LessOrEqual(t, time.Since(start), time.Second)
			}
		}
		time.Sleep(2 * time.Hour) // until the last Error method has returned
	})
}

func TestAListingKeepsItsPlaceWhileFunctionsComeAndGo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		for i := range 5 {
			faas.Register(r, fmt.Sprintf("f%d", i), echo)
		}
		l := lambdaOf(t, r)
		page := func(marker string) (names []string, next string) {
			var doc struct {
				Functions  []struct{ FunctionName string }
				NextMarker string
			}
			w := do(t, l, "GET", "/2015-03-31/functions/?MaxItems=2&Marker="+marker, "")
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &doc))
			for _, f := range doc.Functions {
				names = append(names, f.FunctionName)
			}
			return names, doc.NextMarker
		}
		names, next := page("")
		assert.Equal(t, []string{"f0", "f1"}, names)
		require.NoError(t, r.Remove("f1"))
		names, next = page(next)
		assert.Equal(t, []string{"f2", "f3"}, names)
		names, next = page(next)
		assert.Equal(t, []string{"f4"}, names)
		assert.Empty(t, next)
		for _, bad := range []string{"MaxItems=0", "MaxItems=10001", "MaxItems=x", "Marker=%21", "Marker=YS9i"} {
			assert.Equal(t, 400, do(t, l, "GET", "/2015-03-31/functions?"+bad, "").Code, bad)
		}
	})
}

// No call could name a function of a region or account with a wrong form.
func TestAnAddressThatTheWireWouldNotTakeIsAMistake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.Register(r, "echo", echo)
		for _, bad := range [][2]string{
			{"local", "123456789012"},
			{"", "123456789012"},
			{"eu-north-1", ""},
			{"eu-north-1", "1"},
			{"eu-north-1", "12345678901x"},
			{"eu-north", "123456789012"},
			{"EU-north-1", "123456789012"},
			{"eu-north-1:x", "123456789012"},
			{"eu-north-12", "123456789012"},
		} {
			assert.PanicsWithError(t, fmt.Sprintf("faashttp: WithAddress(%q, %q): a region looks like us-east-1, and an account has 12 digits", bad[0], bad[1]),
				func() { faashttp.NewLambda(r, faashttp.WithAddress(bad[0], bad[1])) })
		}
		for _, good := range [][2]string{{"eu-north-1", "123456789012"}, {"us-gov-west-1", "000000000000"}, {"us-isob-east-1", "123456789012"}} {
			l := lambdaOf(t, r, faashttp.WithAddress(good[0], good[1]))
			assert.Equal(t, 200, do(t, l, "POST", invocations("arn:aws:lambda:"+good[0]+":"+good[1]+":function:echo"), "1").Code, good)
		}
	})
}

// Package json replaces bytes that are not UTF-8, so the function would get other data than
// was sent.
func TestJSONIsUTF8OverTheWire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t)
		faas.Register(r, "echo", echo)
		l := lambdaOf(t, r)
		for _, kind := range []string{"RequestResponse", "Event", "DryRun"} {
			w := do(t, l, "POST", invocations("echo"), "{\"a\":\"\xff\"}", "X-Amz-Invocation-Type: "+kind)
			assert.Equal(t, 400, w.Code)
			assert.Equal(t, "InvalidRequestContentException", w.Header().Get("X-Amzn-ErrorType"))
			assert.Contains(t, w.Body.String(), "invalid UTF-8")
		}
		w := do(t, l, "POST", invocations("echo"), "1", "X-Amz-Client-Context: "+base64.StdEncoding.EncodeToString([]byte("\"\xff\"")))
		assert.Equal(t, 400, w.Code)
		assert.Equal(t, 200, do(t, l, "POST", invocations("echo"), `"\ud800é"`).Code)
		require.NoError(t, l.Shutdown(t.Context()))
		assert.Equal(t, 1, m.Len())
	})
}

func TestAFunctionsErrorIsJSONWhateverItsAnswerWouldHaveBeen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.Register(r, "bytes", func(_ context.Context, fails bool) ([]byte, error) {
			if fails {
				return nil, errNo
			}
			return []byte("out"), nil
		})
		faas.RegisterStream(r, "stream", func(_ context.Context, fails bool, w io.Writer) error {
			_, _ = io.WriteString(w, "out")
			if fails {
				return errNo
			}
			return nil
		})
		l := lambdaOf(t, r)
		for _, name := range []string{"bytes", "stream"} {
			w := do(t, l, "POST", invocations(name), "false")
			assert.Equal(t, "out", w.Body.String())
			assert.Equal(t, "application/octet-stream", w.Header().Get("Content-Type"), name)
			w = do(t, l, "POST", invocations(name), "true")
			assert.Equal(t, "Unhandled", w.Header().Get("X-Amz-Function-Error"))
			assert.Equal(t, "application/json", w.Header().Get("Content-Type"), name)
			assert.JSONEq(t, `{"errorMessage":"the secret reason","errorType":"errorString"}`, w.Body.String())
		}
	})
}

func TestAnInvocationTypeThatAnOperationDoesNotTakeIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, m := hosted(t)
		faas.Register(r, "echo", echo)
		l := lambdaOf(t, r)
		const streaming = "/2021-11-15/functions/echo/response-streaming-invocations"
		for _, c := range []struct{ path, kind, takes string }{
			{invocations("echo"), "event", "[Event, RequestResponse, DryRun]"},
			{streaming, "event", "[RequestResponse, DryRun]"},
			{streaming, "Event", "[RequestResponse, DryRun]"},
		} {
			w := do(t, l, "POST", c.path, "1", "X-Amz-Invocation-Type: "+c.kind)
			assert.Equal(t, 400, w.Code)
			assert.Equal(t, "ValidationException", w.Header().Get("X-Amzn-ErrorType"))
			assert.Contains(t, w.Body.String(), c.takes)
		}
		for _, path := range []string{invocations("echo"), streaming} {
			assert.Equal(t, 204, do(t, l, "POST", path, "1", "X-Amz-Invocation-Type: DryRun").Code)
			assert.Equal(t, 200, do(t, l, "POST", path, "1", "X-Amz-Invocation-Type: RequestResponse").Code)
		}
		assert.Equal(t, 2, m.Len(), "only the calls ran")
	})
}

func TestTheLogOfACallComesWithItsAnswerIfTheClientAsks(t *testing.T) {
	t.Parallel()
	for _, carry := range []bool{false, true} {
		opts := []faas.RouterOption{faas.WithLogger(slog.New(slog.DiscardHandler)), faas.WithLogLevel(slog.LevelInfo)}
		if carry {
			opts = append(opts, faas.WithContext(faashttp.Carry))
		}
		r := faastest.New(t, opts...)
		faas.Register(r, "f", func(ctx context.Context, _ struct{}) (int, error) {
			faas.Logger(ctx).Debug("too much")
			faas.Logger(ctx).Info("at work")
			_, _ = io.WriteString(faashttp.Logs(ctx), "raw\n")
			return 1, nil
		})
		l := faashttp.NewLambda(r)
		w := do(t, l, "POST", invocations("f"), "{}", "X-Amz-Log-Type: Tail", "X-Amzn-RequestId: 1")
		log, err := base64.StdEncoding.DecodeString(w.Header().Get("X-Amz-Log-Result"))
		require.NoError(t, err)
		raw := ""
		if carry {
			raw = "raw\n"
		}
		assert.Regexp(t, `^START RequestId: \S+ Version: \$LATEST\ntime=\S+ level=INFO msg="at work" function=f version=\$LATEST id=\S+ request=\S+ attempt=1\n`+raw+`END RequestId: \S+\n$`, string(log))
		assert.Empty(t, do(t, l, "POST", invocations("f"), "{}").Header().Get("X-Amz-Log-Result"))
	}
}
