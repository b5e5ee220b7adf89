package faashttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

// outOf returns the handle of the job that delivers the end of a dead job to its
// destination.
func outOf(r *faas.Router, dead uuid.UUID) *faas.Job[[]byte] {
	return r.Job(uuid.NewSHA1(dead, []byte(faas.DeliversFailure)))
}

// bury makes a job dead, and returns how the delivery to its destination has ended.
func bury(t *testing.T, to faas.Destination) (info faas.JobInfo) {
	t.Helper()
	r, _ := hosted(t)
	fn := faas.Register(r, "f", func(context.Context, json.RawMessage) (any, error) { return nil, faas.Permanent(errors.New("boom")) }, faas.WithOnFailure(to))
	job, err := fn.Send(t.Context(), json.RawMessage(`{"n":1}`))
	require.NoError(t, err)
	_, err = job.Wait(t.Context())
	require.Error(t, err)
	told := outOf(r, job.ID())
	_, _ = told.Wait(t.Context())
	info, err = told.Info(t.Context())
	require.NoError(t, err)
	return info
}

// receiver is a server on loopback. It stores the last request and its body.
type receiver struct {
	*httptest.Server

	requests chan *http.Request
	bodies   chan string
}

func receive(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{requests: make(chan *http.Request, 16), bodies: make(chan string, 16)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.requests <- req
		r.bodies <- string(body)
		answer(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func fine(http.ResponseWriter, *http.Request) {}

func sends(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, to, http.StatusTemporaryRedirect)
	}
}

func TestAnEnvelopeIsPostedToAURL(t *testing.T) {
	t.Parallel()
	s := receive(t, fine)
	info := bury(t, faashttp.ToURL(s.URL+"/dead?key=k",
		faashttp.WithNetworks("127.0.0.1"), faashttp.WithHeader("authorization", "Bearer x"), faashttp.WithAddress("eu-north-1", "123456789012")))
	require.Equal(t, faas.JobSucceeded, info.State, info.Last)
	req := <-s.requests
	assert.Equal(t, "POST /dead?key=k", req.Method+" "+req.URL.String())
	assert.Equal(t, "application/json", req.Header.Get("Content-Type"))
	assert.Equal(t, "Bearer x", req.Header.Get("Authorization"))
	var e faas.JobEnvelope
	require.NoError(t, json.Unmarshal([]byte(<-s.bodies), &e))
	assert.Equal(t, "arn:aws:lambda:eu-north-1:123456789012:function:f:$LATEST", e.RequestContext.FunctionARN)
	assert.JSONEq(t, `{"n":1}`, string(e.RequestPayload))
	assert.JSONEq(t, `{"errorMessage":"boom","errorType":"errorString"}`, string(e.ResponsePayload))
}

func TestADestinationConnectsToWhatIsPublicOrNamed(t *testing.T) {
	t.Parallel()
	s := receive(t, fine)
	port := s.URL[strings.LastIndexByte(s.URL, ':'):]
	for name, opts := range map[string][]faashttp.DestinationOption{
		"nothing is named":      nil,
		"another network":       {faashttp.WithNetworks("127.1.0.0/16", "10.0.0.0/8")},
		"another family's name": {faashttp.WithNetworks("::/8")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The URL has a name, so the address is known only after it is resolved.
			info := bury(t, faashttp.ToURL("http://localhost"+port+"/?key=secret", opts...).WithRetry(faas.Retry{}))
			assert.Equal(t, faas.JobDead, info.State)
			assert.Contains(t, info.Last.Error, "is not a public address")
			assert.NotContains(t, info.Last.Error, "secret")
		})
	}
	t.Run("named", func(t *testing.T) {
		t.Parallel()
		info := bury(t, faashttp.ToURL("http://localhost"+port, faashttp.WithNetworks("127.0.0.0/8", "::1")))
		assert.Equal(t, faas.JobSucceeded, info.State)
	})
}

