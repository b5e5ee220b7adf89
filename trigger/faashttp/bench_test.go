package faashttp_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

// item is the input and the output of both sides of the benchmark.
type item struct {
	Name  string   `json:"name"`
	Count int      `json:"count"`
	Tags  []string `json:"tags"`
}

const itemJSON = `{"name":"tea","count":3,"tags":["green","loose","organic"]}`

func more(_ context.Context, in item) (item, error) {
	in.Count++
	return in, nil
}

// bare is a handler that is written without the front. It has the same JSON and the same
// bound on the body, and nothing else.
func bare(w http.ResponseWriter, r *http.Request) {
	var in item
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 6<<20)).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out, err := more(r.Context(), in)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

// BenchmarkRequest compares a request to the front with a request to a bare handler that
// decodes and encodes the same JSON. It measures the handler alone, and a request over a
// connection, whose cost is mostly that of the server.
func BenchmarkRequest(b *testing.B) {
	r := faas.New()
	defer r.Close()
	faas.Register(r, "more", more)
	l := faashttp.NewLambda(r)
	for _, c := range []struct {
		name, path string
		h          http.Handler
	}{
		{"bare", "/fn/more", http.HandlerFunc(bare)},
		{"front", "/fn/more", faashttp.Handler(r)},
		{"lambda", "/2015-03-31/functions/more/invocations", l},
	} {
		b.Run("handler/"+c.name, func(b *testing.B) { benchHandler(b, c.h, c.path) })
		b.Run("connection/"+c.name, func(b *testing.B) { benchConnection(b, c.h, c.path) })
	}
}

func benchHandler(b *testing.B, h http.Handler, path string) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(itemJSON)))
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}

func benchConnection(b *testing.B, h http.Handler, path string) {
	b.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	c := s.Client()
	b.ReportAllocs()
	for b.Loop() {
		res, err := c.Post(s.URL+path, "application/json", strings.NewReader(itemJSON))
		if err != nil || res.StatusCode != http.StatusOK {
			b.Fatal(res, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}
