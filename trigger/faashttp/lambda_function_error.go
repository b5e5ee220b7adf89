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

// functionError is the error of the function itself, in the form of aws-lambda-go. The caller
// gets its text, as on Lambda.
type functionError struct {
	Message string  `json:"errorMessage"`
	Type    string  `json:"errorType"`
	Stack   []frame `json:"stackTrace,omitempty"`
}

// platformError is the error of a function that could not answer: it exited, timed out or did
// not start. Its keys are in the order in which Lambda's platform writes them.
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

// functionErrorBody returns the body of the answer to a call that failed after it was admitted,
// for example by a panic or its timeout, or whose input does not decode. The status is 200, and
// the header X-Amz-Function-Error is Unhandled; a streamed answer has both, the body and
// Unhandled, in its last message. Each outcome has Lambda's form for it: a functionError or a
// platformError, as JSON. id is the id of the request.
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
	case faas.OK: // the call was refused, because its input does not decode
		return codecErrorBody(end.Err)
	case faas.Failed, faas.Canceled:
	}
	return mustJSON(functionError{Message: textOf(err), Type: typeName(err)})
}

// timeoutOf returns the timeout that ended a call: that of its Origin if it has one, otherwise
// that of the function.
func timeoutOf(e *faas.Error, info faas.Signature) time.Duration {
	if late, ok := errors.AsType[interface {
		error
		After() time.Duration
	}](e); ok {
		return late.After()
	}
	return info.Timeout
}

// codecErrorBody returns the error that a handler on Lambda would return for an input or an
// output that can't be decoded or encoded.
func codecErrorBody(e *faas.Error) []byte {
	cause := codecError(e)
	return mustJSON(functionError{Message: textOf(cause), Type: typeName(cause)})
}

// codecError returns the error of package json that e wraps, or e. Clients get the name of its
// type.
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

// panicBody returns the JSON of a functionError: errorMessage is the text of the value that the
// function panicked with, errorType the name of the value's type, and stackTrace what the
// func frames returns.
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

// textTime bounds how long the Error method of a handler's error may take.
const textTime = time.Second

// textOf returns the text of a handler's error or of the value of its panic, in the format of
// aws-lambda-go: a string is not quoted, and a struct shows its fields.
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

// panicValue makes [foreign.TextWithin] format a value with fmt.Sprint. Sprint may call methods
// of the value's fields, which may block or panic like those of an error.
type panicValue struct{ value any }

func (p panicValue) String() string { return fmt.Sprint(p.value) }

// maxFrames bounds the number of frames of a stack in an answer.
const maxFrames = 64

// frames parses the text of [runtime/debug.Stack]: one line for the function, then one line
// that begins with a tab for the file and the line number. It leaves out the frames of Go's
// runtime and stops at the first frame of this library, because these say nothing about the
// function. Paths begin with the import path of the package, so they do not show the
// directories of the machine.
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

// parseFrame parses the two lines of a frame. It returns false if they do not have this form.
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

// cutLast is like [strings.Cut], but cuts at the last sep.
func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
