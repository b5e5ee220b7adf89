package faasevents

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/inproc/faas/internal/bounded"
)

// message is a decoded request. It has at least one event, or none if it is an empty batch.
type message struct {
	mode   mode
	events []cloudevents.Event
}

// at adds the index of an event of a batch to the text of a problem.
func (m message) at(i int, p *problem) *problem {
	if m.mode == batched {
		p.Detail = "event " + strconv.Itoa(i) + " of the batch: " + p.Detail
	}
	return p
}

// read reads the events of a request and validates each of them.
func (s *settings) read(req *http.Request) (message, *problem) {
	mode, p := modeOf(req.Header)
	m := message{mode: mode}
	if p != nil {
		return m, p
	}
	body, p := s.body(req)
	if p != nil {
		return m, p
	}
	var err error
	if m.events, err = decode(m.mode, req.Header, body); err != nil {
		return m, malformed(err)
	}
	if len(m.events) > s.batch {
		return m, tooLarge(fmt.Sprintf("the batch has %d events, and at most %d are allowed", len(m.events), s.batch))
	}
	for i, e := range m.events {
		if err := validate(e); err != nil {
			return m, m.at(i, malformed(err))
		}
	}
	return m, nil
}

// body reads the whole body before it is decoded. The limit applies to the bytes that are read,
// and not to the Content-Length. After a body that is too large the connection is closed,
// because the next request could be read only after the rest of this body.
func (s *settings) body(req *http.Request) ([]byte, *problem) {
	body, more, err := bounded.Read(req.Body, s.limit)
	switch {
	case err != nil:
		return nil, malformed(errors.New("the body ended early"))
	case more:
		p := tooLarge(fmt.Sprintf("the body is larger than %d bytes", s.limit))
		p.unread = req.ProtoMajor == 1 // in HTTP/2 only the stream ends
		return nil, p
	}
	return body, nil
}
