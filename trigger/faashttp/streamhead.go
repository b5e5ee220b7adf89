package faashttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/inproc/faas"
)

const octets = "application/octet-stream"

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

// parseHead cuts the head off a stream's first piece, if it has one.
func parseHead(piece []byte) (a answer, rest []byte, ok bool) {
	doc, rest, found := bytes.Cut(piece, []byte(headEnd))
	if !found || !isObject(doc) || !json.Valid(doc) {
		return answer{status: http.StatusOK, headers: http.Header{"Content-Type": {octets}}}, piece, true
	}
	var s structured
	if json.Unmarshal(doc, &s) != nil {
		return a, nil, false
	}
	if a.status, a.headers, ok = s.head(octets); !ok {
		return a, nil, false
	}
	return a, rest, true
}

// stream serves a streaming function.
func (u *functionURL) stream(x *exchange, info faas.Signature, event []byte) {
	s := &headed{x: x, whole: !x.breaksOff()}
	err := u.router.InvokeStream(x.ctx, u.name, event, s)
	if err == nil && !s.started {
		_, err = s.Write(nil) // the head of a stream that has no piece
	}
	switch {
	case errors.Is(err, errHead):
		x.badGateway()
	case err != nil && (s.whole || !s.started):
		u.fail(x, info, err)
	case err != nil:
		x.breakOff()
	case s.whole:
		s.answer.head(x.w.Header())
		x.reply(s.answer.status, "", s.answer.body)
	}
}

// headed sends pieces, the first of which may have a head.
type headed struct {
	x       *exchange
	whole   bool // nothing is sent: all of it is gathered in the answer
	started bool
	answer  answer
}

// Write sends a piece.
func (s *headed) Write(piece []byte) (int, error) {
	rest := piece
	if !s.started {
		a, body, ok := parseHead(piece)
		if !ok {
			return 0, errHead
		}
		s.begin(a)
		rest = body
	}
	if s.whole {
		s.answer.body = append(s.answer.body, rest...)
		return len(piece), nil
	}
	s.x.patient()
	if _, err := s.x.w.Write(rest); err != nil {
		return 0, err
	}
	return len(piece), s.x.flush()
}

func (s *headed) begin(a answer) {
	s.started, s.answer = true, a
	if !s.whole {
		a.head(s.x.w.Header())
		s.x.patient()
		s.x.w.WriteHeader(a.status)
	}
}

var errHead = errors.New("faashttp: the stream's head is not one")
