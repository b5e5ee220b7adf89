package awstest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faashttp"
)

// inbox is a destination that puts what it receives into a channel.
func inbox(t *testing.T) (to faas.Destination, arrived chan string) {
	t.Helper()
	arrived = make(chan string, 16)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- string(body)
	}))
	t.Cleanup(s.Close)
	return faashttp.ToURL(s.URL, faashttp.WithNetworks("127.0.0.1"), faashttp.WithAddress("us-east-2", "123456789012")), arrived
}

// send sends an event, and returns the id that the SDK reads from the answer.
func send(t *testing.T, c *lambda.Client, name, payload string) (id string) {
	t.Helper()
	in := call(name, payload)
	in.InvocationType = types.InvocationTypeEvent
	out, err := c.Invoke(t.Context(), in)
	require.NoError(t, err)
	assert.EqualValues(t, 202, out.StatusCode)
	id, ok := requestID(out)
	require.True(t, ok)
	return id
}

// envelope decodes an envelope. It checks that its time has the right form and is now, and
// removes the time.
func envelope(t *testing.T, body string) (doc map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(body), &doc))
	text, ok := doc["timestamp"].(string)
	require.True(t, ok)
	at, err := time.Parse("2006-01-02T15:04:05.000Z", text)
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), at, time.Minute)
	delete(doc, "timestamp")
	return doc
}

// The envelope must have the fields of AWS's documented example (Developer Guide,
// "Capturing records of Lambda asynchronous invocations"), all of them and no others.
func TestAnEventThatFailsIsTriedAgainAndItsDeadLetterIsLambdas(t *testing.T) {
	m := &faastest.Recorder{}
	r := router(t, faas.WithMeter(m))
	to, arrived := inbox(t)
	faas.Register(r, "my-function", func(context.Context, map[string]any) (any, error) { return nil, errors.New("process exited") },
		faas.WithRetry(faas.Retry{Max: 2, First: time.Millisecond}), faas.WithOnFailure(to))
	c := client(t, host(t, r, faashttp.WithAddress("us-east-2", "123456789012")))
	id := send(t, c, "my-function", `{"ORDER_IDS":["9e07af03-ce31-4ff3-xmpl-36dce652cb4f"]}`)
	assert.Equal(t, map[string]any{
		"version": "1.0",
		"requestContext": map[string]any{
			"requestId": id, "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:my-function:$LATEST",
			"condition": "RetriesExhausted", "approximateInvokeCount": 3.0,
		},
		"requestPayload":  map[string]any{"ORDER_IDS": []any{"9e07af03-ce31-4ff3-xmpl-36dce652cb4f"}},
		"responseContext": map[string]any{"statusCode": 200.0, "executedVersion": "$LATEST", "functionError": "Unhandled"},
		"responsePayload": map[string]any{"errorMessage": "process exited", "errorType": "errorString"},
	}, envelope(t, <-arrived))
	require.Equal(t, 3, m.Len())
	for i, e := range m.Executions() {
		assert.Equal(t, []any{id, id, i + 1}, []any{e.Job.String(), e.Origin.RequestID, e.Attempt})
	}
}

func TestTheResultOfAnEventGoesWhereTheFunctionSays(t *testing.T) {
	r := router(t)
	to, arrived := inbox(t)
	faas.Register(r, "double", func(_ context.Context, n int) (int, error) { return 2 * n, nil }, faas.WithVersion(4), faas.WithOnSuccess(to))
	require.NoError(t, r.SetAlias("double", "live", faas.Weights{4: 1}))
	c := client(t, host(t, r))
	id := send(t, c, "double:live", "21")
	assert.Equal(t, map[string]any{
		"version": "1.0",
		"requestContext": map[string]any{
			"requestId": id, "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:double:live", "condition": "Success", "approximateInvokeCount": 1.0,
		},
		"requestPayload":  21.0,
		"responseContext": map[string]any{"statusCode": 200.0, "executedVersion": "4"},
		"responsePayload": 42.0,
	}, envelope(t, <-arrived))
}

