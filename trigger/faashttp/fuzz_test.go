package faashttp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

// functionName is the pattern for FunctionName in the API's model. It differs in one point:
// it allows the dollar of $LATEST in all places where the API does.
var functionName = regexp.MustCompile(`^(arn:(aws[^:]*)?:lambda:)?([a-z]{2}(-[a-z]+)+-\d:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]{1,64})(:(\$LATEST|[a-zA-Z0-9-_]{1,128}))?$`)

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{
		"f", "f:$LATEST", "123456789012:f", "123456789012:function:f:v", "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST",
		"function", "function:f", "123456789012", "us-east-1:f", "arn", "arn:aws:s3:::x", "a:b:c", ":", "f:", "arn:aws:lambda:", "é", "a\nb", "-",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		region, account, name, qualifier, ok := faashttp.ParseTarget(s)
		if !ok {
			return
		}
		assert.Regexp(t, functionName, s, "it takes no more than the API")
		assert.Regexp(t, `^[a-zA-Z0-9_-]{1,64}$`, name)
		assert.Regexp(t, `^(\$LATEST|[a-zA-Z0-9_-]*)$`, qualifier)
		assert.Regexp(t, `^(\d{12})?$`, account)
		assert.Regexp(t, `^[a-z0-9-]*$`, region)
		for _, part := range []string{region, account, name, qualifier} {
			assert.Contains(t, s, part)
		}
	})
}

func FuzzAliasRequest(f *testing.F) {
	for _, s := range []string{
		`{"Name":"live","FunctionVersion":"1","Description":"d","RoutingConfig":{"AdditionalVersionWeights":{"2":0.1}},"RevisionId":"x"}`,
		`{"Name":"live","FunctionVersion":"$LATEST"}`, `{"Name":null,"FunctionVersion":[]}`, `{"RoutingConfig":{"AdditionalVersionWeights":{"1":1e-9}}}`, `[]`, `null`, ``,
		`{"Name":"a","FunctionVersion":"1","RoutingConfig":{"AdditionalVersionWeights":{"2":1}}}`, "{\"Name\":\"\xff\"}", `{"Name":"\ud800","FunctionVersion":"1"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := released(t)
		l := lambdaOf(t, r)
		w := do(t, l, "POST", functionsPath+"f/aliases", string(body))
		all, err := r.Aliases("f")
		require.NoError(t, err)
		if w.Code != 201 {
			assert.Contains(t, []int{400, 404}, w.Code)
			assert.NotEmpty(t, w.Header().Get("X-Amzn-Errortype"))
			assert.Empty(t, all)
			return
		}
		require.Len(t, all, 1)
		assert.Regexp(t, `^[a-zA-Z0-9_-]{1,128}$`, all[0].Name)
		assert.LessOrEqual(t, len(all[0].Weights), 2)
		got := do(t, l, "GET", functionsPath+"f/aliases/"+all[0].Name, "")
		assert.Equal(t, 200, got.Code)
		assert.Equal(t, w.Body.String(), got.Body.String())
	})
}

func FuzzParseAnswer(f *testing.F) {
	for _, s := range []string{
		`{"statusCode":200,"headers":{"A":"b"},"cookies":["c=d"],"body":"x"}`, `{"statusCode":200,"body":"eA==","isBase64Encoded":true}`,
		`{"statusCode":200,"headers":{"A":"b\r\nC: d"}}`, `{"a":1}`, `"x"`, `[`, ``, `{"statusCode":1e9}`, `{"statusCode":null}`, `{"headers":null,"statusCode":200}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		status, h, body, ok := faashttp.ParseAnswer(out)
		if !ok {
			return
		}
		sendable(t, status, h)
		w := httptest.NewRecorder()
		maps.Copy(w.Header(), h)
		w.WriteHeader(status)
		_, err := w.Write(body)
		if status != http.StatusNoContent && status != http.StatusNotModified {
			require.NoError(t, err)
		}
	})
}

func FuzzParseHead(f *testing.F) {
	const end = "\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, s := range []string{`{"statusCode":200}` + end + "body", `{"headers":{"a":"b\n"}}` + end, "{" + end, end, "x" + end, ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, piece []byte) {
		status, h, rest, ok := faashttp.ParseHead(piece)
		if ok {
			sendable(t, status, h)
			assert.True(t, bytes.HasSuffix(piece, rest))
		}
	})
}

