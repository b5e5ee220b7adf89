package faasevents

import (
	"mime"
	"strings"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/inproc/faas/trigger/pattern"
)

// fieldsOf returns the fields of an event for a pattern: its attributes, its extensions and, if
// withData is set, its data. Decoding the data is the costly part, and most patterns do not use
// it.
func fieldsOf(e cloudevents.Event, withData bool) map[string]any {
	if e.Context == nil { // the zero Event has no attributes
		return map[string]any{}
	}
	fields := extensionsOf(e)
	set := func(name, value string) { // an attribute with an empty value is absent
		if value != "" {
			fields[name] = pattern.Attribute(value)
		}
	}
	set("specversion", e.SpecVersion())
	set("id", e.ID())
	set("source", e.Source())
	set("type", e.Type())
	set("subject", e.Subject())
	set("datacontenttype", e.DataContentType())
	set("dataschema", e.DataSchema())
	if t := e.Time(); !t.IsZero() {
		set("time", types.FormatTime(t))
	}
	if withData {
		if v, ok := dataOf(e); ok {
			fields["data"] = v
		}
	}
	return fields
}

// extensionsOf returns the extensions of an event. Each is the canonical text of its value.
func extensionsOf(e cloudevents.Event) map[string]any {
	fields := make(map[string]any, 10)
	for name, v := range e.Extensions() {
		if text, err := types.Format(v); err == nil {
			fields[name] = pattern.Attribute(text)
		}
	}
	// The SDK accepts an extension named "data", although the specification forbids it. A
	// pattern must not use it as the event's data.
	delete(fields, "data")
	return fields
}

// dataOf returns the data as a value for matching: decoded if it is JSON, a string if it is
// other text. It returns false if there is no data, if the bytes are not text, and if the data
// should be JSON by its type and is not.
func dataOf(e cloudevents.Event) (any, bool) {
	data := e.Data()
	switch {
	case len(data) == 0:
		return nil, false
	case isJSON(e):
		v, err := pattern.Decode(data)
		return v, err == nil
	case !utf8.Valid(data):
		return nil, false
	}
	return string(data), true
}

// isJSON reports whether an event's data is JSON by its datacontenttype. Without a
// datacontenttype it is JSON, by section 3.1 of the JSON format.
func isJSON(e cloudevents.Event) bool {
	t, _, err := mime.ParseMediaType(e.DataContentType())
	if err != nil {
		return e.DataContentType() == ""
	}
	return t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json")
}