func TestAFunctionThatIsOffLosesItsEventsToTheDestination(t *testing.T) {
	r := router(t)
	to, arrived := inbox(t)
	fn := faas.Register(r, "off", echo, faas.WithOnFailure(to))
	require.NoError(t, r.SetConcurrency("off", 0))
	c := client(t, host(t, r))
	id := send(t, c, "off", `{"a":1}`)
	assert.Equal(t, map[string]any{
		"version": "1.0",
		"requestContext": map[string]any{
			"requestId": id, "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:off:$LATEST",
			"condition": "ZeroReservedConcurrency", "approximateInvokeCount": 0.0,
		},
		"requestPayload": map[string]any{"a": 1.0},
	}, envelope(t, <-arrived))
	assert.Zero(t, fn.Info().Admitted)
}

func TestTheSDKReadsWhatHappensToEvents(t *testing.T) {
	r := router(t)
	faas.Register(r, "f", echo, faas.WithMaxAge(time.Hour), faas.WithOnFailure(faas.ToFunction("undertaker")))
	faas.Register(r, "f", echo, faas.WithVersion(1), faas.WithRetry(faas.Retry{}))
	c := client(t, host(t, r))
	before := time.Now().Add(-time.Minute)
	got, err := c.GetFunctionEventInvokeConfig(t.Context(), &lambda.GetFunctionEventInvokeConfigInput{FunctionName: aws.String("f")})
	require.NoError(t, err)
	assert.Equal(t, []any{"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST", int32(2), int32(3600)},
		[]any{*got.FunctionArn, *got.MaximumRetryAttempts, *got.MaximumEventAgeInSeconds})
	assert.Equal(t, "arn:aws:lambda:us-east-1:000000000000:function:undertaker", *got.DestinationConfig.OnFailure.Destination)
	assert.Nil(t, got.DestinationConfig.OnSuccess.Destination)
	assert.WithinRange(t, *got.LastModified, before, time.Now())

	var arns []string
	pages := lambda.NewListFunctionEventInvokeConfigsPaginator(c, &lambda.ListFunctionEventInvokeConfigsInput{FunctionName: aws.String("f"), MaxItems: aws.Int32(1)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		require.Len(t, page.FunctionEventInvokeConfigs, 1)
		arns = append(arns, *page.FunctionEventInvokeConfigs[0].FunctionArn)
	}
	assert.Equal(t, []string{"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST", "arn:aws:lambda:us-east-1:000000000000:function:f:1"}, arns)

	var set *types.InvalidParameterValueException
	_, err = c.PutFunctionEventInvokeConfig(t.Context(), &lambda.PutFunctionEventInvokeConfigInput{FunctionName: aws.String("f"), MaximumRetryAttempts: aws.Int32(0)})
	require.ErrorAs(t, err, &set)
	assert.Contains(t, set.ErrorMessage(), "faas.WithRetry")
	_, err = c.UpdateFunctionEventInvokeConfig(t.Context(), &lambda.UpdateFunctionEventInvokeConfigInput{FunctionName: aws.String("f"), Qualifier: aws.String("1")})
	require.ErrorAs(t, err, &set)
	_, err = c.DeleteFunctionEventInvokeConfig(t.Context(), &lambda.DeleteFunctionEventInvokeConfigInput{FunctionName: aws.String("f")})
	require.ErrorAs(t, err, &set)
	var missing *types.ResourceNotFoundException
	_, err = c.GetFunctionEventInvokeConfig(t.Context(), &lambda.GetFunctionEventInvokeConfigInput{FunctionName: aws.String("nobody")})
	require.ErrorAs(t, err, &missing)
}

func TestOnlySignedRequestsSeeWhatHappensToEvents(t *testing.T) {
	r := router(t)
	faas.Register(r, "f", echo)
	url := host(t, r, faashttp.WithCredentials(func(id string) (string, bool) { return "secret", id == "AKIDLOCAL" }))
	ours, strange := client(t, url), client(t, url, func(o *lambda.Options) { o.Credentials = keys{"AKIDLOCAL", "guessed"} })
	for c, passes := range map[*lambda.Client]bool{ours: true, strange: false} {
		_, err := c.GetFunctionEventInvokeConfig(t.Context(), &lambda.GetFunctionEventInvokeConfigInput{FunctionName: aws.String("f")})
		assert.Equal(t, passes, err == nil, err)
		_, err = c.PutFunctionEventInvokeConfig(t.Context(), &lambda.PutFunctionEventInvokeConfigInput{FunctionName: aws.String("f"), MaximumRetryAttempts: aws.Int32(0)})
		var set *types.InvalidParameterValueException
		assert.Equal(t, passes, errors.As(err, &set), err)
	}
}