// sendable asserts that the written response is exactly one valid response.
func sendable(t *testing.T, status int, h http.Header) {
	t.Helper()
	assert.GreaterOrEqual(t, status, 200)
	assert.Less(t, status, 600)
	for name, values := range h {
		assert.NotEmpty(t, name)
		assert.NotContains(t, name, ":")
		assert.NotContains(t, name, " ")
		for _, s := range append(values, name) {
			assert.False(t, strings.ContainsAny(s, "\r\n\x00"), "%q", s)
		}
	}
}

func FuzzParseSignature(f *testing.F) {
	valid := "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0a", 32)
	f.Add(valid)
	f.Add("AWS4-HMAC-SHA256 ")
	f.Add("AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=")
	f.Add(valid + ", Signature=00")
	f.Add("Bearer x")
	f.Fuzz(func(t *testing.T, s string) {
		if faashttp.ParseSignature(s) {
			assert.True(t, strings.HasPrefix(s, "AWS4-HMAC-SHA256 "))
			assert.Contains(t, s, "/lambda/aws4_request")
		}
	})
}

// traceparent is the grammar of W3C Trace Context, section 3.2.2.
var traceparent = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[ -~]*)?$`)

func FuzzTraceParent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more")
	f.Add("00-00000000000000000000000000000000-00f067aa0ba902b7-01")
	f.Add("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		m := traceparent.FindStringSubmatch(s)
		want := m != nil && len(s) <= 256 && m[1] != "ff" && strings.Trim(m[2], "0") != "" && strings.Trim(m[3], "0") != "" && (m[1] != "00" || m[4] == "")
		assert.Equal(t, want, faashttp.IsTraceParent(s))
	})
}

// decode is the reverse of the encoder, written from the same documentation. It allocates
// nothing for a length that exceeds the data.
func decode(m []byte) (headers map[string]string, payload, rest []byte, err error) {
	bad := errors.New("not a message")
	if len(m) < 16 {
		return nil, nil, nil, bad
	}
	total, head := binary.BigEndian.Uint32(m), binary.BigEndian.Uint32(m[4:])
	if int64(total) > int64(len(m)) || int64(head)+16 > int64(total) {
		return nil, nil, nil, bad
	}
	m, rest = m[:total], m[total:]
	if binary.BigEndian.Uint32(m[8:]) != crc32.ChecksumIEEE(m[:8]) || binary.BigEndian.Uint32(m[total-4:]) != crc32.ChecksumIEEE(m[:total-4]) {
		return nil, nil, nil, bad
	}
	headers = map[string]string{}
	for h := m[12 : 12+head]; len(h) > 0; {
		n := int(h[0])
		if len(h) < n+4 || h[n+1] != 7 {
			return nil, nil, nil, bad
		}
		l := int(binary.BigEndian.Uint16(h[n+2:]))
		if len(h) < n+4+l {
			return nil, nil, nil, bad
		}
		headers[string(h[1:n+1])] = string(h[n+4 : n+4+l])
		h = h[n+4+l:]
	}
	return headers, m[12+head : total-4], rest, nil
}

func FuzzMessage(f *testing.F) {
	f.Add("PayloadChunk", "application/octet-stream", []byte("x"), 0, byte(1))
	f.Add("InvokeComplete", "application/json", []byte("{}"), 9, byte(0x80))
	f.Add("", "", []byte{}, 20, byte(0xff))
	f.Fuzz(func(t *testing.T, kind, contentType string, payload []byte, at int, flip byte) {
		if len(kind) > 1000 || len(contentType) > 1000 {
			return
		}
		m := faashttp.Message(kind, contentType, payload)
		headers, got, rest, err := decode(append(bytes.Clone(m), "more"...))
		require.NoError(t, err)
		assert.Equal(t, map[string]string{":event-type": kind, ":content-type": contentType, ":message-type": "event"}, headers)
		assert.True(t, bytes.Equal(payload, got))
		assert.Equal(t, "more", string(rest))
		if at >= 0 && at < len(m) && flip != 0 {
			m[at] ^= flip
			_, _, _, err := decode(m)
			assert.Error(t, err, "a flipped bit shows")
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte("a\nb"))
	f.Add([]byte("\r\n\r\r\n\n"))
	f.Add([]byte("event: x\n\nid: 1"))
	f.Fuzz(func(t *testing.T, piece []byte) {
		lines := strings.Split(strings.TrimSuffix(string(faashttp.Event("", piece)), "\n\n"), "\n")
		for i, line := range lines {
			data, ok := strings.CutPrefix(line, "data: ")
			assert.True(t, ok, "%q", line)
			assert.NotContains(t, data, "\r")
			lines[i] = data
		}
		ends := strings.NewReplacer("\r\n", "\n", "\r", "\n")
		assert.Equal(t, ends.Replace(string(piece)), strings.Join(lines, "\n"), "all of it arrives, but for how lines end")
	})
}

func FuzzFrames(f *testing.F) {
	f.Add(string(debug.Stack()))
	f.Add("goroutine 1 [running]:\nmain.f(...)\n\t/a/b.go:12 +0x1\n")
	f.Add("f\n\t:\n")
	f.Fuzz(func(t *testing.T, stack string) {
		assert.LessOrEqual(t, faashttp.Frames(stack), 64)
	})
}

// The time in a receiver's Retry-After is used as at most a day, and never as negative.
func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "0", "7", " 120\t", "-1", "99999999999999999999", "1e9", "Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		after, ok := faashttp.ParseRetryAfter(s, now)
		if after < 0 || after > 24*time.Hour || !ok && after != 0 {
			t.Fatalf("%q: %v, %v", s, after, ok)
		}
		if n, err := strconv.Atoi(s); err == nil && n >= 0 && n <= 86400 && s[0] != '+' && s[0] != '-' && after != time.Duration(n)*time.Second {
			t.Fatalf("%q: %v", s, after)
		}
	})
}

// A URL that is accepted contains no address that is not public.
func FuzzToURL(f *testing.F) {
	for _, s := range []string{"https://example.com/x?y", "http://10.0.0.1", "http://[::1%25eth0]/", "HTTP://[::ffff:7f00:1]:80", "http://u@h", "//h", "http://%31%30.0.0.1/", "http://h:99999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		to, err := faashttp.TryToURL(s)
		if err != nil {
			return
		}
		u, err := url.Parse(to.String())
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
			t.Fatalf("%q became %q: %v", s, to, err)
		}
		if a, err := netip.ParseAddr(u.Hostname()); err == nil && !faashttp.IsPublic(a) {
			t.Fatalf("%q leads to %v", s, a)
		}
	})
}

// The request that is stored with a job is one that a front would accept.
func FuzzCarrier(f *testing.F) {
	f.Add([]byte(`{"id":"r-1","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","tracestate":"a=1","clientContext":"{}"}`))
	f.Add([]byte(`{"id":"a\nb"}`))
	f.Add([]byte(`{"id":"a","tracestate":"a=1"}`))
	f.Add([]byte(`[]`))
	c := faashttp.Carrier()
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, err := c.Restore(t.Context(), data)
		if err != nil {
			return
		}
		r, ok := faashttp.FromContext(ctx)
		if !ok || strings.ContainsAny(r.ID+r.TraceParent+r.TraceState, "\r\n\x00\u202e ") && r.TraceState == "" || r.ID == "" {
			t.Fatalf("%q became %+v", data, r)
		}
		saved, err := c.Save(ctx)
		require.NoError(t, err)
		again, err := c.Restore(t.Context(), saved)
		require.NoError(t, err)
		same, _ := faashttp.FromContext(again)
		require.Equal(t, r, same)
	})
}

// A respond-async that is a preference of its own is found, whatever is before and after
// it. One inside of a quoted string is not found.
func FuzzPrefer(f *testing.F) {
	for _, s := range []string{"", "wait=10", `a="b, c"`, `a="\""`, "\"", ",;=", "respond-async"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !faashttp.PrefersAsync("respond-async, " + s) {
			t.Fatalf("before %q", s)
		}
		quoted := `x="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `, respond-async"`
		if faashttp.PrefersAsync(quoted) {
			t.Fatalf("%q", quoted)
		}
		if !faashttp.PrefersAsync(quoted + `,respond-async`) {
			t.Fatalf("after %q", quoted)
		}
	})
}

// Every answer to the path of a job comes from the front, in its documented form.
func FuzzJobPath(f *testing.F) {
	for _, s := range []string{"f/jobs/0f8fad5b-d9cb-469f-a165-70867728950e", "f/jobs/", "/jobs/x", "f/jobs/../x", "f:2/jobs/{0f8fad5b-d9cb-469f-a165-70867728950e}", "f/jobs/urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e"} {
		f.Add(s)
	}
	r := faas.New()
	f.Cleanup(func() { _ = r.Close() })
	faas.Register(r, "f", echo)
	h := faashttp.Handler(r)
	f.Fuzz(func(t *testing.T, path string) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		req.URL.Path = "/fn/x/jobs/" + path
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		req.URL.Path = "/fn/f/jobs/" + path
		v := httptest.NewRecorder()
		h.ServeHTTP(v, req)
		if w.Code != 404 || v.Code != 404 {
			t.Fatalf("%q: %d, %d", path, w.Code, v.Code)
		}
	})
}
