package faashttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

const functionsPath = "/2015-03-31/functions/"

// released makes a router with the versions $LATEST, 1, 2 and 3 of a function f. Each
// returns its version.
func released(t *testing.T, opts ...faas.RouterOption) *faas.Router {
	t.Helper()
	r, _ := hosted(t, opts...)
	for n := range 4 {
		var version []faas.FunctionOption
		if n > 0 {
			version = append(version, faas.WithVersion(n))
		}
		faas.Register(r, "f", func(ctx context.Context, _ struct{}) (string, error) {
			inv, _ := faas.FromContext(ctx)
			return inv.Version, nil
		}, version...)
	}
	return r
}

// aliasOf is an alias as a client decodes it.
type aliasOf struct {
	AliasArn, Name, FunctionVersion, Description, RevisionId string

	RoutingConfig *struct{ AdditionalVersionWeights map[string]float64 }
}

func (a aliasOf) weights() map[string]float64 {
	if a.RoutingConfig == nil {
		return nil
	}
	return a.RoutingConfig.AdditionalVersionWeights
}

// ask makes a request, checks its status, and decodes its answer.
func ask[T any](t *testing.T, h http.Handler, status int, method, path, body string) (doc T) {
	t.Helper()
	w := do(t, h, method, path, body)
	require.Equal(t, status, w.Code, w.Body.String())
	if w.Body.Len() > 0 {
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &doc))
	}
	return doc
}

// executed calls a name n times, and counts which versions ran.
func executed(t *testing.T, h http.Handler, name string, n int) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for range n {
		w := do(t, h, "POST", invocations(name), "{}")
		require.Equal(t, 200, w.Code, w.Body.String())
		version := w.Header().Get("X-Amz-Executed-Version")
		require.Equal(t, strconv.Quote(version), w.Body.String(), "the header says what ran")
		counts[version]++
	}
	return counts
}

func TestTrafficIsShiftedAndTakenBackOverTheWire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := lambdaOf(t, released(t))
		const path = functionsPath + "f/aliases"
		a := ask[aliasOf](t, l, 201, "POST", path, `{"Name":"live","FunctionVersion":"1","Description":"what users get"}`)
		assert.Equal(t, "arn:aws:lambda:us-east-1:000000000000:function:f:live", a.AliasArn)
		assert.Equal(t, aliasOf{AliasArn: a.AliasArn, Name: "live", FunctionVersion: "1", Description: "what users get", RevisionId: a.RevisionId}, a)
		assert.Equal(t, map[string]int{"1": 20}, executed(t, l, "f:live", 20))

		b := ask[aliasOf](t, l, 200, "PUT", path+"/live", `{"RoutingConfig":{"AdditionalVersionWeights":{"2":0.1}},"RevisionId":"`+a.RevisionId+`"}`)
		assert.Equal(t, map[string]float64{"2": 0.1}, b.weights())
		assert.Equal(t, "1", b.FunctionVersion)
		assert.Equal(t, "what users get", b.Description)
		assert.NotEqual(t, a.RevisionId, b.RevisionId)
		counts := executed(t, l, "f:live", 100)
		assert.InDelta(t, 10, counts["2"], 1)
		assert.InDelta(t, 90, counts["1"], 1)
		assert.Equal(t, b, ask[aliasOf](t, l, 200, "GET", path+"/live", ""))

		c := ask[aliasOf](t, l, 200, "PUT", path+"/live", `{"RoutingConfig":{}}`)
		assert.Nil(t, c.RoutingConfig)
		assert.Equal(t, map[string]int{"1": 20}, executed(t, l, "f:live", 20))

		ask[any](t, l, 204, "DELETE", path+"/live", "")
		w := do(t, l, "POST", invocations("f:live"), "{}")
		assert.Equal(t, 404, w.Code)
		assert.JSONEq(t, `{"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:live","Type":"User"}`, w.Body.String())
	})
}

