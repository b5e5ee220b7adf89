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

// settings are the values of the options. A handler never changes them, so requests read them
// without a lock.
type settings struct {
	routes        []route
	limit         int64 // the largest body, in bytes
	batch         int   // the most events of a batch
	source        string
	dropUnmatched bool
	allJobs       bool
	jobsOf        []string        // the base names of WithJobs
	origins       map[string]bool // nil means no handshake
	rate          int             // deliveries per minute; 0 means any number
	mistakes      []error
}

// route sends the events that match the pattern to the function.
type route struct {
	pattern  Pattern
	function string
}

// defaults returns the settings without options. The limit of bodies is the default limit of a
// function's input (6 MiB, as on Lambda). The limit of batches exists because all events of a
// batch are called concurrently.
func defaults() settings { return settings{limit: 6 << 20, batch: 100} }

// On routes the events that match pattern to function, unless the pattern of an earlier On
// matches too. [Compile] describes the language of patterns. The function need not be
// registered yet: it is looked up for each event.
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

// WithLimits bounds the body of a request, in bytes, and the number of events in a batch. Each
// must be at least 1. Default: 6 MiB and 100. The second limit also bounds how many calls a
// request makes at once, because all events of a batch are called concurrently.
func WithLimits(body int64, batch int) Option {
	return option(func(s *settings) {
		if body < 1 || batch < 1 {
			s.mistakes = append(s.mistakes, fmt.Errorf("WithLimits(%d, %d): each must be at least 1", body, batch))
		}
		s.limit, s.batch = body, batch
	})
}

// WithSource sets the source, a URI reference, of the replies that are made of an output that is
// not an event itself. Default: "/fn/" and the function's name.
func WithSource(uri string) Option {
	return option(func(s *settings) {
		if _, err := url.Parse(uri); err != nil || uri == "" {
			s.mistakes = append(s.mistakes, fmt.Errorf("WithSource(%q): a source is a URI reference, and not empty", uri))
		}
		s.source = uri
	})
}

// WithUnmatchedDropped drops an event that no pattern matches: the answer is 204, and no
// function is called. The other events of a batch are delivered. It is for a handler that gets
// more events than it needs. By default the answer is 404.
func WithUnmatchedDropped() Option { return option(func(s *settings) { s.dropUnmatched = true }) }

// WithJobs accepts the events for these functions as jobs ([faas.Router.Send]), and all events
// if no function is named. The names are base names: they stand for all versions and aliases of
// a function. The answer is 202, without a reply, once the job is accepted, or all jobs of a
// batch are. So the sender does not wait for the function. The function's options, such as
// [faas.WithRetry], decide how often the job is tried. With [Carrier], [FromContext] returns
// the event in the job's deliveries. Functions that stream are called as without the option.
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

// WithOrigins enables the validation handshake of the webhook specification
// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md). Origins are
// DNS names as senders state them, or "*" for all. An OPTIONS request of one of them is granted
// perMinute deliveries per minute; 0 means any number. The handler states the rate and does not
// enforce it; use limits and gates for that. Without "*", a delivery must name one of the
// origins too; otherwise it is answered with 403.
//
// The handshake protects a server against a sender that was configured, by mistake or on
// purpose, to flood it. It does not prove the identity of the sender. The permission is given
// only in the response. A WebHook-Request-Callback is never called, because its URL may lead
// anywhere.
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

// newSettings applies the options. Its error contains all mistakes.
func newSettings(opts []Option) (settings, error) {
	s := defaults()
	for _, o := range opts {
		if o != nil {
			o.apply(&s)
		}
	}
	if len(s.routes) == 0 && len(s.mistakes) == 0 {
		s.mistakes = append(s.mistakes, errors.New("there is no route, so no event would call a function; add On"))
	}
	if err := errors.Join(s.mistakes...); err != nil {
		return settings{}, &faas.Error{Op: "handle events", Err: fmt.Errorf("%w: %w", faas.ErrInput, err)}
	}
	return s, nil
}
