package faasmcp

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/inproc/faas"
)

// result makes the result of a tool, whose name is name, from its function's output.
func (s *shape) result(name string, out []byte) *mcp.CallToolResult {
	text := string(out)
	switch s.out {
	case outNone:
		return &mcp.CallToolResult{Content: []mcp.Content{}}
	case outRaw:
		return &mcp.CallToolResult{Content: []mcp.Content{contentOf(name, out)}}
	case outText:
		if err := json.Unmarshal(out, &text); err != nil {
			return misshapen(name, err)
		}
	case outJSON:
	}
	res := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
	out = s.structured(out)
	if s.outSchema != nil {
		if err := validate(s.outSchema, out); err != nil {
			return misshapen(name, err)
		}
	}
	if s.outSchema != nil || len(out) > 0 && out[0] == '{' {
		res.StructuredContent = json.RawMessage(out)
	}
	return res
}

// misshapen returns the result for an output that the tool's own schema does not allow, which
// is a bug of the function. The text includes the validator's error, which may quote the
// output: the output was for the agent anyway. The text also says that the function has run,
// because another call would fail alike and do its work twice.
func misshapen(name string, err error) *mcp.CallToolResult {
	return failed(Failure{Outcome: faas.OutputInvalid.String()}, name+" has run, but its output schema does not allow what it answered: "+err.Error())
}

// bounded returns res, or a failure if the encoded res is longer than limit. A client that gets
// a longer message than it accepts may close the session, and lose the other calls that it
// waits for.
func bounded(name string, limit int, res *mcp.CallToolResult) *mcp.CallToolResult {
	if maxSize(res) <= limit {
		return res
	}
	data, err := json.Marshal(res)
	switch {
	case err != nil: // the SDK will fail to encode it too, and will answer with that error
		return res
	case len(data) <= limit:
		return res
	case res.IsError:
		return shortened(res)
	}
	return failed(Failure{Outcome: faas.OutputInvalid.String()}, fmt.Sprintf(
		"%s has run, but its answer is %d bytes long when it is sent, and at most %d are allowed; ask it for less", name, len(data), limit))
}

// maxSize returns an upper bound of the size of an encoded result. It is cheap: a result whose
// bound is below the limit need not be encoded to learn its size. In JSON a byte of text takes
// at most six bytes (\u0000), and a byte of data fewer (base64).
func maxSize(res *mcp.CallToolResult) int {
	n := 1024 // everything except the contents
	for _, content := range res.Content {
		switch content := content.(type) {
		case *mcp.TextContent:
			n += len(content.Text)
		case *mcp.ImageContent:
			n += len(content.Data)
		case *mcp.AudioContent:
			n += len(content.Data)
		case *mcp.EmbeddedResource:
			n += len(content.Resource.Blob)
		}
	}
	if structured, ok := res.StructuredContent.(json.RawMessage); ok {
		n += len(structured)
	}
	return min(n, math.MaxInt/6) * 6
}

// keptText is how many bytes of the text of a failure are kept if the failure is too long.
const keptText = 512

// shortened cuts the text of a failure, and appends the length that it had.
func shortened(res *mcp.CallToolResult) *mcp.CallToolResult {
	text, ok := res.Content[0].(*mcp.TextContent)
	if !ok || len(text.Text) <= keptText {
		return res
	}
	kept := strings.ToValidUTF8(text.Text[:keptText], "") // the cut may be inside a character
	res.Content[0] = &mcp.TextContent{Text: fmt.Sprintf("%s… (%d bytes)", kept, len(text.Text))}
	return res
}

// contentOf chooses the kind of content for bytes: text, an image, audio, or for other bytes a
// resource with the bytes in base64.
func contentOf(name string, data []byte) mcp.Content {
	kind := http.DetectContentType(data)
	switch {
	case utf8.Valid(data):
		return &mcp.TextContent{Text: string(data)}
	case strings.HasPrefix(kind, "image/"):
		return &mcp.ImageContent{Data: data, MIMEType: kind}
	case strings.HasPrefix(kind, "audio/"):
		return &mcp.AudioContent{Data: data, MIMEType: kind}
	}
	return &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "fn:" + name, MIMEType: kind, Blob: data}}
}
