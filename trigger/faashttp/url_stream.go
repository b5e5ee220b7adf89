package faashttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// StreamHead is the status and the headers of a streaming function's response over a
// [FunctionURL]. The function writes it before all other pieces, with [StreamHead.WriteTo].
type StreamHead struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers,omitempty"`
	Cookies    []string          `json:"cookies,omitempty"`
}

// WriteTo writes the head as one piece: its JSON and eight zero bytes. Lambda's response
// streaming separates the head from the body in this way. It must be the first piece of a
// stream. A stream without a head has the status 200 and the type application/octet-stream.
func (h StreamHead) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(append(mustJSON(h), headEnd...))
	return int64(n), err
}

const headEnd = "\x00\x00\x00\x00\x00\x00\x00\x00"

var errStreamHead = errors.New("faashttp: the stream begins with a malformed head")

// parseStreamHead splits a stream's first piece into the head, if the piece begins with one,
// and the rest. It returns false for a head that can't be sent.
func parseStreamHead(piece []byte) (a urlResponse, rest []byte, ok bool) {
	doc, rest, found := bytes.Cut(piece, []byte(headEnd))
	if !found || !isObject(doc) || !json.Valid(doc) {
		return urlResponse{status: http.StatusOK, headers: http.Header{"Content-Type": {octets}}}, piece, true
	}
	var s structuredResponse
	if json.Unmarshal(doc, &s) != nil {
		return a, nil, false
	}
	if a.status, a.headers, ok = s.head(octets); !ok {
		return a, nil, false
	}
	return a, rest, true
}

// urlStreamWriter sends the pieces of a stream. The first piece may begin with a head. Its
// methods are called by one goroutine at a time, like those of streamWriter.
type urlStreamWriter struct {
	x        *exchange
	whole    bool // collect the stream in response and send it at its end, see canBreakOff
	started  bool
	response urlResponse
}

// Write sends one piece.
func (s *urlStreamWriter) Write(piece []byte) (int, error) {
	rest := piece
	if !s.started {
		a, body, ok := parseStreamHead(piece)
		if !ok {
			return 0, errStreamHead
		}
		s.begin(a)
		rest = body
	}
	if s.whole {
		s.response.body = append(s.response.body, rest...)
		return len(piece), nil
	}
	s.x.extendWriteDeadline()
	if _, err := s.x.w.Write(rest); err != nil {
		return 0, err
	}
	return len(piece), s.x.flush()
}

// begin writes the head of the response. If whole is set, it only stores the head.
func (s *urlStreamWriter) begin(a urlResponse) {
	s.started, s.response = true, a
	if !s.whole {
		a.head(s.x.w.Header())
		s.x.extendWriteDeadline()
		s.x.w.WriteHeader(a.status)
	}
}
