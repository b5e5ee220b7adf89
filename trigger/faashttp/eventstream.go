package faashttp

import (
	"encoding/binary"
	"hash/crc32"
	"net/http"
)

// message is one of application/vnd.amazon.eventstream, as its documentation
// draws it (Amazon Transcribe, "Event stream encoding"): the length of all, the
// length of the headers, a checksum of these two, the headers, the payload, and
// a checksum of all before it; numbers big-endian, checksums CRC-32 (IEEE).
func message(kind, contentType string, payload []byte) []byte {
	headers := header(nil, ":event-type", kind)
	headers = header(headers, ":content-type", contentType)
	headers = header(headers, ":message-type", "event")
	const around = 4 + 4 + 4 + 4
	m := make([]byte, 0, around+len(headers)+len(payload))
	m = binary.BigEndian.AppendUint32(m, uint32(cap(m)))
	m = binary.BigEndian.AppendUint32(m, uint32(len(headers)))
	m = binary.BigEndian.AppendUint32(m, crc32.ChecksumIEEE(m))
	m = append(append(m, headers...), payload...)
	return binary.BigEndian.AppendUint32(m, crc32.ChecksumIEEE(m))
}

// header appends a header whose value is a string.
func header(to []byte, name, value string) []byte {
	const isString = 7
	to = append(to, byte(len(name)))
	to = append(to, name...)
	to = append(to, isString)
	to = binary.BigEndian.AppendUint16(to, uint16(len(value)))
	return append(to, value...)
}

// maxChunk is how much of a piece goes into one message: what clients take is
// bounded, at 16 MiB and below.
const maxChunk = 8 << 20

// chunks frames a piece.
func chunks(piece []byte) (framed []byte) {
	for len(piece) > maxChunk {
		framed = append(framed, message("PayloadChunk", octets, piece[:maxChunk])...)
		piece = piece[maxChunk:]
	}
	return append(framed, message("PayloadChunk", octets, piece)...)
}

// completion is how a stream ends.
type completion struct {
	ErrorCode    string `json:",omitempty"`
	ErrorDetails string `json:",omitempty"`
	LogResult    string `json:",omitempty"`
}

// invokeStream serves InvokeWithResponseStream.
func (l *Lambda) invokeStream(x *exchange) {
	c, f := l.receive(x)
	if f != nil {
		x.refuse(f)
		return
	}
	switch kind := x.r.Header.Get("X-Amz-Invocation-Type"); kind {
	case "", "RequestResponse":
		l.answerStream(x, c)
	case "DryRun":
		l.dryRun(x, c)
	default:
		x.refuse(invalid("invocationType", kind, "Member must satisfy enum value set: [RequestResponse, DryRun]"))
	}
}

func (l *Lambda) answerStream(x *exchange, c call) {
	x.startLog()
	s := &pieces{x: x, frame: chunks, head: func(h http.Header) {
		h.Set("Content-Type", "application/vnd.amazon.eventstream")
		h.Set("X-Amz-Executed-Version", latest)
		h.Set("X-Amzn-Remapped-Content-Type", c.info.ContentType)
	}}
	err := l.router.InvokeStream(x.ctx, c.name, c.body, s)
	end := completion{}
	if err != nil {
		if f := l.faultOf(x, err, c.target, c.info); f != nil {
			if s.started { // the status is said
				x.breakOff()
			}
			x.refuse(f)
			return
		}
		end.ErrorCode, end.ErrorDetails = "Unhandled", string(failureOf(err, c.info, x.carried.ID))
	}
	end.LogResult = x.endLog()
	_ = s.send(message("InvokeComplete", "application/json", mustJSON(end))) // or the client has gone
}
