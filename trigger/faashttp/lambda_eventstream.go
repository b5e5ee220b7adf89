package faashttp

import (
	"encoding/binary"
	"hash/crc32"
)

// eventMessage is one of application/vnd.amazon.eventstream, as its documentation
// draws it (Amazon Transcribe, "Event stream encoding"): the length of all, the
// length of the headers, a checksum of these two, the headers, the payload, and
// a checksum of all before it; numbers big-endian, checksums CRC-32 (IEEE).
func eventMessage(kind, contentType string, payload []byte) []byte {
	headers := stringHeader(nil, ":event-type", kind)
	headers = stringHeader(headers, ":content-type", contentType)
	headers = stringHeader(headers, ":message-type", "event")
	const around = 4 + 4 + 4 + 4
	m := make([]byte, 0, around+len(headers)+len(payload))
	m = binary.BigEndian.AppendUint32(m, uint32(cap(m)))
	m = binary.BigEndian.AppendUint32(m, uint32(len(headers)))
	m = binary.BigEndian.AppendUint32(m, crc32.ChecksumIEEE(m))
	m = append(append(m, headers...), payload...)
	return binary.BigEndian.AppendUint32(m, crc32.ChecksumIEEE(m))
}

// stringHeader appends a header whose value is a string.
func stringHeader(to []byte, name, value string) []byte {
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

// payloadChunks frames a piece.
func payloadChunks(piece []byte) (framed []byte) {
	for len(piece) > maxChunk {
		framed = append(framed, eventMessage("PayloadChunk", octets, piece[:maxChunk])...)
		piece = piece[maxChunk:]
	}
	return append(framed, eventMessage("PayloadChunk", octets, piece)...)
}

// completion is how a stream ends.
type completion struct {
	ErrorCode    string `json:",omitempty"`
	ErrorDetails string `json:",omitempty"`
	LogResult    string `json:",omitempty"`
}
