package faasevents

import (
	"mime"
	"net/http"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2"
)

// mode is where the parts of an event stand in a request.
type mode uint8

const (
	binary     mode = iota // attributes in headers, data in the body
	structured             // one event in the body
	batched                // an array of events in the body
)

// modeOf returns the mode by the content type, as section 3 of the HTTP binding
// has it. The binary mode has no content type of its own: a request has it if one
// of its headers is an attribute.
func modeOf(header http.Header) (mode, *problem) {
	if e := header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return 0, unsupported("no content encoding is supported")
	}
	mediaType := header.Get("Content-Type")
	if t, _, err := mime.ParseMediaType(mediaType); err == nil {
		mediaType = t
	}
	switch {
	case mediaType == cloudevents.ApplicationCloudEventsJSON:
		return structured, nil
	case mediaType == cloudevents.ApplicationCloudEventsBatchJSON:
		return batched, nil
	case strings.HasPrefix(mediaType, "application/cloudevents"):
		return 0, unsupported("of the event formats, JSON is supported")
	}
	// One attribute is enough here. Which ones are missing is said by validate.
	for name := range header {
		if strings.HasPrefix(name, attributePrefix) {
			return binary, nil
		}
	}
	return 0, unsupported("neither application/cloudevents+json, nor application/cloudevents-batch+json, nor ce- headers")
}

// unsupported is the answer to a request in no mode that is known here.
func unsupported(detail string) *problem {
	return &problem{Status: http.StatusUnsupportedMediaType, Reason: "media_type", Detail: detail}
}