// A client takes a release back by removing the RoutingConfig. All calls must then go to
// the FunctionVersion that the client has set, even if the other version had most of the
// calls.
func TestTheFunctionVersionStaysWhileMostCallsGoElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := released(t)
		l := lambdaOf(t, r)
		const path = functionsPath + "f/aliases"
		ask[aliasOf](t, l, 201, "POST", path, `{"Name":"live","FunctionVersion":"1","RoutingConfig":{"AdditionalVersionWeights":{"2":0.9}}}`)
		a := ask[aliasOf](t, l, 200, "GET", path+"/live", "")
		assert.Equal(t, "1", a.FunctionVersion)
		assert.Equal(t, map[string]float64{"2": 0.9}, a.weights())

		require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1, 2: 99}))
		a = ask[aliasOf](t, l, 200, "GET", path+"/live", "")
		assert.Equal(t, "1", a.FunctionVersion, "also when the program itself moves the alias")
		assert.Equal(t, map[string]float64{"2": 0.99}, a.weights())

		a = ask[aliasOf](t, l, 200, "PUT", path+"/live", `{"RoutingConfig":{"AdditionalVersionWeights":{}}}`)
		assert.Equal(t, "1", a.FunctionVersion)
		assert.Equal(t, map[string]int{"1": 10}, executed(t, l, "f:live", 10))

		require.NoError(t, r.SetAlias("f", "live", faas.Weights{3: 1}))
		assert.Equal(t, "3", ask[aliasOf](t, l, 200, "GET", path+"/live", "").FunctionVersion)
	})
}

func TestAnAliasThatTheWireCanNotSetIsToldAndKeptAsItIs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := released(t)
		l := lambdaOf(t, r)
		const path = functionsPath + "f/aliases/live"
		require.NoError(t, r.SetAlias("f", "live", faas.Weights{0: 1, 2: 3, 3: 4}, faas.WithSticky()))
		a := ask[aliasOf](t, l, 200, "GET", path, "")
		assert.Equal(t, "3", a.FunctionVersion, "the one with most of the calls")
		assert.Equal(t, map[string]float64{"$LATEST": 0.125, "2": 0.375}, a.weights())

		ask[aliasOf](t, l, 200, "PUT", path, `{"Description":"three"}`)
		got := only(t, r)
		assert.Equal(t, faas.Weights{0: 1, 2: 3, 3: 4}, got.Weights)
		assert.True(t, got.Sticky)
		assert.Equal(t, "three", got.Description)

		ask[aliasOf](t, l, 200, "PUT", path, `{"FunctionVersion":"1"}`)
		assert.Equal(t, faas.Weights{0: 1, 2: 3, 1: 4}, only(t, r).Weights, "the other parts stay to the digit")
		assert.True(t, only(t, r).Sticky)

		w := do(t, l, "PUT", path, `{"RoutingConfig":{"AdditionalVersionWeights":{"2":0.1,"3":0.1}}}`)
		assert.Equal(t, 400, w.Code)
		assert.Equal(t, faas.Weights{0: 1, 2: 3, 1: 4}, only(t, r).Weights)
	})
}

// only returns the function's one alias.
func only(t *testing.T, r *faas.Router) faas.Alias {
	t.Helper()
	all, err := r.Aliases("f")
	require.NoError(t, err)
	require.Len(t, all, 1)
	return all[0]
}

