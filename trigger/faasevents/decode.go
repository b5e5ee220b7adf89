package faasevents

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

// decode decodes the events of a body with the SDK. The SDK panics for some malformed messages;
// decode recovers and returns an error. The request that it makes for the SDK has only the
// header and the body, so that the result can't depend on anything else.
func decode(m mode, header http.Header, body []byte) (events []cloudevents.Event, err error) {
	defer func() {
		if recover() != nil {
			events, err = nil, errors.New("not a CloudEvent")
		}
	}()
	switch m {
	case binary:
		header, err = decodeHeader(header)
	case structured:
		body, err = checkEvent(body)
	case batched:
		return decodeBatch(body)
	}
	if err != nil {
		return nil, err
	}
	e, err := cehttp.NewEventFromHTTPRequest(&http.Request{Header: header, Body: io.NopCloser(bytes.NewReader(body))})
	if err != nil {
		return nil, err
	}
	return []cloudevents.Event{*e}, nil
}

// decodeBatch decodes an array of events. If one event is malformed, the batch is malformed.
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

// checkEvent checks what the SDK does not check: that no data follows the event, and the rules
// of section 3 of the JSON format for names and values. It returns JSON that the SDK decodes
// correctly. Members that are null are removed, because null stands for an absent attribute. An
// event with data_base64 is encoded anew, because the SDK does not find that name if a space
// precedes its colon.
func checkEvent(raw []byte) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, fmt.Errorf("the event is not an object in JSON: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) { // sorted: the same error every time
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

// checkMember checks one member of an event. json.Unmarshal has removed the space around
// values, so the first byte shows the kind of the value.
func checkMember(name string, members map[string]json.RawMessage) error {
	value := members[name]
	isString, isNull := value[0] == '"', string(value) == "null"
	switch {
	case name == "data":
		return nil
	case name == "data_base64":
		if _, both := members["data"]; both {
			return errors.New("data and data_base64 exclude each other")
		}
		if !isString && !isNull {
			return errors.New("data_base64: must be a string")
		}
		return nil
	case !isAttributeName(name):
		return fmt.Errorf("%.40q: the name of an attribute must consist of a–z and 0–9", name)
	case isText[name] && !isString && !isNull:
		return fmt.Errorf("%s: must be a string", name)
	case isText[name] && string(value) == `""`:
		return fmt.Errorf("%s: must not be empty", name)
	}
	return checkValue(name, value)
}

// checkValue checks the value of an attribute or an extension.
func checkValue(name string, value json.RawMessage) error {
	switch c := value[0]; {
	case c == '{' || c == '[':
		return fmt.Errorf("%s: an attribute must be a string, an integer, a boolean or null", name)
	case c == '-' || '0' <= c && c <= '9':
		if _, err := strconv.ParseInt(string(value), 10, 32); err != nil {
			return fmt.Errorf("%s: a number must be an integer of 32 bits", name)
		}
	}
	return nil
}

// isText has the attributes of the core specification. The values of all of them are text.
var isText = map[string]bool{ //nolint:gochecknoglobals // never written
	"specversion": true, "id": true, "source": true, "type": true,
	"subject": true, "time": true, "datacontenttype": true, "dataschema": true,
}

// validate is the SDK's validation with one more rule: a media type has two parts.
func validate(e cloudevents.Event) error {
	if err := e.Validate(); err != nil {
		return err
	}
	if t := e.DataContentType(); t != "" && !strings.Contains(t, "/") {
		return errors.New("datacontenttype: must be a media type by RFC 2046")
	}
	return nil
}
