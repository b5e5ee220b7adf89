package faashttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/internal/foreign"
)

// functionError is the error that a function itself has returned, in the form that
// aws-lambda-go gives it. As on Lambda, the caller reads its text.
type functionError struct {
	Message string  `json:"errorMessage"`
	Type    string  `json:"errorType"`
	Stack   []frame `json:"stackTrace,omitempty"`
}

// platformError stands for a function that could not answer: it exited, timed out
// or did not start. The platform of Lambda writes its keys in the other order.
type platformError struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

// frame is one frame of a panic's stack.
type frame struct {
	Path  string `json:"path"`
	Line  int    `json:"line"`
	Label string `json:"label"`
}

// functionErrorBody returns the body of a call that ended without being refused, in
// the forms that Lambda has for each outcome. id is that of the request.
func functionErrorBody(err error, info faas.Signature, id string) []byte {
	request := "RequestId: " + id + " Error: "
	end := faas.EndOf(err, info.Name)
	switch end.Outcome {
	case faas.Panicked:
		return panicBody(end.Err)
	case faas.Exited:
		return mustJSON(platformError{"Runtime.ExitError", request + "Runtime exited without providing a reason"})
	case faas.TimedOut:
		return mustJSON(platformError{"Sandbox.Timedout", fmt.Sprintf("%sTask timed out after %.2f seconds", request, timeoutOf(end.Err, info).Seconds())})
	case faas.InitFailed:
		return mustJSON(platformError{"Runtime.InitError", request + "Runtime failed to start"})
	case faas.OutputInvalid:
		if isTooLarge(end.Err) {
			return mustJSON(functionError{
				Message: fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", info.MaxOut),
				Type:    "Function.ResponseSizeTooLarge",
			})
		}
		return codecErrorBody(end.Err)
	case faas.OK: // refused, for an input that does not decode
		return codecErrorBody(end.Err)
	case faas.Failed, faas.Canceled:
	}
	return mustJSON(functionError{Message: textOf(err), Type: typeName(err)})
}

// timeoutOf returns the timeout that ended a call: its Origin's, or the function's.
func timeoutOf(e *faas.Error, info faas.Signature) time.Duration {
	if late, ok := errors.AsType[interface {
		error
		After() time.Duration
	}](e); ok {
		return late.After()
	}
	return info.Timeout
}

// codecErrorBody returns the error of the codec, as a handler on Lambda would
// return it.
func codecErrorBody(e *faas.Error) []byte {
	cause := codecError(e)
	return mustJSON(functionError{Message: textOf(cause), Type: typeName(cause)})
}

// codecError finds the JSON package's own error below the platform's: clients get
// the type name of that one.
func codecError(e *faas.Error) error {
	var (
		wrongType *json.UnmarshalTypeError
		syntax    *json.SyntaxError
		noType    *json.UnsupportedTypeError
		noValue   *json.UnsupportedValueError
		marshaler *json.MarshalerError
	)
	switch {
	case errors.As(e, &wrongType):
		return wrongType
	case errors.As(e, &syntax):
		return syntax
	case errors.As(e, &noType):
		return noType
	case errors.As(e, &noValue):
		return noValue
	case errors.As(e, &marshaler):
		return marshaler
	}
	return e
}

func panicBody(e *faas.Error) []byte {
	var p *faas.PanicError
	if !errors.As(e, &p) {
		return mustJSON(functionError{Message: "panic", Type: "PanicError"})
	}
	return mustJSON(functionError{Message: textOf(p.Value), Type: typeName(p.Value), Stack: frames(string(p.Stack))})
}

// typeName returns the name of a value's type, without package and pointer.
func typeName(v any) string {
	t := reflect.TypeOf(v)
	if t == nil {
		return "nil"
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// textTime bounds how long a handler's error may take to return its text.
const textTime = time.Second

// textOf returns the text of a handler's error or of the value of its panic, as
// aws-lambda-go prints it: a string is not quoted, a struct shows its fields.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil, error:
		text, _ := foreign.TextWithin(v, textTime)
		return text
	}
	text, _ := foreign.TextWithin(panicValue{v}, textTime)
	return text
}

// panicValue prints as its value does. Printing runs methods of the value's fields
// too, so it is [foreign.TextWithin] that calls String.
type panicValue struct{ value any }

func (p panicValue) String() string { return fmt.Sprint(p.value) }

// maxFrames bounds the stack in an answer.
const maxFrames = 64

// frames parses the text of [runtime/debug.Stack]: a line for the function, then a
// line that begins with a tab for the place. It leaves out the frames of Go's
// runtime, and ends at the first frame of the platform: neither says anything about
// the function. Paths begin with the package, so that they tell nothing about the
// machine.
func frames(stack string) []frame {
	all := []frame{}
	var call string
	for line := range strings.Lines(stack) {
		line = strings.TrimSuffix(line, "\n")
		place, isPlace := strings.CutPrefix(line, "\t")
		switch {
		case !isPlace:
			call = line
		case strings.HasPrefix(call, "github.com/inproc/faas.") || strings.HasPrefix(call, "created by ") || len(all) == maxFrames:
			return all
		case strings.HasPrefix(call, "panic(") || strings.HasPrefix(call, "runtime."):
		default:
			if f, ok := parseFrame(call, place); ok {
				all = append(all, f)
			}
		}
	}
	return all
}

// parseFrame parses the two lines of a frame. It returns false if they have another
// form.
func parseFrame(call, place string) (frame, bool) {
	if i := strings.LastIndexByte(call, '('); i > 0 {
		call = call[:i]
	}
	dir, label := path.Split(call)
	pkg, label, ok := strings.Cut(label, ".")
	place, _, _ = strings.Cut(place, " ")
	file, number, colon := cutLast(place, ':')
	line, err := strconv.Atoi(number)
	if !ok || !colon || err != nil {
		return frame{}, false
	}
	return frame{Path: path.Join(dir, pkg, path.Base(file)), Line: line, Label: label}, true
}

// cutLast is [strings.Cut] at the last sep.
func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
