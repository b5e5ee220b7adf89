package faashttp

import (
	"bytes"
	"net/http"
	"strings"
)

// acceptsEvents reports whether an Accept header names text/event-stream. A wildcard such as
// */* does not count: those clients get a plain stream.
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

// sseEvent encodes one event (HTML standard, section 9.2). Each line of the data becomes a data
// field of its own. Written as one field, a piece with a line end in it (\r, \n or \r\n) could
// forge further fields and whole events.
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

// lineEnd returns the line end at the start of data: \r\n, or one byte, \r or \n.
func lineEnd(data []byte) []byte {
	if bytes.HasPrefix(data, []byte("\r\n")) {
		return data[:2]
	}
	return data[:1]
}