// The texts are those of Lambda itself. They were recorded in the snapshots of LocalStack's
// tests against AWS.
func TestWhatAnAliasCanNotBeIsRefusedAsLambdaDoes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := lambdaOf(t, released(t))
		const arn = "arn:aws:lambda:us-east-1:000000000000:function:"
		const path = functionsPath + "f/aliases"
		ask[aliasOf](t, l, 201, "POST", path, `{"Name":"taken","FunctionVersion":"1"}`)
		routed := func(version, weights string) string {
			return `{"Name":"x","FunctionVersion":"` + version + `","RoutingConfig":{"AdditionalVersionWeights":{` + weights + `}}}`
		}
		long := strings.Repeat("x", 257)
		for _, c := range []struct {
			method, path, body string
			status             int
			kind, key, text    string
		}{
			{"POST", path, `{"Name":"taken","FunctionVersion":"2"}`, 409, "ResourceConflictException", "message", "Alias already exists: " + arn + "f:taken"},
			{"POST", path, routed("1", `"2":0.1,"3":0.1`), 400, "InvalidParameterValueException", "message", "Number of items in AdditionalVersionWeights cannot be greater than 1"},
			{"POST", path, routed("1", `"2":2`), 400, "ValidationException", "message", "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]"},
			{"POST", path, routed("1", `"2":-1.0`), 400, "ValidationException", "message", `"{2=-1}" at 'routingConfig.additionalVersionWeights'`},
			{"POST", path, routed("1", `"2":null`), 400, "ValidationException", "message", `"{2=null}"`},
			{"POST", path, routed("1", `"$LATEST":0.5`), 400, "ValidationException", "message", "Map keys must satisfy constraint"},
			{"POST", path, routed("1", `"1":0.5`), 400, "InvalidParameterValueException", "message", "Invalid function version 1. Function version 1 is already included in routing configuration."},
			{"POST", path, routed("$LATEST", `"1":0.5`), 400, "InvalidParameterValueException", "message", "$LATEST is not supported for an alias pointing to more than 1 version"},
			{"POST", path, routed("1", `"10":0.5`), 404, "ResourceNotFoundException", "Message", "Function not found: " + arn + "f:10"},
			{"POST", path, routed("10", ``), 404, "ResourceNotFoundException", "Message", "Function not found: " + arn + "f:10"},
			{"POST", path, routed("0", ``), 404, "ResourceNotFoundException", "Message", "Function not found: " + arn + "f:0"},
			{"POST", path, routed("01", ``), 404, "ResourceNotFoundException", "Message", "Function not found: " + arn + "f:01"},
			{"POST", path, routed("99999999999999999999", ``), 404, "ResourceNotFoundException", "Message", "Function not found: " + arn + "f:99999999999999999999"},
			{"POST", path, routed("live", ``), 400, "ValidationException", "message", `"live" at 'functionVersion' failed to satisfy constraint`},
			{"POST", path, `{"Name":"2024","FunctionVersion":"1"}`, 400, "ValidationException", "message", `"2024" at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)`},
			{"POST", path, `{"Name":"a b","FunctionVersion":"1"}`, 400, "ValidationException", "message", `"a b" at 'name'`},
			{"POST", path, `{"Name":"","FunctionVersion":"1"}`, 400, "ValidationException", "message", `"" at 'name'`},
			{"POST", path, `{"Name":"` + long[:129] + `","FunctionVersion":"1"}`, 400, "ValidationException", "message", "less than or equal to 128"},
			{"POST", path, `{"Name":"x","FunctionVersion":"1","Description":"` + long + `"}`, 400, "ValidationException", "message", "less than or equal to 256"},
			{"POST", path, `{"FunctionVersion":"1"}`, 400, "ValidationException", "message", "Value null at 'name' failed to satisfy constraint: Member must not be null"},
			{"POST", path, `{"Name":"x"}`, 400, "ValidationException", "message", "Value null at 'functionVersion' failed to satisfy constraint: Member must not be null"},
			{"POST", path, ``, 400, "ValidationException", "message", "Value null at 'name'"},
			{"POST", path, `{`, 400, "InvalidRequestContentException", "message", "Could not parse request body into json: unexpected end of JSON input"},
			{"POST", path, `{"Name":1}`, 400, "SerializationException", "message", "A number can't be the value of Name."},
			{"POST", path, `{"Name":"` + strings.Repeat("x", 64<<10) + `"}`, 413, "RequestTooLargeException", "message", "Request must be smaller than 65536 bytes"},
			{"POST", functionsPath + "unknown/aliases", `{"Name":"x","FunctionVersion":"1"}`, 404, "ResourceNotFoundException", "Message", "Function not found: " + arn + "unknown"},
			{"GET", path + "/none", ``, 404, "ResourceNotFoundException", "Message", "Cannot find alias arn: " + arn + "f:none"},
			{"PUT", path + "/none", `{}`, 404, "ResourceNotFoundException", "Message", "Alias not found: " + arn + "f:none"},
			{"PUT", path + "/taken", `{"RevisionId":"1"}`, 412, "PreconditionFailedException", "message", "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"},
			{"PUT", path + "/taken", routed("1", `"1":0.5`), 400, "InvalidParameterValueException", "message", "already included"},
			{"GET", path + "/1", ``, 400, "ValidationException", "message", `"1" at 'name'`},
			{"GET", path + "?FunctionVersion=live", ``, 400, "ValidationException", "message", `"live" at 'functionVersion'`},
			{"GET", path + "?MaxItems=0", ``, 400, "ValidationException", "message", "maxItems"},
			{"POST", functionsPath + "f/versions", `{"Description":"x"}`, 400, "InvalidParameterValueException", "message", "Versions can't be published here, because they are compiled into the host: register the function with faas.WithVersion in its program, and point an alias at the version."},
			{"POST", functionsPath + "unknown/versions", ``, 404, "ResourceNotFoundException", "Message", "Function not found: " + arn + "unknown"},
			{"GET", functionsPath + "unknown/versions", ``, 404, "ResourceNotFoundException", "Message", "Function not found: " + arn + "unknown"},
			{"GET", functionsPath + "f:1?Qualifier=2", ``, 400, "InvalidParameterValueException", "message", "The derived qualifier from the function name does not match the specified qualifier."},
			{"GET", functionsPath + "f?Qualifier=none", ``, 404, "ResourceNotFoundException", "Message", "Function not found: " + arn + "f:none"},
			{"GET", functionsPath + "f:1221/configuration", ``, 404, "ResourceNotFoundException", "Message", "Function not found: " + arn + "f:1221"},
			{"PATCH", path, ``, 404, "UnknownOperationException", "message", "There is no such operation."},
		} {
			w := do(t, l, c.method, c.path, c.body)
			what := c.method + " " + c.path + " " + c.body[:min(len(c.body), 80)]
			assert.Equal(t, c.status, w.Code, what)
			assert.Equal(t, c.kind, w.Header().Get("X-Amzn-ErrorType"), what)
			var doc map[string]string
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &doc), what)
			assert.Contains(t, doc[c.key], c.text, what)
		}
		assert.Equal(t, 204, do(t, l, "DELETE", path+"/none", "").Code, "as on Lambda")
	})
}

func TestAliasesAreListedByPagesAndByVersion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := released(t)
		l := lambdaOf(t, r)
		const path = functionsPath + "f/aliases"
		for i, body := range []string{`"FunctionVersion":"1"`, `"FunctionVersion":"2"`, `"FunctionVersion":"1","RoutingConfig":{"AdditionalVersionWeights":{"2":0.5}}`, `"FunctionVersion":"$LATEST"`} {
			ask[aliasOf](t, l, 201, "POST", path, fmt.Sprintf(`{"Name":"a%d",%s}`, i, body))
		}
		require.NoError(t, r.SetAlias("f", "", faas.Weights{1: 1}), "the API can't name it, and does not list it")
		list := func(query string) (names []string) {
			for {
				doc := ask[struct {
					Aliases    []aliasOf
					NextMarker string
				}](t, l, 200, "GET", path+"?"+query, "")
				for _, a := range doc.Aliases {
					names = append(names, a.Name)
				}
				if doc.NextMarker == "" {
					return names
				}
				query += "&Marker=" + doc.NextMarker
				query = query[strings.LastIndex(query, "MaxItems"):]
			}
		}
		assert.Equal(t, []string{"a0", "a1", "a2", "a3"}, list(""))
		assert.Equal(t, []string{"a0", "a1", "a2", "a3"}, list("MaxItems=3"))
		assert.Equal(t, []string{"a0", "a2"}, list("FunctionVersion=1"))
		assert.Equal(t, []string{"a1", "a2"}, list("FunctionVersion=2"), "those that invoke it")
		assert.Equal(t, []string{"a3"}, list("FunctionVersion=$LATEST"))
		assert.Empty(t, list("FunctionVersion=3"))
		assert.Contains(t, do(t, l, "GET", path+"?FunctionVersion=3", "").Body.String(), `"Aliases":[]`)
	})
}

func TestARevisionIsOfOneChangeOfOneAlias(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := lambdaOf(t, released(t))
		const path = functionsPath + "f/aliases"
		create := func() aliasOf { return ask[aliasOf](t, l, 201, "POST", path, `{"Name":"live","FunctionVersion":"1"}`) }
		first := create()
		assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, first.RevisionId)
		second := ask[aliasOf](t, l, 200, "PUT", path+"/live", `{"RevisionId":"`+first.RevisionId+`"}`)
		assert.NotEqual(t, first.RevisionId, second.RevisionId, "a change of nothing is one too, as on Lambda")
		assert.Equal(t, 412, do(t, l, "PUT", path+"/live", `{"RevisionId":"`+first.RevisionId+`"}`).Code)

		time.Sleep(time.Second)
		ask[any](t, l, 204, "DELETE", path+"/live", "")
		create()
		assert.Equal(t, 412, do(t, l, "PUT", path+"/live", `{"RevisionId":"`+first.RevisionId+`"}`).Code, "the alias of before is another")
	})
}

// If several clients use the same RevisionId, one of them succeeds. Clients without one all
// succeed, and a field that a client does not change is not lost by another client's
// change.
func TestClientsThatMoveAnAliasAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	l := lambdaOf(t, released(t))
	const path = functionsPath + "f/aliases"
	a := ask[aliasOf](t, l, 201, "POST", path, `{"Name":"live","FunctionVersion":"1"}`)
	var all sync.WaitGroup
	codes := make(chan int, 8)
	for range cap(codes) {
		all.Go(func() {
			codes <- do(t, l, "PUT", path+"/live", `{"FunctionVersion":"1","RevisionId":"`+a.RevisionId+`"}`).Code
		})
	}
	all.Wait()
	close(codes)
	won := 0
	for code := range codes {
		if code == 200 {
			won++
		} else {
			assert.Equal(t, 412, code)
		}
	}
	assert.Equal(t, 1, won)

	for i := range 20 {
		all.Go(func() {
			assert.Equal(t, 200, do(t, l, "PUT", path+"/live", fmt.Sprintf(`{"RoutingConfig":{"AdditionalVersionWeights":{"2":0.%02d}}}`, i)).Code)
		})
		all.Go(func() { assert.Equal(t, 200, do(t, l, "POST", invocations("f:live"), "{}").Code) })
	}
	all.Go(func() { assert.Equal(t, 200, do(t, l, "PUT", path+"/live", `{"Description":"kept"}`).Code) })
	all.Wait()
	got := ask[aliasOf](t, l, 200, "GET", path+"/live", "")
	assert.Equal(t, "kept", got.Description)
	assert.Equal(t, "1", got.FunctionVersion)
}

func TestEveryOperationTakesAQualifier(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := released(t)
		faas.RegisterStream(r, "s", func(_ context.Context, _ struct{}, w io.Writer) error {
			_, err := io.WriteString(w, "x")
			return err
		}, faas.WithVersion(7))
		require.NoError(t, r.SetAlias("f", "live", faas.Weights{2: 1}))
		require.NoError(t, r.SetAlias("s", "live", faas.Weights{7: 1}))
		l := lambdaOf(t, r)
		const arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
		for target, want := range map[string][2]string{ // its version and its ARN
			"f": {"$LATEST", arn}, "f:$LATEST": {"$LATEST", arn + ":$LATEST"}, "f:1": {"1", arn + ":1"}, "f:live": {"2", arn + ":live"},
			arn: {"$LATEST", arn}, arn + ":live": {"2", arn + ":live"}, "000000000000:f:3": {"3", arn + ":3"},
			"f?Qualifier=1": {"1", arn + ":1"}, "f?Qualifier=live": {"2", arn + ":live"}, "f:live?Qualifier=live": {"2", arn + ":live"},
		} {
			name, query, _ := strings.Cut(target, "?")
			type function struct{ Version, FunctionArn, FunctionName string }
			function1 := ask[struct{ Configuration function }](t, l, 200, "GET", functionsPath+name+"?"+query, "").Configuration
			assert.Equal(t, function{want[0], want[1], "f"}, function1, target)
			assert.Equal(t, function1, ask[function](t, l, 200, "GET", functionsPath+name+"/configuration?"+query, ""))
			for _, kind := range []string{"RequestResponse", "DryRun", "Event"} {
				w := do(t, l, "POST", functionsPath+name+"/invocations?"+query, "{}", "X-Amz-Invocation-Type: "+kind)
				assert.Equal(t, map[string]int{"RequestResponse": 200, "DryRun": 204, "Event": 202}[kind], w.Code, target)
				assert.Equal(t, map[string]string{"RequestResponse": want[0]}[kind], w.Header().Get("X-Amz-Executed-Version"), target)
			}
		}
		for _, target := range []string{"s:live", "s:7", "s?Qualifier=live"} {
			name, query, _ := strings.Cut(target, "?")
			w := do(t, l, "POST", "/2021-11-15/functions/"+name+"/response-streaming-invocations?"+query, "{}")
			assert.Equal(t, 200, w.Code)
			assert.Equal(t, "7", w.Header().Get("X-Amz-Executed-Version"))
		}
		assert.Equal(t, 404, do(t, l, "POST", invocations("s"), "{}").Code, "there is no $LATEST")
		require.NoError(t, l.Shutdown(t.Context()))
	})
}

