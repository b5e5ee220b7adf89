package faashttp

import (
	"encoding/binary"
	"hash/crc32"
)

// eventMessage encodes one message of application/vnd.amazon.eventstream. AWS documents the
// format (Amazon Transcribe, "Event stream encoding"): the total length, the length of the
// headers, a checksum of these two, the headers, the payload, and a checksum of all bytes
// before it. Numbers are big-endian, checksums are CRC-32 (IEEE).
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

// stringHeader appends a header with a string value.
func stringHeader(to []byte, name, value string) []byte {
	const isString = 7
	to = append(to, byte(len(name)))
	to = append(to, name...)
	to = append(to, isString)
	to = binary.BigEndian.AppendUint16(to, uint16(len(value)))
	return append(to, value...)
}

// maxChunk bounds the bytes of a piece that go into one message. Clients accept messages of at
// most 16 MiB, or less.
const maxChunk = 8 << 20

// payloadChunks encodes one piece of a stream as one or more messages.
func payloadChunks(piece []byte) (framed []byte) {
	for len(piece) > maxChunk {
		framed = append(framed, eventMessage("PayloadChunk", octets, piece[:maxChunk])...)
		piece = piece[maxChunk:]
	}
	return append(framed, eventMessage("PayloadChunk", octets, piece)...)
}

// completion is the payload of the last message of a stream. ErrorCode is set if the function
// failed.
type completion struct {
	ErrorCode    string `json:",omitempty"`
	ErrorDetails string `json:",omitempty"`
	LogResult    string `json:",omitempty"`
}
