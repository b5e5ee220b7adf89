package faasevents

import (
	"mime"
	"net/http"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2"
)

// mode says which parts of a request contain the parts of an event.
type mode uint8

const (
	binary     mode = iota // attributes in headers, data in the body
	structured             // one event in the body
	batched                // an array of events in the body
)

// modeOf returns the mode of a request by its content type, following section 3 of the HTTP
// binding. The binary mode has no content type of its own: a request is binary if one of its
// headers is an attribute.
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
		return 0, unsupported("JSON is the only event format that is supported")
	}
	// One attribute is enough here. validate reports those that are missing.
	for name := range header {
		if strings.HasPrefix(name, attributePrefix) {
			return binary, nil
		}
	}
	return 0, unsupported("neither application/cloudevents+json, nor application/cloudevents-batch+json, nor ce- headers")
}

// unsupported returns the answer to a request whose mode or format is not supported.
func unsupported(detail string) *problem {
	return &problem{Status: http.StatusUnsupportedMediaType, Reason: "media_type", Detail: detail}
}