func TestARedirectLeadsOnlyWhereTheURLCould(t *testing.T) {
	t.Parallel()
	end := receive(t, fine)
	named := faashttp.WithNetworks("127.0.0.1")
	t.Run("to another host", func(t *testing.T) {
		t.Parallel()
		way := receive(t, sends(end.URL+"/end"))
		info := bury(t, faashttp.ToURL(way.URL+"?key=secret", named, faashttp.WithHeader("X-Key", "secret")))
		require.Equal(t, faas.JobSucceeded, info.State, info.Last)
		req := <-end.requests
		assert.Equal(t, "POST /end", req.Method+" "+req.URL.Path)
		assert.Equal(t, <-way.bodies, <-end.bodies)
		assert.Equal(t, "secret", (<-way.requests).Header.Get("X-Key"))
		assert.Empty(t, req.Header.Get("X-Key")+req.Header.Get("Referer"))
		assert.Equal(t, "application/json", req.Header.Get("Content-Type"))
	})
	for name, to := range map[string]string{
		"to an address that is not named": "http://127.0.0.2:9/",
		"to a private one":                "http://10.0.0.1/",
		"to the metadata of a cloud":      "http://169.254.169.254/latest/meta-data/",
		"to IPv6 loopback":                "http://[::1]:9/",
		"to a mapped address":             "http://[::ffff:10.0.0.1]/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info := bury(t, faashttp.ToURL(receive(t, sends(to)).URL, named).WithRetry(faas.Retry{}))
			assert.Equal(t, faas.JobDead, info.State)
			assert.Contains(t, info.Last.Error, "is not a public address")
		})
	}
	for name, answer := range map[string]http.HandlerFunc{
		"a round of redirects": sends("/"),
		"to another scheme":    sends("file:///etc/passwd"),
		"a 302 is not for a POST": func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, end.URL, http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info := bury(t, faashttp.ToURL(receive(t, answer).URL, named).WithRetry(faas.Retry{}))
			assert.Equal(t, faas.JobDead, info.State)
		})
	}
}

func TestARedirectKeepsWhatItCarriesSafe(t *testing.T) {
	t.Parallel()
	at := func(method, target string) *http.Request {
		u, err := url.Parse(target)
		require.NoError(t, err)
		return &http.Request{Method: method, URL: u, Header: http.Header{"X-Key": {"secret"}, "Referer": {"x"}}}
	}
	first := at("POST", "https://a.example/x")
	require.NoError(t, faashttp.Follow("X-Key", at("POST", "https://b.example/"), first))
	require.ErrorContains(t, faashttp.Follow("X-Key", at("POST", "http://a.example/"), first), "from https to http")
	require.ErrorIs(t, faashttp.Follow("X-Key", at("GET", "https://a.example/"), first), http.ErrUseLastResponse)
	for target, keeps := range map[string]string{
		"https://a.example/y": "secret", "https://a.example:444/x": "", "https://b.example/x": "", "https://x.a.example/": "",
	} {
		req := at("POST", target)
		require.NoError(t, faashttp.Follow("X-Key", req, first))
		assert.Equal(t, keeps, req.Header.Get("X-Key"), target)
		assert.Empty(t, req.Header.Get("Referer"))
	}
}

func TestWhichAddressesArePublic(t *testing.T) {
	t.Parallel()
	for s, public := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "172.15.255.255": true, "172.32.0.0": true, "100.63.255.255": true, "100.128.0.0": true,
		"169.253.255.255": true, "223.255.255.255": true, "2606:4700::1111": true, "2a00:1450::1": true, "64:ff9b::8.8.8.8": true, "::ffff:8.8.8.8": true,
		"0.0.0.0": false, "0.1.2.3": false, "10.1.2.3": false, "127.0.0.1": false, "127.255.255.255": false, "100.64.0.1": false,
		"100.127.255.255": false, "169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "192.0.0.1": false,
		"192.0.2.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false,
		"239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false,
		"fc00::1": false, "fd12:3456::1": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false, "100::1": false,
		"2001::1": false, "2001:db8::1": false, "2002:7f00:1::": false, "2002:808:808::": false, "3fff::1": false, "5f00::1": false,
		"64:ff9b::10.0.0.1": false, "64:ff9b::127.0.0.1": false, "64:ff9b:1::8.8.8.8": false,
	} {
		assert.Equal(t, public, faashttp.IsPublic(netip.MustParseAddr(s)), s)
	}
	assert.False(t, faashttp.IsPublic(netip.Addr{}))
}

