package admin

import (
	"reflect"

	"github.com/inproc/faas/access"
)

// endpoint is a path and a method of the API. The mux, the OpenAPI document and the table test
// are all made of the list of them.
type endpoint struct {
	method, path string
	verb         string       // in Action and Entry
	right        access.Right // that it needs
	write        bool         // it needs WithWrites
	summary      string
	query        []param
	in, out      reflect.Type                 // of the bodies; nil: none
	stream       bool                         // the answer is a stream of events, each with an out
	needs        func(s *settings) string     // names the option that is missing; nil: it needs none
	serve        func(*exchange) (any, error) // its error is answered as problemOf says
}

// param is a parameter of the query.
type param struct{ name, about string }

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }
