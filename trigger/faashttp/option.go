package faashttp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// Option is an option of all handlers of this package: [Handler], [Function],
// [FunctionURL] and [NewLambda]. Nil options are ignored.
type Option interface {
	LambdaOption
	applyFront(*settings)
}

// DoorOption is an option of all handlers of this package and of [NewServer]. A
// server checks every request to it, and handlers do not check the requests that a
// [Server] has let in. So give these options to [NewServer], and to a handler only
// if another server serves it.
type DoorOption interface {
	Option
	ServerOption
}

// LambdaOption is an option of [NewLambda] alone. It is a type of its own because a
// handler without signatures must not accept [WithCredentials] and then ignore it.
type LambdaOption interface{ applyLambda(*settings) }

type option func(*settings)

func (o option) applyFront(s *settings)  { o(s) }
func (o option) applyLambda(s *settings) { o(s) }

type doorOption func(*door)

func (o doorOption) applyFront(s *settings)  { o(&s.door) }
func (o doorOption) applyLambda(s *settings) { o(&s.door) }
func (o doorOption) applyServer(s *Server)   { o(&s.door) }

type lambdaOption func(*settings)

func (o lambdaOption) applyLambda(s *settings) { o(s) }

// settings are what the options of a handler say. A handler writes them before it
// serves its first request; after that its requests only read them, so that they
// need no lock.
type settings struct {
	door         door
	made         time.Time // exchanges keep times as durations since then, which reads one clock instead of two
	tenantHeader string
	forbidden    bool
	readTimeout  time.Duration
	writeTimeout time.Duration
	logger       *slog.Logger
	jobOwner     func(ctx context.Context) string
	allJobs      bool
	jobsOf       []string

	ownWriter atomic.Value // the type of net/http's own writer for HTTP/1, a reflect.Type; empty: no request had one

	address address
	secret  func(keyID string) (string, bool)
	events  int
}

// defaults are the settings without options.
func defaults() settings {
	return settings{
		made: time.Now(), readTimeout: 30 * time.Second, writeTimeout: 30 * time.Second, logger: slog.Default(),
		address: defaultAddress(), events: -1,
	}
}

// frontSettings applies the options of a handler. It panics if one is impossible.
func frontSettings(opts []Option) settings {
	s := defaults()
	for _, o := range opts {
		if o != nil {
			o.applyFront(&s)
		}
	}
	s.door.prepare("the handler")
	return s
}

// lambdaSettings applies the options of [NewLambda]. It panics if one is
// impossible.
func lambdaSettings(opts []LambdaOption) settings {
	s := defaults()
	for _, o := range opts {
		if o != nil {
			o.applyLambda(&s)
		}
	}
	s.door.prepare("NewLambda")
	if err := s.address.check(); err != nil {
		panic(fmt.Errorf("faashttp: %w", err))
	}
	return s
}

// WithTenantHeader names a request header in which callers say for which tenant
// they call. Its value is 1 to 128 of A–Z a–z 0–9 . _ ~ : @ / + = -; a request with
// any other value, or with two, is refused. Without this option no header makes a
// tenant. Give it only where you control what sets the header, such as a proxy of
// your own, or where a [faas.Gate] decides which caller may speak for which tenant.
func WithTenantHeader(name string) Option {
	return option(func(s *settings) { s.tenantHeader = http.CanonicalHeaderKey(name) })
}

// WithForbidden tells callers that a function exists which they may not call: they
// get 403 instead of the 404 of an unknown function.
func WithForbidden() Option { return option(func(s *settings) { s.forbidden = true }) }

