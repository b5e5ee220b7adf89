package admin

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/inproc/faas/access"
	"github.com/inproc/faas/observe"
)

// Log is the answer of GET /v1/log, the oldest line first.
type Log struct {
	Lines []Line `json:"lines"`
	Last  Count  `json:"last"` // the parameter after of the request for later lines
}

// Line is a line of the log.
type Line struct {
	Seq      Count     `json:"seq"` // the line's number; a number is missing if the viewer may not see the line, or it is no longer kept
	Time     time.Time `json:"time"`
	Level    string    `json:"level"`
	Message  string    `json:"message"`
	Function string    `json:"function,omitempty"`
	Tenant   string    `json:"tenant,omitempty"`
	// JSON is the whole line as a text: a JSON object that also has the attributes. Stacks and
	// the texts of errors and panics are replaced by "[hidden]" for viewers who may not see
	// them.
	JSON string `json:"json"`
}

// logFilter selects lines.
type logFilter struct {
	function, tenant, text string
	hasTenant              bool
	level                  slog.Level
}

func (x *exchange) logFilter() (f logFilter, err error) {
	f = logFilter{function: x.param("function"), tenant: x.param("tenant"), hasTenant: x.has("tenant"), text: x.param("text")}
	if level := x.param("level"); level != "" {
		if err := f.level.UnmarshalText([]byte(level)); err != nil {
			return f, badInput("The parameter level is info, warn or error.")
		}
	}
	return f, nil
}

func (f *logFilter) match(l *observe.Line) bool {
	return (f.function == "" || f.function == l.Function) && (!f.hasTenant || f.tenant == l.Tenant) && l.Level >= f.level &&
		(f.text == "" || strings.Contains(string(l.JSON), f.text))
}

// isSeenLine reports whether the viewer may see a line. A line without function and tenant is
// the host's.
func (x *exchange) isSeenLine(l *observe.Line) bool {
	if l.Function == "" && l.Tenant == "" {
		return x.allowsAll(access.See, "")
	}
	return x.allows(access.See, l.Function, l.Tenant)
}

func (x *exchange) log() (any, error) {
	limit, err := x.limit(200)
	if err != nil {
		return nil, err
	}
	after, err := x.number("after")
	if err != nil {
		return nil, err
	}
	f, err := x.logFilter()
	if err != nil {
		return nil, err
	}
	out := Log{Lines: []Line{}, Last: after}
	for _, l := range x.h.tail.Lines(uint64(after)) {
		if x.isSeenLine(&l) && f.match(&l) {
			out.Lines = append(out.Lines, x.shownLine(&l))
		}
	}
	out.Lines = out.Lines[max(0, len(out.Lines)-limit):]
	if n := len(out.Lines); n > 0 {
		out.Last = out.Lines[n-1].Seq
	}
	return out, nil
}

func (x *exchange) shownLine(l *observe.Line) Line {
	var blank []string
	if !x.allows(access.SeeInputs, l.Function, l.Tenant) {
		blank = append(blank, "error", "panic", "cause")
	}
	if !x.allows(access.SeeStacks, l.Function, l.Tenant) {
		blank = append(blank, "stack")
	}
	return Line{
		Seq: Count(l.Seq), Time: l.Time, Level: l.Level.String(), Message: l.Message, Function: l.Function, Tenant: l.Tenant,
		JSON: string(blanked(l.JSON, blank)),
	}
}

// blanked returns a line in which the values of the keys are "[hidden]", at any depth. A line
// without any of the keys is returned byte for byte.
func blanked(line []byte, keys []string) []byte {
	has := func(key string) bool { return bytes.Contains(line, []byte(`"`+key+`":`)) }
	if !slices.ContainsFunc(keys, has) {
		return line
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber() // so that no number is changed
	var v any
	if err := dec.Decode(&v); err != nil {
		return []byte(`{}`)
	}
	hide(v, keys)
	out, err := json.Marshal(v)
	if err != nil {
		return []byte(`{}`)
	}
	return out
}

func hide(v any, keys []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if slices.Contains(keys, key) {
				v[key] = "[hidden]"
			} else {
				hide(value, keys)
			}
		}
	case []any:
		for _, value := range v {
			hide(value, keys)
		}
	}
}
