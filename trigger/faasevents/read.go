package faasevents

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

// mode is how an event lies in a message.
type mode uint8

const (
	binary mode = iota
	structured
	batched
)

type message struct {
	mode   mode
	events []cloudevents.Event
}

// at says which event of a batch a problem is about.
func (m message) at(i int, p *problem) *problem {
	if m.mode == batched {
		p.Detail = "event " + strconv.Itoa(i) + " of the batch: " + p.Detail
	}
	return p
}

// read reads a request's events: the body under its limit first, and all of it,
// so that what follows has bytes in hand and not a stream.
func (h *handler) read(w http.ResponseWriter, req *http.Request) (message, *problem) {
	m, p := modeOf(req.Header)
	if p != nil {
		return m, p
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, h.limit))
	if err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return m, &problem{Status: http.StatusRequestEntityTooLarge, Reason: "too_large", Detail: fmt.Sprintf("the body is larger than %d bytes", h.limit)}
		}
		return m, malformed(errors.New("the body ended early"))
	}
	m.events, err = decode(m.mode, req.Header, body)
	if err != nil {
		return m, malformed(err)
	}
	if len(m.events) > h.batch {
		return m, &problem{Status: http.StatusRequestEntityTooLarge, Reason: "too_large", Detail: fmt.Sprintf("the batch has %d events, and %d are allowed", len(m.events), h.batch)}
	}
	for i, e := range m.events {
		if err := validate(e); err != nil {
			return m, m.at(i, malformed(err))
		}
	}
	return m, nil
}

// validate is the SDK's, and what it leaves out: a media type has two parts.
func validate(e cloudevents.Event) error {
	if err := e.Validate(); err != nil {
		return err
	}
	if t := e.DataContentType(); t != "" && !strings.Contains(t, "/") {
		return errors.New("datacontenttype: must be a media type by RFC 2046")
	}
	return nil
}

func malformed(err error) *problem {
	return &problem{Status: http.StatusBadRequest, Reason: "malformed", Detail: strings.TrimSpace(err.Error())}
}

// modeOf tells the mode by the content type, as section 3 of the HTTP binding
// has it, and in the binary mode by the presence of attributes in headers.
func modeOf(header http.Header) (message, *problem) {
	unknown := func(detail string) (message, *problem) {
		return message{}, &problem{Status: http.StatusUnsupportedMediaType, Reason: "media_type", Detail: detail}
	}
	if e := header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return unknown("no content encoding is supported")
	}
	mediaType := header.Get("Content-Type")
	if t, _, err := mime.ParseMediaType(mediaType); err == nil {
		mediaType = t
	}
	switch {
	case mediaType == cloudevents.ApplicationCloudEventsJSON:
		return message{mode: structured}, nil
	case mediaType == cloudevents.ApplicationCloudEventsBatchJSON:
		return message{mode: batched}, nil
	case strings.HasPrefix(mediaType, "application/cloudevents"):
		return unknown("of the event formats, JSON is supported")
	}
	for name := range header {
		if strings.HasPrefix(name, attributePrefix) {
			return message{mode: binary}, nil
		}
	}
	return unknown("neither application/cloudevents+json, nor application/cloudevents-batch+json, nor ce- headers")
}

// decode has the SDK read the events. It is given what it needs to read and no
// more, and is stopped where it panics, as it does for some messages that are
// not well formed.
func decode(m mode, header http.Header, body []byte) (events []cloudevents.Event, err error) {
	defer func() {
		if recover() != nil {
			events, err = nil, errors.New("not a CloudEvent")
		}
	}()
	switch m {
	case binary:
		if header, err = decodeHeader(header); err != nil {
			return nil, err
		}
	case structured:
		if body, err = checkEvent(body); err != nil {
			return nil, err
		}
	case batched:
		return decodeBatch(body)
	}
	e, err := cehttp.NewEventFromHTTPRequest(&http.Request{Header: header, Body: io.NopCloser(bytes.NewReader(body))})
	if err != nil {
		return nil, err
	}
	return []cloudevents.Event{*e}, nil
}

func decodeBatch(body []byte) ([]cloudevents.Event, error) {
	var all []json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("the batch is not an array in JSON: %w", err)
	}
	events := make([]cloudevents.Event, len(all))
	for i, raw := range all {
		raw, err := checkEvent(raw)
		if err == nil {
			err = json.Unmarshal(raw, &events[i])
		}
		if err != nil {
			return nil, fmt.Errorf("event %d of the batch: %w", i, err)
		}
	}
	return events, nil
}

// checkEvent checks what the SDK's reader lets pass: what follows the value, and
// the rules on names and values of section 3 of the JSON format. It returns the
// JSON as the SDK reads it well: without null, which stands for an attribute
// that is not there, and without a space before data_base64.
func checkEvent(raw []byte) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, fmt.Errorf("the event is not an object in JSON: %w", err)
	}
	for _, name := range sorted(members) {
		if err := checkMember(name, members); err != nil {
			return nil, err
		}
	}
	before := len(members)
	maps.DeleteFunc(members, func(name string, v json.RawMessage) bool { return name != "data" && string(v) == "null" })
	if _, there := members["data_base64"]; !there && len(members) == before {
		return raw, nil
	}
	return json.Marshal(members)
}

func checkMember(name string, members map[string]json.RawMessage) error {
	value := members[name]
	isString, isNull := value[0] == '"', string(value) == "null"
	switch {
	case name == "data":
	case name == "data_base64":
		if _, both := members["data"]; both {
			return errors.New("data and data_base64 exclude each other")
		}
		if !isString && !isNull {
			return errors.New("data_base64: must be a string")
		}
	case !isAttributeName(name):
		return fmt.Errorf("%.40q: names of attributes are of a–z and 0–9", name)
	case isText[name] && !isString && !isNull:
		return fmt.Errorf("%s: must be a string", name)
	case isText[name] && string(value) == `""`:
		return fmt.Errorf("%s: must not be empty", name)
	case value[0] == '{' || value[0] == '[':
		return fmt.Errorf("%s: an attribute is a string, an integer, a boolean or null", name)
	case value[0] == '-' || '0' <= value[0] && value[0] <= '9':
		if _, err := strconv.ParseInt(string(value), 10, 32); err != nil {
			return fmt.Errorf("%s: a number is an integer of 32 bits", name)
		}
	}
	return nil
}

// isText are the attributes of the core specification: all are text.
var isText = map[string]bool{ //nolint:gochecknoglobals // never written
	"specversion": true, "id": true, "source": true, "type": true,
	"subject": true, "time": true, "datacontenttype": true, "dataschema": true,
}

func isAttributeName(name string) bool {
	strange := func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') }
	return name != "" && !strings.ContainsFunc(name, strange)
}

// isJSON tells whether an event's data is JSON: by its type, or, as section 3.1
// of the JSON format has it, for want of one.
func isJSON(e cloudevents.Event) bool {
	t, _, err := mime.ParseMediaType(e.DataContentType())
	if err != nil {
		return e.DataContentType() == ""
	}
	return t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json")
}
