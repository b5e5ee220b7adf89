package faashttp

import (
	"bytes"
	"net/http"
	"strings"
)

// acceptsEvents reports whether the client asks for server-sent events by name. */*
// does not count: a plain stream is what it gets.
func acceptsEvents(r *http.Request) bool {
	for _, accept := range r.Header["Accept"] {
		for kind := range strings.SplitSeq(accept, ",") {
			kind, _, _ = strings.Cut(kind, ";")
			if strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
				return true
			}
		}
	}
	return false
}

// sseEvent encodes one event (HTML standard, section 9.2). Each line of the data
// becomes a data field of its own. Otherwise a piece that contains a line end, of
// which there are three kinds, could forge fields and whole events.
func sseEvent(name string, data []byte) []byte {
	var b bytes.Buffer
	if name != "" {
		b.WriteString("event: " + name + "\n")
	}
	for more := true; more; {
		line := data
		if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
			line, data = data[:i], data[i:]
			data = data[len(lineEnd(data)):]
		} else {
			more = false
		}
		b.WriteString("data: ")
		b.Write(line)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// lineEnd returns the line end that data begins with.
func lineEnd(data []byte) []byte {
	if bytes.HasPrefix(data, []byte("\r\n")) {
		return data[:2]
	}
	return data[:1]
}
