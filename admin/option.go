package admin

import (
	"context"
	"strconv"
	"strings"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/observe"
	"github.com/inproc/faas/trigger/source"
)

// Option is an option of [Handler]. Nil options are ignored. The last of two equal options
// counts, but for those that add up and say so.
type Option interface{ applyHandler(*settings) }

type option func(*settings)

func (o option) applyHandler(s *settings) { o(s) }

// settings is what options have set.
type settings struct {
	authorize func(context.Context, access.Principal, Action) error
	loopback  bool
	audit     []func(Entry)
	writes    bool
	name      string
	hosts     []string
	origins   []string

	recorder *observe.Recorder
	ledger   *cost.Ledger
	books    []*cost.Book
	budgets  []*cost.Budgets
	ring     *faas.Ring
	tail     *observe.RecentLog
	drivers  []*source.Driver
}

// Action is what a request wants to do, as the func of [WithAuthorize] is asked about it.
type Action = access.Action

// WithAuthorize sets who may do what: nil for yes, any error for no. access.Rules.Permit is
// one. It is called by many goroutines at once, several times for most requests: lists and
// streams ask about each function, tenant and job that they would show. So it should
// only compute. ctx is the request's. Its panic is caught, and is a no.
func WithAuthorize(f func(ctx context.Context, p access.Principal, a Action) error) Option {
	return option(func(s *settings) { s.authorize = f })
}

// WithInsecureLoopback lets everything be done without an authorizer and without a
// principal by what runs on this machine: requests over a connection from a loopback
// address, to a Host that is localhost or a loopback address, and without a header by which
// a proxy says that it forwards them. Others are answered 403. Each user of the machine can
// then do what the host can. It has no effect with [WithAuthorize].
func WithInsecureLoopback() Option { return option(func(s *settings) { s.loopback = true }) }

// WithAudit has f told of each request when it has ended, also of those that were denied;
// see [Entry]. f is called by many goroutines at once, and the client waits for it. A panic
// in it is caught and logged. Several of them add up.
func WithAudit(f func(Entry)) Option {
	return option(func(s *settings) {
		if f != nil {
			s.audit = append(s.audit, f)
		}
	})
}

// WithWrites enables what changes something: without it all requests but GET are refused
// with 403 if they would have been permitted.
func WithWrites() Option { return option(func(s *settings) { s.writes = true }) }

// WithName sets what the host is called in the API. Default: the machine's name.
func WithName(name string) Option { return option(func(s *settings) { s.name = name }) }

// WithHosts sets for which Host headers requests are answered, without a port, such as
// "faas.example.com": others are answered 403. So a web page can't have a browser call the
// API under a name of its own that it lets point here. Default: any Host, since a browser
// sends credentials of one name to no other. Several of them add up.
func WithHosts(names ...string) Option {
	return option(func(s *settings) {
		for _, name := range names {
			s.hosts = append(s.hosts, strings.ToLower(name))
		}
	})
}

// WithTrustedOrigin lets pages of another origin, such as "https://ops.example.com", send
// requests to the API; see http.CrossOriginProtection.AddTrustedOrigin. It is for a console
// behind a proxy that changes the Host. Several of them add up.
func WithTrustedOrigin(origin string) Option {
	return option(func(s *settings) { s.origins = append(s.origins, origin) })
}

// WithRecorder shows what the recorder has counted: outcomes, durations, series, usage.
func WithRecorder(rec *observe.Recorder) Option {
	return option(func(s *settings) { s.recorder = rec })
}

// WithLedger shows usage by period, and what it costs at the list prices of the books,
// which must be those that the ledger was made with. The first is the one that counts if a
// request names none.
func WithLedger(l *cost.Ledger, books ...*cost.Book) Option {
	return option(func(s *settings) { s.ledger, s.books = l, books })
}

// WithBudgets shows the accounts of budgets. Several of them add up.
func WithBudgets(b *cost.Budgets) Option {
	return option(func(s *settings) {
		if b != nil {
			s.budgets = append(s.budgets, b)
		}
	})
}

// WithRing shows calls that failed, and lets them be made again. The ring has to be that of
// the router's faas.WithCapture.
func WithRing(ring *faas.Ring) Option { return option(func(s *settings) { s.ring = ring }) }

// WithTail shows the last lines of the log.
func WithTail(tail *observe.RecentLog) Option { return option(func(s *settings) { s.tail = tail }) }

// WithDrivers shows sources of events, and lets them be paused and resumed. Several of them
// add up; each needs a name of its own (source.WithName).
func WithDrivers(drivers ...*source.Driver) Option {
	return option(func(s *settings) { s.drivers = append(s.drivers, drivers...) })
}

// check returns what is wrong with the settings, and how to mend it.
func (s *settings) check() string {
	if s.authorize == nil && !s.loopback {
		return "there is no authorizer, so that anyone could do anything; give WithAuthorize(rules.Permit), or WithInsecureLoopback on a machine of your own"
	}
	seen := map[string]bool{}
	for _, d := range s.drivers {
		if d == nil {
			return "WithDrivers: a driver is nil"
		}
		name := nameOfDriver(d)
		if seen[name] {
			return "WithDrivers: two drivers have the name " + strconv.Quote(name) + "; give them names of their own"
		}
		seen[name] = true
	}
	return ""
}

// nameOfDriver does not ask the source for its lag.
func nameOfDriver(d *source.Driver) string {
	return d.Info(canceled()).Name
}

// canceled is a context that has ended.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
