package faasevents

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/inproc/faas"
)

// Option is an option of [Handler]. Nil options are ignored.
type Option interface{ apply(*settings) }

type option func(*settings)

func (o option) apply(s *settings) { o(s) }

// settings is what the options say. A handler never changes it, so that requests
// read it without a lock.
type settings struct {
	routes        []route
	limit         int64 // bytes of a body
	batch         int   // events of a batch
	source        string
	dropUnmatched bool
	allJobs       bool
	jobsOf        []string        // base names
	origins       map[string]bool // nil: no handshake
	rate          int             // deliveries per minute; 0: any number
	mistakes      []error
}

// route sends the events that match the pattern to the function.
type route struct {
	pattern  Pattern
	function string
}

// defaults has a limit on bodies that is the one of a function's input by default
// (6 MiB, as Lambda has it), and a limit on batches, because all events of a batch
// are called at once.
func defaults() settings { return settings{limit: 6 << 20, batch: 100} }

// On calls function with the events for which pattern holds, unless a pattern of
// an earlier On holds. [Compile] has the language of patterns. The function need
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

// WithLimits bounds the body of a request, in bytes, and the number of events in a
// batch; each must be at least 1. Default: 6 MiB and 100. All events of a batch are
// called at once.
func WithLimits(body int64, batch int) Option {
	return option(func(s *settings) {
		if body < 1 || batch < 1 {
			s.mistakes = append(s.mistakes, fmt.Errorf("WithLimits(%d, %d): each must be at least 1", body, batch))
		}
		s.limit, s.batch = body, batch
	})
}

// WithSource sets the source, a URI reference, of replies that are made of a
// function's plain output. Default: "/fn/" and the function's name.
func WithSource(uri string) Option {
	return option(func(s *settings) {
		if _, err := url.Parse(uri); err != nil || uri == "" {
			s.mistakes = append(s.mistakes, fmt.Errorf("WithSource(%q): a source is a URI reference, and not empty", uri))
		}
		s.source = uri
	})
}

// WithUnmatchedDropped drops an event that no route takes: the answer is 204, and
// no function is called. The other events of a batch are delivered. It is for a
// handler that is sent more than it wants. The default answer is 404.
func WithUnmatchedDropped() Option { return option(func(s *settings) { s.dropUnmatched = true }) }

// WithJobs has the events for these functions accepted as jobs ([faas.Router.Send]), and all events if none is
// named. Names are base names: they stand for all versions and aliases. The answer is 202 once the job
// is accepted, or those of a batch are, and no reply: so a sender waits for no function, and what
// becomes of the event is between the function and its options, such as [faas.WithRetry]. With
// [Carrier] the function still finds the event by [FromContext]. Functions that stream are called.
func WithJobs(functions ...string) Option {
	return option(func(s *settings) {
		s.allJobs = s.allJobs || len(functions) == 0
		s.jobsOf = append(s.jobsOf, functions...)
	})
}

// becomesJob reports whether the events for a function are jobs.
func (s *settings) becomesJob(function string) bool {
	base, _, _ := strings.Cut(function, ":")
	return s.allJobs || slices.Contains(s.jobsOf, base)
}

// WithOrigins takes part in the validation handshake of the webhook
// specification (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md).
// Origins are DNS names as senders state them, or "*" for all. An OPTIONS request
// of one of them is granted perMinute deliveries per minute; 0 means any number.
// The handler states the rate and does not enforce it: limits and gates do. Without
// "*", a delivery has to name one of the origins too, or is answered 403.
//
// The handshake protects a server against a sender that was configured, by mistake
// or in bad faith, to flood it. It does not prove the identity of the sender. The
// permission is in the response alone. A WebHook-Request-Callback is never called,
// as its URL may lead anywhere.
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

// newSettings applies the options. Its error names all mistakes at once.
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
