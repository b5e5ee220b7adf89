package faashttp

import (
	"log/slog"
	"net/http"
	"time"
)

// Option is an option of all handlers of this package: [Handler],
// [FunctionURL] and [NewLambda]. Nil options are ignored.
type Option interface {
	LambdaOption
	applyFront(*settings)
}

// DoorOption is an option of all handlers of this package and of [NewServer]. A
// server asks for all that it serves, and the handlers in it ask no more: give
// these options to [NewServer], and to a handler where another server serves it.
type DoorOption interface {
	Option
	ServerOption
}

// LambdaOption is an option of [NewLambda] alone. Whoever says that calls have
// to be signed must not be able to say it to a handler that doesn't look.
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

type settings struct {
	door         door
	made         time.Time // what an exchange's own times count from: one clock is read for them, not two
	tenantHeader string
	forbidden    bool
	readTimeout  time.Duration
	writeTimeout time.Duration
	logger       *slog.Logger

	address address
	secret  func(keyID string) (string, bool)
	events  int
}

// AWS writes twelve zeros nowhere: no real account is meant by mistake.
func defaults() settings {
	return settings{
		made: time.Now(), readTimeout: 30 * time.Second, writeTimeout: 30 * time.Second, logger: slog.Default(),
		address: address{region: "us-east-1", account: "000000000000"}, events: 1000,
	}
}

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

func lambdaSettings(opts []LambdaOption) settings {
	s := defaults()
	for _, o := range opts {
		if o != nil {
			o.applyLambda(&s)
		}
	}
	s.door.prepare("NewLambda")
	s.address.check()
	return s
}

// WithTenantHeader lets callers say on whose behalf they call, in that header:
// 1 to 128 of A–Z a–z 0–9 . _ ~ : @ / + = -, or the request is refused. Without
// it no header makes a tenant: give it only where whoever sets the header is
// known, such as a proxy of your own, or where a [faas.Gate] decides who may
// speak for whom.
func WithTenantHeader(name string) Option {
	return option(func(s *settings) { s.tenantHeader = http.CanonicalHeaderKey(name) })
}

// WithForbidden tells callers that a function exists which they may not call:
// 403 instead of the 404 of an unknown one.
func WithForbidden() Option { return option(func(s *settings) { s.forbidden = true }) }

// WithHosts names the hosts that requests on a loopback connection may be for,
// beside localhost, 127.0.0.0/8 and [::1]: those under which a proxy or a tunnel
// on this machine hands on what it gets, as functions.example.com or, for one
// port alone, as functions.example.com:8443. A name that is none makes what it is
// given to panic.
//
// Without it a page could call functions by giving its own name, evil.example, the
// address 127.0.0.1 once it is loaded (DNS rebinding): to its reader's browser the
// functions are then of the page's own site. So a request for any other host is
// refused on a loopback connection, with 403 and a problem that says so. What
// X-Forwarded-Host or another header says changes nothing. Connections to other
// addresses are not asked.
func WithHosts(names ...string) DoorOption {
	return doorOption(func(d *door) { d.names = append(d.names, names...) })
}

// WithOrigins names the sites, as https://app.example.com, whose pages may call
// functions and read the answers: their preflights (CORS) are answered, with every
// method and header that they ask for, and their requests let in. A name that is
// no origin makes what it is given to panic.
//
// A page of any other site is refused by [NewServer], and on loopback connections
// by the handlers, with 403 and a problem that says so ([http.CrossOriginProtection]
// says how it is known). What comes with cookies is not readable to other sites'
// pages, named or not: who calls is to be told by a header such as Authorization.
func WithOrigins(origins ...string) DoorOption {
	return doorOption(func(d *door) { d.origins = append(d.origins, origins...) })
}

// WithBodyTimeouts sets how long a client may take to send its body, and how long
// to take each thing that is written to it: an answer, or a piece of one; to the
// second. Default 30 s each; one that is not positive means for ever. The first is
// counted before a slot is asked for and the second after it is given back, so
// that neither holds one.
func WithBodyTimeouts(read, write time.Duration) Option {
	return option(func(s *settings) { s.readTimeout, s.writeTimeout = read, write })
}

// WithLogger sets where the loss of events is told. Default: slog.Default() at
// the time the handler is made. Payloads and error texts are not logged.
func WithLogger(l *slog.Logger) Option {
	return option(func(s *settings) {
		if l != nil {
			s.logger = l
		}
	})
}

// WithAddress sets the region and the account of the host's ARNs. Default
// "us-east-1" and "000000000000". A call that names another region or account
// finds no function. A region looks like eu-north-1 and an account has 12 digits:
// [NewLambda] panics where they don't, since no call could name them.
func WithAddress(region, account string) LambdaOption {
	return lambdaOption(func(s *settings) { s.address = address{region, account} })
}

// WithCredentials has every request to the Lambda wire signed with AWS
// Signature Version 4, and refuses the others. secret returns the secret key
// of an access key id, and false for an unknown one; it is called by many
// goroutines at once and must not block. Session tokens are not looked at: the
// keys are yours, not AWS's.
//
// The signature is taken from the Authorization header; presigned requests, which
// have it in their query, are refused. The path that has to be signed is the one
// that was requested, also below [http.StripPrefix].
//
// A signature says who sends, and over plain HTTP isHidden nothing. Within five
// minutes of its date a request can be sent again by who has seen it.
func WithCredentials(secret func(keyID string) (key string, ok bool)) LambdaOption {
	return lambdaOption(func(s *settings) { s.secret = secret })
}

// WithEventQueue sets how many asynchronous invocations (InvocationType Event)
// may be on their way, n ≥ 0; those beyond are throttled. Default 1,000. Their
// payloads together are bounded by 64 MiB.
func WithEventQueue(n int) LambdaOption {
	return lambdaOption(func(s *settings) { s.events = n })
}
