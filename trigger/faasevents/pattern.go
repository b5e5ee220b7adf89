package faasevents

import (
	"errors"
	"fmt"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/inproc/faas/trigger/pattern"
)

// Pattern is a condition on events. Make one with [Compile]. Its zero value, like {}, matches
// every event. It is immutable: any number of goroutines may use it. The result of a match
// depends only on the event.
type Pattern struct{ fields pattern.Pattern }

// Compile compiles a pattern in the language of package trigger/pattern, which is that of
// Amazon EventBridge. Its error is a [*PatternError] with the place of the mistake.
//
// The top level has the event's attributes, its extensions, and "data". An attribute is matched
// as text in its canonical form, and also as a number or a boolean if its text is one. The
// reason is that in a binary event all attributes are text, and a binary event must match like
// the same event in the structured mode. Data that is JSON (by its datacontenttype, or without
// one) is matched by its fields. Other data is matched as one text, if it is text.
func Compile(text string) (Pattern, error) {
	p, err := pattern.Compile(text)
	if wrong, ok := errors.AsType[*pattern.Error](err); ok {
		return Pattern{}, &PatternError{Path: wrong.Path, Problem: wrong.Problem}
	}
	return Pattern{fields: p}, err
}

// MustCompile is like [Compile] but panics instead of returning an error, for
// patterns that are constants of the program.
func MustCompile(text string) Pattern {
	p, err := Compile(text)
	if err != nil {
		panic(err)
	}
	return p
}

// String returns the text that was compiled; {} for the zero value.
func (p Pattern) String() string { return p.fields.String() }

// Match reports whether the pattern matches e. If e's datacontenttype is JSON and its data is
// not valid JSON, the data counts as absent.
func (p Pattern) Match(e cloudevents.Event) bool {
	return p.fields.Match(fieldsOf(e, p.fields.Names("data")))
}

// MatchJSON reports whether the pattern matches a JSON object of any kind: the object's fields
// are used in place of the attributes. It returns false for JSON that is not an object, and an
// error for text that is not JSON.
func (p Pattern) MatchJSON(event []byte) (bool, error) {
	ok, err := p.fields.MatchJSON(event)
	if err != nil {
		return false, fmt.Errorf("faasevents: %w", err)
	}
	return ok, nil
}

// PatternError is a mistake in a pattern.
type PatternError struct {
	Path    string // the place, as a JSON pointer (RFC 6901): /data/total/0/numeric/1
	Problem string // what is wrong there, and how to correct it
}

// Error describes the mistake on one line.
func (e *PatternError) Error() string {
	at := pattern.Error{Path: e.Path, Problem: e.Problem}
	return "faasevents: " + at.Place() + ": " + e.Problem
}
