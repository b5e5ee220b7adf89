package admin

import (
	"reflect"

	"github.com/inproc/faas/access"
)

// endpoint is a path and a method of the API. The mux, the OpenAPI document and a table test
// are made from the list of all endpoints.
type endpoint struct {
	method, path string
	verb         string       // the name of the action, in Action and Entry
	right        access.Right // the right that it needs
	write        bool         // it needs WithWrites
	summary      string
	query        []param
	in, out      reflect.Type                 // the types of the bodies; nil: none
	stream       bool                         // the answer is a stream of events, each of type out
	needs        func(s *settings) string     // returns the name of a missing option, or ""; nil: it needs no option
	serve        func(*exchange) (any, error) // problemOf makes the answer from its error
}

// param is a query parameter.
type param struct{ name, about string }

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }
