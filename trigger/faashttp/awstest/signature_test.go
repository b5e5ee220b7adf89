package awstest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

func requestID(out *lambda.InvokeOutput) (string, bool) {
	return awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
}

// TestEveryChangeBreaksTheSignature signs a request with the SDK's own signer, and then
// changes one part of it.
func TestEveryChangeBreaksTheSignature(t *testing.T) {
	r := router(t)
	faas.Register(r, "echo", echo)
	l := faashttp.NewLambda(r, faashttp.WithCredentials(func(id string) (string, bool) { return "secret", id == "AKIDLOCAL" }))
	t.Cleanup(func() { _ = l.Shutdown(context.Background()) })
	const path = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Aecho/invocations"
	sign := func(at time.Time, body string) *http.Request {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://host.example"+path+"?Qualifier=%24LATEST&b=2&a=1+x", strings.NewReader(body))
		req.Header.Set("X-Amz-Invocation-Type", "RequestResponse")
		req.Header.Set("X-Amz-Client-Context", "e30=")
		req.Header.Set("X-Amz-Meta", "  a   b ")
		sum := sha256.Sum256([]byte(body))
		require.NoError(t, v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "AKIDLOCAL", SecretAccessKey: "secret"},
			req, hex.EncodeToString(sum[:]), "lambda", "us-east-1", at))
		return req
	}
	serve := func(req *http.Request) (int, string) {
		w := httptest.NewRecorder()
		l.ServeHTTP(w, req)
		return w.Code, w.Header().Get("X-Amzn-ErrorType")
	}
	now := time.Now()
	code, _ := serve(sign(now, "1"))
	require.Equal(t, 200, code)

	for name, c := range map[string]struct {
		want   string
		change func(req *http.Request)
	}{
		"method": {"InvalidSignatureException", func(r *http.Request) {
			r.Method = http.MethodGet
			r.URL.Path = "/2015-03-31/functions/echo"
			r.URL.RawPath = ""
		}},
		"path":         {"InvalidSignatureException", func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/2015-03-31/functions/echo/invocations", "" }},
		"query":        {"InvalidSignatureException", func(r *http.Request) { r.URL.RawQuery += "&c=3" }},
		"host":         {"InvalidSignatureException", func(r *http.Request) { r.Host = "evil.example" }},
		"body":         {"InvalidSignatureException", func(r *http.Request) { r.Body = http.NoBody; r.ContentLength = 0 }},
		"header":       {"InvalidSignatureException", func(r *http.Request) { r.Header.Set("X-Amz-Invocation-Type", "Event") }},
		"added header": {"IncompleteSignatureException", func(r *http.Request) { r.Header.Set("X-Amz-Log-Type", "Tail") }},
		"second value": {"InvalidSignatureException", func(r *http.Request) { r.Header.Add("X-Amz-Invocation-Type", "Event") }},
		"date": {"InvalidSignatureException", func(r *http.Request) {
			r.Header.Set("X-Amz-Date", now.UTC().Add(time.Second).Format("20060102T150405Z"))
		}},
		"unsigned": {"MissingAuthenticationTokenException", func(r *http.Request) { r.Header.Del("Authorization") }},
		"twice":    {"IncompleteSignatureException", func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }},
		"scheme":   {"IncompleteSignatureException", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }},
		"last digit": {"InvalidSignatureException", func(r *http.Request) {
			a := r.Header.Get("Authorization")
			digit := map[bool]string{true: "1", false: "0"}[strings.HasSuffix(a, "0")]
			r.Header.Set("Authorization", a[:len(a)-1]+digit)
		}},
		"host not signed": {"IncompleteSignatureException", func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "host;", "", 1))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			req := sign(now, "1")
			c.change(req)
			_, kind := serve(req)
			assert.Equal(t, c.want, kind)
		})
	}
	for _, off := range []time.Duration{-6 * time.Minute, 6 * time.Minute} {
		_, kind := serve(sign(now.Add(off), "1"))
		assert.Equal(t, "InvalidSignatureException", kind)
	}
	for _, off := range []time.Duration{-4 * time.Minute, 4 * time.Minute} {
		code, _ := serve(sign(now.Add(off), "1"))
		assert.Equal(t, 200, code)
	}
	assert.EqualValues(t, 3, mustInfo(t, r, "echo").Admitted)
}

// sign signs a request with the SDK's own signer.
func sign(t *testing.T, target, body string) *http.Request {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
	sum := sha256.Sum256([]byte(body))
	require.NoError(t, v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "AKIDLOCAL", SecretAccessKey: "secret"},
		req, hex.EncodeToString(sum[:]), "lambda", "us-east-1", time.Now()))
	return req
}

func signed(t *testing.T) *faashttp.Lambda {
	t.Helper()
	r := router(t)
	faas.Register(r, "echo", echo)
	l := faashttp.NewLambda(r, faashttp.WithCredentials(func(id string) (string, bool) { return "secret", id == "AKIDLOCAL" }))
	t.Cleanup(func() { _ = l.Shutdown(context.Background()) })
	return l
}

const echoPath = "/2015-03-31/functions/echo/invocations"

func TestAQueryIsSignedInTheOrderOfItsEncodedNamesAndThenValues(t *testing.T) {
	l := signed(t)
	for _, query := range []string{
		"a-b=1&a=2", "a=2&a-b=1", "a=1&a%21=2&a.b=3", "k=a-b&k=a%2Fb", "k=2&k=10&k=", "a=1&%C3%A9=2", "b&a&c=%7E", "x=1+2&x=1%2B2",
	} {
		w := httptest.NewRecorder()
		l.ServeHTTP(w, sign(t, "http://host.example"+echoPath+"?"+query, "1"))
		assert.Equal(t, 200, w.Code, "%s: %s", query, w.Body)
	}
}

func TestThePathThatIsSignedIsTheOneThatWasRequested(t *testing.T) {
	l := signed(t)
	arn := strings.Replace(echoPath, "echo", "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Aecho", 1)
	for _, path := range []string{echoPath, arn} {
		w := httptest.NewRecorder()
		http.StripPrefix("/aws/v1", l).ServeHTTP(w, sign(t, "http://host.example/aws/v1"+path, "1"))
		assert.Equal(t, 200, w.Code, "%s: %s", path, w.Body)
		w = httptest.NewRecorder()
		req := sign(t, "http://host.example/aws/v1"+path, "1")
		req.RequestURI = "/aws/v2" + path
		http.StripPrefix("/aws/v1", l).ServeHTTP(w, req)
		assert.Equal(t, "InvalidSignatureException", w.Header().Get("X-Amzn-ErrorType"))
	}
}

func TestPresignedRequestsAreRefusedAndTold(t *testing.T) {
	l := signed(t)
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://host.example"+echoPath+"?X-Amz-Expires=60", strings.NewReader("1"))
	sum := sha256.Sum256([]byte("1"))
	url, _, err := v4.NewSigner().PresignHTTP(t.Context(), aws.Credentials{AccessKeyID: "AKIDLOCAL", SecretAccessKey: "secret"},
		req, hex.EncodeToString(sum[:]), "lambda", "us-east-1", time.Now())
	require.NoError(t, err)
	w := httptest.NewRecorder()
	l.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("1")))
	assert.Equal(t, 403, w.Code)
	assert.Contains(t, w.Body.String(), "Presigned requests are not accepted")
}
