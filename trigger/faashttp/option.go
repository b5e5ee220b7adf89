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

// DoorOption is an option of all handlers of this package and of [NewServer]. A server checks
// every request by it, and handlers do not check again the requests that a [Server] has let in.
// So give these options to [NewServer]. Give them to a handler only if another server serves
// it.
type DoorOption interface {
	Option
	ServerOption
}

// LambdaOption is an option of [NewLambda] alone. It is a type of its own because the other
// handlers check no signatures: they must not accept [WithCredentials] and then ignore it.
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

// settings are the values of a handler's options. They are written before the handler serves
// its first request. After that its requests only read them, so they need no lock.
type settings struct {
	door         door
	made         time.Time // exchanges store times as durations since made: time.Since reads only the monotonic clock, time.Now two clocks
	tenantHeader string
	forbidden    bool
	readTimeout  time.Duration
	writeTimeout time.Duration
	logger       *slog.Logger
	jobOwner     func(ctx context.Context) string
	allJobs      bool
	jobsOf       []string

	ownWriter atomic.Value // the reflect.Type of net/http's own writer for HTTP/1; empty until a request has had one

	address address
	secret  func(keyID string) (string, bool)
	events  int
}

// defaults returns the settings without options.
func defaults() settings {
	return settings{
		made: time.Now(), readTimeout: 30 * time.Second, writeTimeout: 30 * time.Second, logger: slog.Default(),
		address: defaultAddress(), events: -1,
	}
}

// frontSettings applies the options of a handler. It panics if an option is impossible.
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

// lambdaSettings applies the options of [NewLambda]. It panics if an option is impossible.
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

// WithTenantHeader names a request header from which the tenant of a call is taken. Its value
// is 1 to 128 of A–Z a–z 0–9 . _ ~ : @ / + = -. A request with any other value, or with two
// values, is refused. Without this option no header sets the tenant. Use it only if a proxy of
// your own sets the header, or if a [faas.Gate] decides which caller may use which tenant.
func WithTenantHeader(name string) Option {
	return option(func(s *settings) { s.tenantHeader = http.CanonicalHeaderKey(name) })
}

// WithForbidden answers 403 to a caller that may not call a function, instead of the 404 of an
// unknown function. Callers can then learn which functions exist.
func WithForbidden() Option { return option(func(s *settings) { s.forbidden = true }) }

// WithHosts names further hosts that requests on a loopback connection may be for. Always
// allowed are localhost, 127.0.0.0/8 and [::1]. Name the hosts under which a proxy or a tunnel
// on this machine passes requests on: functions.example.com, or, for one port alone,
// functions.example.com:8443. If a name is not the name of a host, the constructor that gets
// this option panics.
//
// The check stops DNS rebinding. A web page of evil.example can resolve its own name to
// 127.0.0.1 after it has loaded. The browser then takes the functions for a part of the page's
// own site, and lets the page call them. Therefore, on a loopback connection, a request for any
// other host is refused with 403 and a problem that says so. X-Forwarded-Host and other headers
// change nothing. On connections to other addresses the host is not checked.
func WithHosts(names ...string) DoorOption {
	return doorOption(func(d *door) { d.names = append(d.names, names...) })
}

// WithOrigins names sites, such as https://app.example.com, whose pages may call functions and
// read the answers. Their preflights (CORS) are answered with every method and header that they
// ask for, and their requests are let in. If a name is not an origin, the constructor that gets
// this option panics.
//
// A page of any other site is refused with 403 and a problem that says so. [NewServer] refuses
// it on every connection, a handler on loopback connections only. [http.CrossOriginProtection]
// says how such a request is recognized. A page can't read the answer to a request that carries
// cookies, even if its site is named here: identify callers by a header such as Authorization.
func WithOrigins(origins ...string) DoorOption {
	return doorOption(func(d *door) { d.origins = append(d.origins, origins...) })
}

// WithBodyTimeouts bounds how long a client may take to send the body of its request (read),
// and how long it may take to accept each write to it (write). A write is a whole answer, or
// one piece of a stream. Both bounds are kept to within a second. The default is 30 s each; 0
// or less means no bound. The body is read before the call asks for a slot and the answer is
// written after the slot is given back, so a slow client holds no slot.
func WithBodyTimeouts(read, write time.Duration) Option {
	return option(func(s *settings) { s.readTimeout, s.writeTimeout = read, write })
}

// WithLogger sets the logger for failures of the router's queue of jobs. The callers learn only
// that their job was not accepted. The default is the slog.Default() of the moment when the
// handler is made. A nil logger is ignored. Payloads are not logged.
func WithLogger(l *slog.Logger) Option {
	return option(func(s *settings) {
		if l != nil {
			s.logger = l
		}
	})
}

// WithAddress sets the region and the account of the host's ARNs. The default is "us-east-1"
// and "000000000000". A call that names another region or account finds no function. A region
// looks like eu-north-1 and an account has 12 digits. [NewLambda] panics on any other form,
// because no call could name it.
//
// Give the same option to [ToURL], so that its envelopes name functions by the same ARNs.
func WithAddress(region, account string) AddressOption { return address{region, account} }

// AddressOption is an option of [NewLambda] and of [ToURL]. [WithAddress] returns it.
type AddressOption interface {
	LambdaOption
	DestinationOption
}

func (a address) applyLambda(s *settings)            { s.address = a }
func (a address) applyDestination(d *urlDestination) { d.address = a }

// WithCredentials requires every request to the Lambda wire to be signed with AWS Signature
// Version 4, and refuses all others. secret returns the secret key of an access key id, and
// false for an unknown id. Many goroutines call it at once, up to twice for each request, and
// it must not block. Session tokens are ignored: the keys are yours and not those of AWS.
//
// The signature is read from the Authorization header. A presigned request, which has its
// signature in the query, is refused. The client must sign the path that it has requested. This
// holds also below [http.StripPrefix], where the handler sees only the end of that path.
//
// A signature proves which key the sender has. It does not encrypt. So over plain HTTP others
// can read a request on its way, and can send it again within five minutes of its date.
func WithCredentials(secret func(keyID string) (key string, ok bool)) LambdaOption {
	return lambdaOption(func(s *settings) { s.secret = secret })
}

// WithEventQueue bounds the jobs that events make: an event (InvocationType Event) is answered
// as throttled while the router has n or more jobs that are not settled, n ≥ 0. Jobs of all
// functions and of all senders count. So a part of the queue stays free for other senders.
// Events that arrive at the same moment may exceed n. By default, and if n is negative, only
// the queue's own bounds apply: see [faas.WithJobs].
func WithEventQueue(n int) LambdaOption {
	return lambdaOption(func(s *settings) { s.events = n })
}
