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

// Option is an option of [Handler]. Nil options are ignored. If an option is given twice, the
// last one counts, except for options whose documentation says that they add up.
type Option interface{ applyHandler(*settings) }

type option func(*settings)

func (o option) applyHandler(s *settings) { o(s) }

// settings has the values of the options.
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

// Action is what a request is about to do: the argument of the function of [WithAuthorize].
type Action = access.Action

// WithAuthorize sets the function that decides who may do what: it returns nil to permit an
// action, or any error to deny it. access.Rules.Permit is such a function. Many goroutines call
// f at once, and most requests call it several times: lists and streams call it for each
// function, tenant and job that they would show. So f should only compute. ctx is that of the
// request. A panic of f is caught, and denies the action.
func WithAuthorize(f func(ctx context.Context, p access.Principal, a Action) error) Option {
	return option(func(s *settings) { s.authorize = f })
}

// WithInsecureLoopback permits everything, without an authorizer and without a principal, to
// requests from this machine. A request is from this machine if its connection has a loopback
// address, its Host is localhost or a loopback address, and it has no header of a proxy. Other
// requests are answered 403. So each user of the machine can do everything that the host can.
// With [WithAuthorize] the option has no effect.
func WithInsecureLoopback() Option { return option(func(s *settings) { s.loopback = true }) }

// WithAudit calls f after each request, also after denied ones; see [Entry]. Many goroutines
// call f at once, and the client waits until f returns. A panic of f is caught and logged.
// Several of these options add up.
func WithAudit(f func(Entry)) Option {
	return option(func(s *settings) {
		if f != nil {
			s.audit = append(s.audit, f)
		}
	})
}

// WithWrites permits requests that change something. Without it, such a request is refused with
// 403 if the viewer has the right, and answered as absent otherwise.
func WithWrites() Option { return option(func(s *settings) { s.writes = true }) }

// WithName sets the host's name in the API. The default is the machine's name.
func WithName(name string) Option { return option(func(s *settings) { s.name = name }) }

// WithHosts sets the Host headers, without port, of the requests that are answered, such as
// "faas.example.com". Others are answered 403. This stops a web page from reaching the API
// through a name of its own that resolves to this host. By default every Host is answered,
// since a browser does not send the credentials of one name to another. Several of these
// options add up.
func WithHosts(names ...string) Option {
	return option(func(s *settings) {
		for _, name := range names {
			s.hosts = append(s.hosts, strings.ToLower(name))
		}
	})
}

// WithTrustedOrigin lets pages of another origin, such as "https://ops.example.com", send
// requests to the API; see http.CrossOriginProtection.AddTrustedOrigin. It is for a console
// behind a proxy that changes the Host header. Several of these options add up.
func WithTrustedOrigin(origin string) Option {
	return option(func(s *settings) { s.origins = append(s.origins, origin) })
}

// WithRecorder shows what the recorder has counted: outcomes, durations, series and usage.
func WithRecorder(rec *observe.Recorder) Option {
	return option(func(s *settings) { s.recorder = rec })
}

// WithLedger shows usage by period, and its cost at the list prices of the books. The ledger
// must have been made with these books. If a request names no book, the first one is used.
func WithLedger(l *cost.Ledger, books ...*cost.Book) Option {
	return option(func(s *settings) { s.ledger, s.books = l, books })
}

// WithBudgets shows the accounts of budgets. Several of these options add up.
func WithBudgets(b *cost.Budgets) Option {
	return option(func(s *settings) {
		if b != nil {
			s.budgets = append(s.budgets, b)
		}
	})
}

// WithRing shows failed calls, and lets them be replayed. The ring must be the one in the
// router's faas.WithCapture.
func WithRing(ring *faas.Ring) Option { return option(func(s *settings) { s.ring = ring }) }

// WithTail shows the last lines of the log.
func WithTail(tail *observe.RecentLog) Option { return option(func(s *settings) { s.tail = tail }) }

// WithDrivers shows sources of events, and lets them be paused and resumed. Each driver needs a
// name of its own (source.WithName). Several of these options add up.
func WithDrivers(drivers ...*source.Driver) Option {
	return option(func(s *settings) { s.drivers = append(s.drivers, drivers...) })
}

// check returns what is wrong with the settings and how to mend it, or "".
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

// nameOfDriver returns a driver's name. With a canceled context, Info does not ask the source
// for its lag.
func nameOfDriver(d *source.Driver) string {
	return d.Info(canceled()).Name
}

// canceled returns a context that has ended.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