func TestAFailedCallSaysWhichVersionFailed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		faas.Register(r, "f", func(ctx context.Context, _ struct{}) (any, error) {
			_, _ = io.WriteString(faashttp.Logs(ctx), strings.Repeat("x", 5000))
			return nil, errNo
		}, faas.WithVersion(4))
		require.NoError(t, r.SetAlias("f", "live", faas.Weights{4: 1}))
		l := lambdaOf(t, r)
		w := do(t, l, "POST", invocations("f:live"), "{}")
		assert.Equal(t, "Unhandled", w.Header().Get("X-Amz-Function-Error"))
		assert.Equal(t, "4", w.Header().Get("X-Amz-Executed-Version"))
		assert.JSONEq(t, `{"errorMessage":"the secret reason","errorType":"errorString"}`, w.Body.String())
	})
}

func TestVersionsAreListedInTheirOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t)
		for _, n := range []int{10, 2, 1} {
			faas.Register(r, "f", echo, faas.WithVersion(n))
		}
		faas.Register(r, "g", echo)
		faas.Register(r, "f", echo)
		l := lambdaOf(t, r)
		list := func(path, query string) (arns []string) {
			marker := ""
			for {
				doc := ask[struct {
					Versions, Functions []struct{ FunctionArn, Version string }
					NextMarker          string
				}](t, l, 200, "GET", path+"?"+query+marker, "")
				for _, f := range append(doc.Versions, doc.Functions...) {
					_, arn, _ := strings.Cut(f.FunctionArn, ":function:")
					arns = append(arns, arn)
				}
				if doc.NextMarker == "" {
					return arns
				}
				marker = "&Marker=" + doc.NextMarker
			}
		}
		want := []string{"f:$LATEST", "f:1", "f:2", "f:10"}
		for _, size := range []string{"", "MaxItems=1", "MaxItems=3"} {
			assert.Equal(t, want, list(functionsPath+"f/versions", size))
			assert.Equal(t, append(want[:4:4], "g:$LATEST"), list(functionsPath, "FunctionVersion=ALL&"+size))
			assert.Equal(t, []string{"f", "g"}, list(functionsPath, size))
		}
		assert.Equal(t, 400, do(t, l, "GET", functionsPath+"?FunctionVersion=1", "").Code)
		assert.Equal(t, 400, do(t, l, "GET", functionsPath+"f/versions?Marker=eA", "").Code)
	})
}

