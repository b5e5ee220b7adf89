package faashttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// StreamHead is the status and the headers of a streaming function behind a
// [FunctionURL], written before anything else by [StreamHead.WriteTo].
type StreamHead struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers,omitempty"`
	Cookies    []string          `json:"cookies,omitempty"`
}

// WriteTo writes the head as one piece: the JSON and eight zero bytes, which is
// how Lambda's response streaming parts it from the body. It must be the first
// piece of a stream. Without one, a stream is a 200 of application/octet-stream.
func (h StreamHead) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(append(mustJSON(h), headEnd...))
	return int64(n), err
}

const headEnd = "\x00\x00\x00\x00\x00\x00\x00\x00"

// parseStreamHead cuts the head off a stream's first piece, if it has one.
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

// urlStreamWriter sends pieces, the first of which may have a head.
type urlStreamWriter struct {
	x        *exchange
	whole    bool // nothing is sent: all of it is gathered in the answer
	started  bool
	response urlResponse
}

// Write sends a piece.
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

func (s *urlStreamWriter) begin(a urlResponse) {
	s.started, s.response = true, a
	if !s.whole {
		a.head(s.x.w.Header())
		s.x.extendWriteDeadline()
		s.x.w.WriteHeader(a.status)
	}
}

var errStreamHead = errors.New("faashttp: the stream's head is not one")
