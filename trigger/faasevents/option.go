package faasevents

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/inproc/faas"
)

// Option is an option of [Handler]. Nil options are ignored.
type Option interface{ apply(*settings) }

type option func(*settings)

func (o option) apply(s *settings) { o(s) }

type settings struct {
	routes        []route
	limit         int64
	batch         int
	source        string
	dropUnmatched bool
	origins       map[string]bool // nil: no handshake
	rate          int
	mistakes      []error
}

type route struct {
	pattern  Pattern
	function string
}

// The defaults: a body may be as large as what a function takes by default,
// which is what Lambda does; a batch is bounded because its events are called
// at once.
func defaults() settings { return settings{limit: 6 << 20, batch: 100} }

// On sends events for which pattern holds, in the language of [Compile], to a
// function, unless a pattern that was given before holds. The function need
// not be registered yet: it is looked up for each event.
func On(pattern, function string) Option {
	p, err := Compile(pattern)
	return option(func(s *settings) {
		if err != nil {
			s.mistakes = append(s.mistakes, fmt.Errorf("On(…, %q): %w", function, err))
			return
		}
		s.routes = append(s.routes, route{p, function})
	})
}

// WithLimits bounds the body of a request in bytes, and how many events a batch
// has; each at least 1. Default: 6 MiB and 100. All events of a batch are called
// at once.
func WithLimits(body int64, batch int) Option {
	return option(func(s *settings) {
		if body < 1 || batch < 1 {
			s.mistakes = append(s.mistakes, fmt.Errorf("WithLimits(%d, %d): each must be at least 1", body, batch))
		}
		s.limit, s.batch = body, batch
	})
}

// WithSource sets the source of replies that are made of a function's plain
// output, a URI reference. Default: "/fn/" and the function's name.
func WithSource(uri string) Option {
	return option(func(s *settings) {
		if _, err := url.Parse(uri); err != nil || uri == "" {
			s.mistakes = append(s.mistakes, fmt.Errorf("WithSource(%q): a source is a URI reference, and not empty", uri))
		}
		s.source = uri
	})
}

// WithUnmatchedDropped answers 204 to an event that no route takes, and does
// nothing, where the default is 404: for a handler that is sent more than it
// asked for. In a batch, the others are delivered.
func WithUnmatchedDropped() Option { return option(func(s *settings) { s.dropUnmatched = true }) }

// WithOrigins takes part in the validation handshake of the webhook
// specification (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md):
// an OPTIONS request from one of the origins, which are DNS names as senders
// state them, or "*" for all, is granted perMinute deliveries per minute; 0
// means as many as it likes. The rate is a statement, to be enforced by limits
// and gates. Without "*", a delivery has to name one of the origins too, or is
// answered 403.
//
// The handshake protects others from being flooded by a sender that somebody
// has pointed at them. It proves nothing about who sends. Permission is in the
// response; no WebHook-Request-Callback is called, as it may lead anywhere.
func WithOrigins(perMinute int, origins ...string) Option {
	return option(func(s *settings) {
		if perMinute < 0 || len(origins) == 0 {
			s.mistakes = append(s.mistakes, fmt.Errorf("WithOrigins(%d, %q): a rate can't be negative, and one origin at least is needed", perMinute, origins))
		}
		s.rate, s.origins = perMinute, map[string]bool{}
		for _, o := range origins {
			s.origins[strings.ToLower(o)] = true
		}
	})
}

func newSettings(opts []Option) (settings, error) {
	s := defaults()
	for _, o := range opts {
		if o != nil {
			o.apply(&s)
		}
	}
	if len(s.routes) == 0 && len(s.mistakes) == 0 {
		s.mistakes = append(s.mistakes, errors.New("no route, so that no event could arrive; give an On"))
	}
	if err := errors.Join(s.mistakes...); err != nil {
		return settings{}, &faas.Error{Op: "handle events", Err: fmt.Errorf("%w: %w", faas.ErrInput, err)}
	}
	return s, nil
}