// A caller that may not know of a function, or of one of its versions, gets the answers for
// one that does not exist, byte for byte.
func TestAHiddenFunctionsAliasesAreHiddenToo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, _ := hosted(t, faas.WithGate(gate(func(_ context.Context, inv faas.Invocation) error {
			if inv.Function == "hidden" || inv.Version == "3" {
				return faas.ErrDenied
			}
			return nil
		})))
		for _, name := range []string{"hidden", "f"} {
			for n := 1; n <= 3; n++ {
				faas.Register(r, name, echo, faas.WithVersion(n))
			}
			require.NoError(t, r.SetAlias(name, "live", faas.Weights{1: 1}))
		}
		l := lambdaOf(t, r)
		for _, c := range [][3]string{
			{"GET", "/aliases", ""},
			{"GET", "/aliases/live", ""},
			{"PUT", "/aliases/live", `{"FunctionVersion":"2"}`},
			{"POST", "/aliases", `{"Name":"new","FunctionVersion":"1"}`},
			{"DELETE", "/aliases/live", ""},
			{"GET", "/versions", ""},
			{"POST", "/versions", ""},
			{"GET", "", ""},
			{"GET", "/configuration", ""},
			{"POST", "/invocations", "{}"},
		} {
			for _, qualifier := range []string{"", ":1", ":live"} {
				answer := func(name string) *httptest.ResponseRecorder {
					return do(t, l, c[0], functionsPath+name+qualifier+c[1], c[2], "X-Amzn-RequestId: same")
				}
				hidden, unknown := answer("hidden"), answer("nobody")
				assert.Equal(t, 404, hidden.Code, c)
				assert.Equal(t, unknown.Header(), hidden.Header(), c)
				assert.Equal(t, unknown.Body.String(), strings.ReplaceAll(hidden.Body.String(), "hidden", "nobody"), c)
			}
		}
		assert.Len(t, ask[struct{ Versions []any }](t, l, 200, "GET", functionsPath+"f/versions", "").Versions, 2)
		assert.Len(t, ask[struct{ Functions []any }](t, l, 200, "GET", functionsPath+"?FunctionVersion=ALL", "").Functions, 2)
		type function struct{ Version string }
		assert.Equal(t, []function{{"2"}}, ask[struct{ Functions []function }](t, l, 200, "GET", functionsPath, "").Functions, "the newest that it may know of")
		assert.Equal(t, function{"2"}, ask[function](t, l, 200, "GET", functionsPath+"f/configuration", ""))
		for _, body := range []string{`{"FunctionVersion":"3"}`, `{"RoutingConfig":{"AdditionalVersionWeights":{"3":0.1}}}`} {
			w := do(t, l, "PUT", functionsPath+"f/aliases/live", body)
			assert.Equal(t, 404, w.Code)
			assert.Contains(t, w.Body.String(), "Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:3")
		}
		all, err := r.Aliases("hidden")
		require.NoError(t, err)
		assert.Equal(t, faas.Weights{1: 1}, all[0].Weights, "nothing was changed")
	})
}

func TestAPartIsKeptToFourDecimals(t *testing.T) {
	t.Parallel()
	for part, want := range map[float64]faas.Weights{
		0:         {1: 100, 2: 0},
		0.01:      {1: 99, 2: 1},
		0.1:       {1: 90, 2: 10},
		0.29:      {1: 71, 2: 29}, // 0.29 × 100 is 28.999999999999996
		0.125:     {1: 875, 2: 125},
		0.0001:    {1: 9999, 2: 1},
		0.9999:    {1: 1, 2: 9999},
		1.0 / 3:   {1: 6667, 2: 3333},
		0.0000001: {1: 10000, 2: 0},
		1:         {1: 0, 2: 100},
	} {
		assert.Equal(t, want, faashttp.WeightsOf(1, 2, part), part)
	}
	rapid.Check(t, func(t *rapid.T) {
		scale := rapid.SampledFrom([]int{100, 1000, 10_000}).Draw(t, "scale")
		n := rapid.IntRange(1, scale-1).Draw(t, "n")
		part, err := strconv.ParseFloat(strconv.FormatFloat(float64(n)/float64(scale), 'f', -1, 64), 64)
		if err != nil || faashttp.PartOf(faashttp.WeightsOf(1, 2, part), 1, 2) != part {
			t.Fatalf("%d of %d does not come back", n, scale)
		}
		part = rapid.Float64Range(0, 1).Draw(t, "part")
		if w := faashttp.WeightsOf(1, 2, part); math.Abs(faashttp.PartOf(w, 1, 2)-part) > 0.00005+1e-12 {
			t.Fatalf("%v became %v", part, w)
		}
	})
}
