package main

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// endpoint is the partner that receives the webhooks, here in this process. It answers every second request with 503,
// whether or not the webhook was refused before.
type endpoint struct {
	http.Server

	listener net.Listener

	mu       sync.Mutex // guards the fields below
	requests int
	taken    map[string]bool // the webhooks that were answered with 204
}

func startEndpoint() (*endpoint, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &endpoint{listener: listener, taken: map[string]bool{}}
	e.Handler = http.HandlerFunc(e.serve)
	go func() { _ = e.Serve(listener) }() // ends with Close; its error says nothing else
	return e, nil
}

func (e *endpoint) URL() string { return "http://" + e.listener.Addr().String() }

func (e *endpoint) serve(w http.ResponseWriter, r *http.Request) {
	time.Sleep(2 * time.Millisecond) // the usual time of an answer
	w.WriteHeader(e.take(r.Header.Get("Webhook-Id")))
}

func (e *endpoint) take(id string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.requests++; e.requests%2 == 0 {
		return http.StatusServiceUnavailable
	}
	e.taken[id] = true // a webhook that comes twice has the same id, and counts once
	return http.StatusNoContent
}

// count returns how many webhooks were accepted.
func (e *endpoint) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.taken)
}
