package faashttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

func configs(name string) string { return "/2019-09-25/functions/" + name + "/event-invoke-config" }

// config returns the API's answer without the time of the last change.
func config(arn string, retries, seconds int, success, failure string) string {
	to := func(d string) string {
		if d == "" {
			return "{}"
		}
		return `{"Destination":"` + d + `"}`
	}
	return fmt.Sprintf(`{"FunctionArn":%q,"LastModified":946684800,"MaximumRetryAttempts":%d,"MaximumEventAgeInSeconds":%d,"DestinationConfig":{"OnSuccess":%s,"OnFailure":%s}}`,
		arn, retries, seconds, to(success), to(failure))
}

const arnOf = "arn:aws:lambda:us-east-1:000000000000:function:"

func TestWhatHappensToEventsIsToldAsTheFunctionsOptionsSay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.Register(r, "plain", echo)
		faas.Register(r, "told", echo, faas.WithRetry(faas.Retry{}), faas.WithMaxAge(90*time.Second+1),
			faas.WithOnSuccess(faas.ToFunction("next:live")), faas.WithOnFailure(faashttp.ToURL("https://ops.example.com/dead?key=secret")))
		callback := faas.ToFunc(func(context.Context, faas.JobEnvelope) error { return nil })
		faas.Register(r, "told", echo, faas.WithVersion(2), faas.WithRetry(faas.Retry{Max: 7}), faas.WithOnFailure(callback))
		require.NoError(t, r.SetAlias("told", "live", faas.Weights{2: 1}))
		l := lambdaOf(t, r)
		told := config(arnOf+"told:$LATEST", 0, 91, arnOf+"next:live", "https://ops.example.com/dead")
		second := config(arnOf+"told:2", 7, 21600, "", "func")
		for target, want := range map[string]string{
			configs("plain"):                                 config(arnOf+"plain:$LATEST", 2, 21600, "", ""),
			configs("told"):                                  told,
			configs("told:$LATEST"):                          told,
			configs(arnOf+"told") + "?Qualifier=2":           second,
			configs("told") + "?Qualifier=live":              config(arnOf+"told:live", 7, 21600, "", "func"),
			configs("told") + "/list":                        `{"FunctionEventInvokeConfigs":[` + told + "," + second + `],"NextMarker":null}`,
			configs("plain") + "/list?MaxItems=1":            `{"FunctionEventInvokeConfigs":[` + config(arnOf+"plain:$LATEST", 2, 21600, "", "") + `],"NextMarker":null}`,
			configs("told") + "/list?Marker=JExBVEVTVA":      `{"FunctionEventInvokeConfigs":[` + second + `],"NextMarker":null}`,
			configs("told") + "/list?MaxItems=1&Marker=Mg==": "",
		} {
			w := do(t, l, "GET", target, "")
			if want == "" {
				assert.Equal(t, 400, w.Code, target)
				continue
			}
			require.Equal(t, 200, w.Code, target)
			assert.JSONEq(t, want, w.Body.String(), target)
		}
		var page struct{ NextMarker *string }
		require.NoError(t, json.Unmarshal(do(t, l, "GET", configs("told")+"/list?MaxItems=1", "").Body.Bytes(), &page))
		require.NotNil(t, page.NextMarker)
		assert.Equal(t, "JExBVEVTVA", *page.NextMarker)
	})
}

func TestWhatHappensToEventsIsSetInCode(t *testing.T) {
	t.Parallel()
	r, _ := hosted(t)
	faas.Register(r, "f", echo)
	l := lambdaOf(t, r)
	for _, method := range []string{"PUT", "POST", "DELETE"} {
		w := do(t, l, method, configs("f"), `{"MaximumRetryAttempts":0}`)
		assert.Equal(t, "400 InvalidParameterValueException", told(w), method)
		assert.Contains(t, w.Body.String(), "faas.WithRetry")
		assert.Equal(t, "404 ResourceNotFoundException", told(do(t, l, method, configs("nobody"), "{}")))
	}
	assert.Equal(t, "400 InvalidRequestContentException", told(do(t, l, "PUT", configs("f"), `{`)))
}

func TestWhatHappensToEventsIsNotToldToWhoMayNotCall(t *testing.T) {
	t.Parallel()
	r, _ := hosted(t)
	faas.Register(r, "denied", echo, faas.WithGate(gate(func(context.Context, faas.Invocation) error { return errNo })))
	l := lambdaOf(t, r)
	for _, c := range [][2]string{{"GET", ""}, {"GET", "/list"}, {"PUT", ""}, {"POST", ""}, {"DELETE", ""}} {
		denied, unknown := do(t, l, c[0], configs("denied")+c[1], "{}"), do(t, l, c[0], configs("nobody")+c[1], "{}")
		assert.Equal(t, "404 ResourceNotFoundException", told(denied), c)
		assert.Equal(t, strings.ReplaceAll(unknown.Body.String(), "nobody", "denied"), denied.Body.String())
	}
}