// WithHosts names further hosts that requests on a loopback connection may be for.
// Always allowed are localhost, 127.0.0.0/8 and [::1]. Name the hosts under which a
// proxy or a tunnel on this machine passes requests on: functions.example.com, or,
// for one port alone, functions.example.com:8443. If a name is no host name, the
// handler or server that gets this option panics when it is made.
//
// The check stops DNS rebinding. A web page can give its own name, evil.example,
// the address 127.0.0.1 after it has loaded. The browser then takes the functions
// for a part of the page's own site, and lets the page call them. Therefore a
// request for any other host is refused on a loopback connection, with 403 and a
// problem that says so. X-Forwarded-Host and other headers change nothing. On
// connections to other addresses the host is not checked.
func WithHosts(names ...string) DoorOption {
	return doorOption(func(d *door) { d.names = append(d.names, names...) })
}

// WithOrigins names the sites, such as https://app.example.com. Their pages may
// call functions and read the answers. Their preflights (CORS) are answered with
// every method and header that they ask for, and their requests are let in. If a
// name is no origin, the handler or server that gets this option panics when it is
// made.
//
// A page of any other site is refused with 403 and a problem that says so: by
// [NewServer] always, by a handler on loopback connections
// ([http.CrossOriginProtection] says how such a request is recognized). Pages can't
// read answers to requests that carry cookies, even if their site is named here:
// identify callers by a header such as Authorization instead.
func WithOrigins(origins ...string) DoorOption {
	return doorOption(func(d *door) { d.origins = append(d.origins, origins...) })
}

// WithBodyTimeouts bounds how long a client may take to send the body of its
// request (read), and how long it may take to accept each write to it: a whole
// answer, or one piece of a stream (write). Both are exact to the second. The
// default is 30 s each; 0 or less means no bound. The body is read before the call
// asks for a slot and the answer is written after the slot is given back, so that
// neither time holds one.
func WithBodyTimeouts(read, write time.Duration) Option {
	return option(func(s *settings) { s.readTimeout, s.writeTimeout = read, write })
}

// WithLogger sets where failures of the router's queue of jobs are logged, of which
// callers learn only that their job was not accepted. Default: slog.Default() at the time
// when the handler is made. A nil logger is ignored. Payloads are not logged.
func WithLogger(l *slog.Logger) Option {
	return option(func(s *settings) {
		if l != nil {
			s.logger = l
		}
	})
}

// WithAddress sets the region and the account of the host's ARNs. The default is
// "us-east-1" and "000000000000". A call that names another region or account finds
// no function. A region looks like eu-north-1 and an account has 12 digits:
// [NewLambda] panics on anything else, since no call could name it.
//
// Give the same to [ToURL], so that its envelopes name functions by the same ARNs.
func WithAddress(region, account string) AddressOption { return address{region, account} }

// AddressOption is what [WithAddress] returns.
type AddressOption interface {
	LambdaOption
	DestinationOption
}

func (a address) applyLambda(s *settings)            { s.address = a }
func (a address) applyDestination(d *urlDestination) { d.address = a }

// WithCredentials requires every request to the Lambda wire to be signed with AWS
// Signature Version 4, and refuses all others. secret returns the secret key of an
// access key id, and false for an unknown id. It is called by many goroutines at
// once, up to twice for a request, and must not block. Session tokens are ignored:
// the keys are yours and not AWS's.
//
// The signature is taken from the Authorization header. Presigned requests, which
// have it in their query, are refused. The path that must be signed is the path
// which the client requested, also below [http.StripPrefix].
//
// A signature proves which key the sender has. It encrypts nothing, so that over
// plain HTTP a request can be read on its way, and sent again within five minutes
// of its date.
func WithCredentials(secret func(keyID string) (key string, ok bool)) LambdaOption {
	return lambdaOption(func(s *settings) { s.secret = secret })
}

// WithEventQueue has events throttled (InvocationType Event) while the router has n jobs
// or more that are not settled, n ≥ 0: of all functions, and those of other senders too.
// So this wire can leave a part of the queue to others. Events that arrive at the same
// moment may go beyond n. By default, and if n is negative, only the queue's own bounds
// count: see [faas.WithJobs].
func WithEventQueue(n int) LambdaOption {
	return lambdaOption(func(s *settings) { s.events = n })
}
