package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/inproc/faas/admin"
)

const (
	dialTime = 5 * time.Second  // for connecting
	readTime = 30 * time.Second // for the answer to a request that changes nothing
	// maxAnswer is the largest answer that is read. A thousand failures or jobs are a few
	// megabytes.
	maxAnswer = 64 << 20
)

// client makes requests to the admin API of one host.
type client struct {
	config

	http *http.Client
}

func newClient(c config) *client {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: dialTime}).DialContext,
		TLSHandshakeTimeout: dialTime, ForceAttemptHTTP2: true, IdleConnTimeout: readTime,
	}
	return &client{config: c, http: &http.Client{
		Transport: transport,
		// The API never redirects. A redirect comes from another server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// get requests a document of the API.
func get[T any](ctx context.Context, c *client, path string, query url.Values) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	return send[T](ctx, c, http.MethodGet, path, query, nil)
}

// post requests a change; a nil body sends none. It waits for as long as the change takes.
func post[T any](ctx context.Context, c *client, path string, body any) (T, error) {
	return send[T](ctx, c, http.MethodPost, path, nil, body)
}

// put changes an object of the API.
func put[T any](ctx context.Context, c *client, path string, body any) (T, error) {
	return send[T](ctx, c, http.MethodPut, path, nil, body)
}

func send[T any](ctx context.Context, c *client, method, path string, query url.Values, body any) (out T, err error) {
	var payload io.Reader
	if body != nil {
		data, err := marshal(body)
		if err != nil {
			return out, err
		}
		payload = bytes.NewReader(data)
	}
	resp, err := c.do(ctx, method, path, query, payload, http.Header{"Accept": {"application/json"}})
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&out); err != nil {
		return out, c.broken(ctx, err)
	}
	return out, nil
}

// do sends a request. Any error of it is an exitError or that of ctx; any response that it
// returns has a status of success.
func (c *client) do(ctx context.Context, method, path string, query url.Values, body io.Reader, header http.Header) (*http.Response, error) {
	address := c.url.String() + path // the path is escaped already
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	req.Header = header
	if method != http.MethodGet { // the API requires it even without a body
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, c.refused(resp)
	}
	return resp, nil
}

// unreachable returns the error of a request that has got no answer.
func (c *client) unreachable(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Canceled
	}
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	text := "the host does not answer at " + c.url.String() + ": " + err.Error()
	return &exitError{code: exitUnreachable, text: text, hint: "Does it run, and is the address in " + c.from + " right?", cause: err}
}

// broken returns the error for an answer that can't be decoded.
func (c *client) broken(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return c.another("it answers no JSON")
	}
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return failedf("the host's answer can't be read: %v; is this command as new as the host?", kind)
	}
	return c.unreachable(ctx, err)
}

// refused returns the error for an answer whose status is not a success.
func (c *client) refused(resp *http.Response) error {
	var p admin.Problem
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&p) != nil {
		return c.foreign(resp.StatusCode)
	}
	p.Status = resp.StatusCode
	return faultOf(&p)
}

// foreign returns the error for an answer that is not the API's. Either something in front of
// the API, such as a proxy, has answered, or there is no API at this address.
func (c *client) foreign(status int) error {
	p := &admin.Problem{Status: status, Title: fmt.Sprintf("the host at %s answers %d %s", c.url, status, http.StatusText(status))}
	code, hint := adviceFor(p)
	switch {
	case status == http.StatusUnauthorized:
		hint = "Set FAAS_TOKEN, or token in the file of settings, to a token that the host accepts."
	case status/100 == 3 || status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return c.another(fmt.Sprintf("it answers %d %s", status, http.StatusText(status)))
	}
	return &exitError{code: code, text: p.Title, hint: hint}
}

// another returns the error for an address that is not that of an admin API.
func (c *client) another(why string) error {
	return &exitError{
		code: exitUnreachable, text: "there is no admin API at " + c.url.String() + ": " + why,
		hint: "The address in " + c.from + " is that before /v1/, such as https://faas.example.com.",
	}
}

// marshal encodes JSON without escaping the characters that are special in HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// path returns a path of the API. It escapes each element.
func path(elements ...string) string {
	escaped := make([]string, len(elements))
	for i, e := range elements {
		escaped[i] = url.PathEscape(e)
	}
	return "/v1/" + strings.Join(escaped, "/")
}
