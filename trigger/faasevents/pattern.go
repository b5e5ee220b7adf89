package faasevents

import (
	"errors"
	"fmt"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/inproc/faas/trigger/pattern"
)

// Pattern is a condition on events. Make one with [Compile]. Its zero value,
// like {}, holds for every event. It is immutable: any number of goroutines may
// use it, and matching changes nothing and depends on the event alone.
type Pattern struct{ fields pattern.Pattern }

// Compile reads a pattern in the language of package trigger/pattern, that of Amazon
// EventBridge. The error is a [*PatternError], which names the place.
//
// The top level has the event's attributes, its extensions, and "data". An
// attribute is matched as text in its canonical form, and also as a number or a
// boolean where it reads as one: in a binary event all attributes are text, and it
// must match like the same event in the structured mode. Data that is JSON (by its
// datacontenttype, or without one) is matched by its fields. Other data is one
// text, if it is text.
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

// Match reports whether the pattern holds for e. Data counts as absent if its
// datacontenttype says JSON and it is not JSON.
func (p Pattern) Match(e cloudevents.Event) bool {
	return p.fields.Match(fieldsOf(e, p.fields.Names("data")))
}

// MatchJSON reports whether the pattern holds for a JSON object of any kind: the
// object's fields take the place of the attributes. It returns false for JSON that is no
// object, and an error for text that is no JSON.
func (p Pattern) MatchJSON(event []byte) (bool, error) {
	ok, err := p.fields.MatchJSON(event)
	if err != nil {
		return false, fmt.Errorf("faasevents: %w", err)
	}
	return ok, nil
}

// PatternError is a mistake in a pattern.
type PatternError struct {
	Path    string // to the place, a JSON pointer (RFC 6901): /data/total/0/numeric/1
	Problem string // what is wrong there, and the cure
}

// Error describes the mistake on one line.
func (e *PatternError) Error() string {
	at := pattern.Error{Path: e.Path, Problem: e.Problem}
	return "faasevents: " + at.Place() + ": " + e.Problem
}
