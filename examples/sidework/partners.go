package main

import (
	"io"
	"net"
	"net/http"
	"time"
)

// partners are the endpoints' servers, here all in this process.
type partners struct {
	http.Server
	listener net.Listener
}

func startPartners() (*partners, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &partners{listener: listener}
	p.Handler = p.handler()
	go func() { _ = p.Serve(listener) }() // ends with Close, and says no more than that
	return p, nil
}

func (p *partners) URL() string { return "http://" + p.listener.Addr().String() }

func (p *partners) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{endpoint}", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(20 * time.Millisecond) // the usual time an endpoint takes
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /blackhole", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that a connection is closed
		<-r.Context().Done()
	})
	return mux
}