func TestADestinationThatCannotWorkIsAMistake(t *testing.T) {
	t.Parallel()
	const good = "https://example.com/x"
	for want, try := range map[string]func() (faas.Destination, error){
		"needs the scheme":       func() (faas.Destination, error) { return faashttp.TryToURL("ftp://example.com") },
		"and a host":             func() (faas.Destination, error) { return faashttp.TryToURL("https:///x") },
		"can't be parsed":        func() (faas.Destination, error) { return faashttp.TryToURL("https://exa mple/?key=secret") },
		"use WithHeader":         func() (faas.Destination, error) { return faashttp.TryToURL("https://u:secret@example.com/") },
		"10.0.0.1 is not":        func() (faas.Destination, error) { return faashttp.TryToURL("http://10.0.0.1/") },
		"::1 is not":             func() (faas.Destination, error) { return faashttp.TryToURL("http://[::1]:80/") },
		"127.0.0.1 is not":       func() (faas.Destination, error) { return faashttp.TryToURL("http://[::ffff:127.0.0.1]/") },
		`WithHeader("Bad Name")`: func() (faas.Destination, error) { return faashttp.TryToURL(good, faashttp.WithHeader("Bad Name", "x")) },
		`WithHeader("X-A")`: func() (faas.Destination, error) {
			return faashttp.TryToURL(good, faashttp.WithHeader("x-a", "a\r\nX: secret"))
		},
		`WithHeader("Host")`:      func() (faas.Destination, error) { return faashttp.TryToURL(good, faashttp.WithHeader("host", "x")) },
		`WithNetworks("10.0.0")`:  func() (faas.Destination, error) { return faashttp.TryToURL(good, faashttp.WithNetworks("10.0.0")) },
		`WithAddress("here", "1"`: func() (faas.Destination, error) { return faashttp.TryToURL(good, faashttp.WithAddress("here", "1")) },
	} {
		to, err := try()
		require.ErrorIs(t, err, faas.ErrInput, want)
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "secret")
		assert.True(t, to.IsZero())
	}
	assert.Panics(t, func() { faashttp.ToURL("no url") })
	assert.Equal(t, "https://example.com/x", faashttp.ToURL(good+"?key=secret", nil).String())
}

// afar returns a destination in virtual time whose receiver is that handler.
func afar(t *testing.T, answer http.HandlerFunc) faas.Destination {
	t.Helper()
	l := newWire()
	s := &http.Server{Handler: answer, ReadHeaderTimeout: time.Second}
	s.SetKeepAlivesEnabled(false)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return faashttp.ToURL("http://receiver.example/", faashttp.WithDial(func(context.Context, string, string) (net.Conn, error) { return l.dial() }))
}

func TestADeliveryIsTriedAgainAsTheAnswerSays(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string // a status, and a Retry-After
		begun   []time.Duration
		ends    string
	}{
		"arrives":                       {[]string{"204"}, []time.Duration{0}, "Succeeded Success 1"},
		"fails twice":                   {[]string{"500", "404", "200"}, []time.Duration{0, time.Minute, 3 * time.Minute}, "Succeeded Success 3"},
		"fails for ever":                {[]string{"500", "400", "503", "200"}, []time.Duration{0, time.Minute, 3 * time.Minute}, "Dead RetriesExhausted 3"},
		"is gone":                       {[]string{"410"}, []time.Duration{0}, "Dead Permanent 1"},
		"comes back when it is told to": {[]string{"429 7", "503 0", "503 junk", "200"}, []time.Duration{0, 7 * time.Second, 8 * time.Second, 68 * time.Second}, "Succeeded Success 2"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				first, begun, n := time.Now(), make(chan time.Duration, 9), 0
				info := bury(t, afar(t, func(w http.ResponseWriter, _ *http.Request) {
					begun <- time.Since(first)
					status, after, told := strings.Cut(c.answers[n], " ")
					if n++; told {
						w.Header().Set("Retry-After", after)
					}
					code, err := strconv.Atoi(status)
					assert.NoError(t, err)
					w.WriteHeader(code)
				}))
				close(begun)
				var times []time.Duration
				for d := range begun {
					times = append(times, d.Truncate(time.Second))
				}
				assert.Equal(t, c.begun, times)
				assert.Equal(t, c.ends, strings.Join([]string{info.State.String(), string(info.Condition), strconv.Itoa(info.Attempts)}, " "))
			})
		})
	}
}

func TestAReceiverThatHangsIsLeftAtTheTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start, release := time.Now(), make(chan struct{})
		to := afar(t, func(http.ResponseWriter, *http.Request) { <-release })
		t.Cleanup(func() { close(release) })
		info := bury(t, to.WithRetry(faas.Retry{}))
		assert.Equal(t, faas.TimedOut, info.Last.Outcome)
		assert.Equal(t, 30*time.Second, time.Since(start).Truncate(time.Second))
	})
}

func TestASlowAnswerIsNotWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start, release := time.Now(), make(chan struct{})
		to := afar(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			<-release
		})
		t.Cleanup(func() { close(release) })
		info := bury(t, to)
		assert.Equal(t, faas.JobSucceeded, info.State)
		assert.Less(t, time.Since(start), time.Second)
	})
}
