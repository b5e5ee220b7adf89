package faashttp

import (
	"bytes"
	"net/http"
	"strings"
)

// acceptsEvents tells whether the client asks for server-sent events by name.
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

// sseEvent writes one event of the HTML standard's section 9.2. A line of the data
// is a field of its own; any of the three line ends would otherwise let a
// piece forge fields and events.
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

func lineEnd(data []byte) []byte {
	if bytes.HasPrefix(data, []byte("\r\n")) {
		return data[:2]
	}
	return data[:1]
}
