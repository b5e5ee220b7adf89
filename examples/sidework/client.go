package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// webhook is one message to one endpoint.
type webhook struct {
	ID       int
	Endpoint string
	Payload  string // fields with semicolons between
}

// client has the functions that deliver webhooks: ordinary code that knows nothing of its host.
type client struct {
	http.Client
	base string
}

func newClient(base string) *client {
	return &client{Client: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}, base: base}
}

// deliver heeds its context: at its deadline the request ends, and with it the call.
func (c *client) deliver(ctx context.Context, hook webhook) (struct{}, error) {
	req, err := c.request(ctx, hook)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, c.send(req)
}

// deliverLegacy has a bug: it expects a field that the payload no longer has, and panics.
func (c *client) deliverLegacy(ctx context.Context, hook webhook) (struct{}, error) {
	fields := strings.Split(hook.Payload, ";")
	hook.Payload = fields[0] + ";" + fields[2]
	return c.deliver(ctx, hook)
}

// deliverDeaf forgets to pass its context on, so nothing can end its request, and the endpoint never answers.
func (c *client) deliverDeaf(_ context.Context, hook webhook) (struct{}, error) {
	req, err := c.request(context.Background(), hook)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, c.send(req)
}

func (c *client) request(ctx context.Context, hook webhook) (*http.Request, error) {
	target := fmt.Sprintf("%s/%s?id=%d", c.base, url.PathEscape(hook.Endpoint), hook.ID)
	return http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(hook.Payload))
}

func (c *client) send(req *http.Request) error {
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s answers %s", req.URL.Path, resp.Status)
	}
	return nil
}
