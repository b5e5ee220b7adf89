package faashttp

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Problem is an error that a handler returns to choose the answer of the HTTP front. For any
// other error the front answers 500 and says only that the function failed. The answer is an
// application/problem+json document of RFC 9457.
type Problem struct { //nolint:errname // it is the noun of RFC 9457
	Status     int           // 400 to 599; any other value is answered as 500
	Reason     string        // one word, for programs; empty means "failed"
	Detail     string        // shown to the caller as it is
	RetryAfter time.Duration // when another attempt may succeed; 0 if that is not known
	Err        error         // the cause, for records and logs; never shown to the caller
}

// Error returns the detail, or the text of the status if there is no detail.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return http.StatusText(p.status())
}

// Unwrap returns Err.
func (p *Problem) Unwrap() error { return p.Err }

func (p *Problem) status() int {
	if p.Status < 400 || p.Status > 599 {
		return http.StatusInternalServerError
	}
	return p.Status
}

// json returns the document of RFC 9457. It leaves out "type", which by the RFC means
// about:blank.
func (p *Problem) json(id string) []byte {
	reason := p.Reason
	if reason == "" {
		reason = "failed"
	}
	doc, _ := json.Marshal(struct { // can't fail: the fields are strings and a number
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail,omitempty"`
		Reason    string `json:"reason"`
		RequestID string `json:"requestId"`
	}{http.StatusText(p.status()), p.status(), p.Detail, reason, id})
	return doc
}

// ServeHTTP answers the request with the problem: its status, Retry-After if RetryAfter is
// positive, and the document of RFC 9457. The request id in the document is the X-Request-Id of
// the response. ServeHTTP sets that header if it is not set yet.
func (p *Problem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	id := h.Get("X-Request-Id")
	if id == "" {
		id = requestID(r, "X-Request-Id")
		h.Set("X-Request-Id", id)
	}
	h.Set("X-Content-Type-Options", "nosniff")
	p.write(w, id)
}

func (p *Problem) write(w http.ResponseWriter, id string) {
	doc, h := p.json(id), w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	if p.RetryAfter > 0 {
		retryAfter(h, p.RetryAfter)
	}
	w.WriteHeader(p.status())
	_, _ = w.Write(doc) // an error means that the client has disconnected
}

// retryAfter sets the Retry-After header: d in whole seconds, rounded up, at least one.
func retryAfter(h http.Header, d time.Duration) {
	h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))))
}
