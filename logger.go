package faas

import (
	"context"
	"log/slog"

	"github.com/google/uuid"
)

// Logger returns the logger of the innermost call to which ctx belongs: in a handler, in
// a middleware, and in a meter's Record. It writes to the logger of [WithLogger]. Each
// line has the call's attributes function, version, id and attempt and, if the call has
// them, tenant, request (the [Origin]'s RequestID) and job.
//
// [WithLogLevel] and [Router.SetLogLevel] set the level of a function. Without them the
// handler of the router's logger decides. With [WithLogTail] the caller gets the lines
// too.
//
// The first use in a call makes the logger; later uses, from any goroutine, return the
// same one, until the call and its handler are over. A call that does not use it pays
// nothing. The logger may be kept: it still works after the call, for a handler that
// outlives the call or a goroutine that the handler has started. A panic in the log
// handler is a panic of the code that logs.
//
// Outside of a call, Logger returns [slog.Default], so that code which also runs
// elsewhere loses no line. In a [Gate] ctx is the caller's context, and Logger returns
// the caller's logger.
func Logger(ctx context.Context) *slog.Logger {
	c := callOf(ctx)
	if c == nil {
		return slog.Default()
	}
	s := c.signal()
	if l := s.logger.Load(); l != nil {
		return l
	}
	made := c.newLogger()
	if !s.logger.CompareAndSwap(nil, made) {
		if l := s.logger.Load(); l != nil { // nil: the call has just ended
			return l
		}
	}
	return made
}

// WithLogger sets the logger to which the router writes about runaways and panics of
// hooks, and to which [Logger] writes. The router's own lines contain no payloads and no
// texts of errors. Default: slog.Default() at the time of New.
func WithLogger(l *slog.Logger) RouterOption {
	return routerOption(func(r *routerSettings) { r.logger = l })
}

// WithLogLevel sets the lowest level that the calls of a function log through [Logger],
// until [Router.SetLogLevel] changes it. The level of the router's log handler then does
// not count, even if it is higher. Default: that handler decides. The router's own lines
// are not affected. A version that is registered later begins with the level of its own
// options.
func WithLogLevel(level slog.Level) Option {
	return option(func(s *settings) { s.logLevel = max(level, noLevel+1) })
}

// SetLogLevel changes the level of a function's log lines, see [WithLogLevel]. It takes
// effect at once, also in calls that run. It changes all versions of the function, or
// with a name such as "resize:2" only that version. It returns an error that Is
// [ErrNotFound] or [ErrName].
func (r *Router) SetLogLevel(name string, level slog.Level) error {
	all, err := r.findAll("set log level", name)
	if err != nil {
		return err
	}
	for _, fn := range all {
		fn.who.log.level.Store(int64(max(level, noLevel+1)))
	}
	return nil
}

// newLogger makes a call's logger. It reads no field that the end of the call clears.
func (c *callContext) newLogger() *slog.Logger {
	attrs := c.logAttrs()
	log := c.who.functionLog()
	h := callHandler{function: log, sink: log.logger.Handler().WithAttrs(attrs)}
	if from := c.provenance(); from != nil && from.tail != nil {
		h.tail = slog.NewTextHandler(from.tail, nil).WithAttrs(attrs)
	}
	return slog.New(h)
}

// logAttrs returns the attributes that identify the call in its log lines.
func (c *callContext) logAttrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("function", c.who.name), slog.String("version", c.who.version), slog.String("id", c.id.String())}
	attempt := 1
	if from := c.provenance(); from != nil {
		attempt = max(1, from.attempt)
		if id := from.origin.RequestID; id != "" {
			attrs = append(attrs, slog.String("request", id))
		}
		if from.job != uuid.Nil {
			attrs = append(attrs, slog.String("job", from.job.String()))
		}
	}
	attrs = append(attrs, slog.Int("attempt", attempt))
	if c.tenant != "" {
		attrs = append(attrs, slog.String("tenant", c.tenant))
	}
	return attrs
}

// callHandler is the slog.Handler of a call's logger. It has no pointer to the call: so a
// logger that is kept does not keep an input, an output or an instance in memory.
type callHandler struct {
	function *functionLog
	sink     slog.Handler // of the router's logger, with the call's attributes
	tail     slog.Handler // writes into the LogTail of WithLogTail; nil: there is none
}

// Enabled compares level with the function's level. If that is not set, the sink decides.
func (h callHandler) Enabled(ctx context.Context, level slog.Level) bool {
	if least := slog.Level(h.function.level.Load()); least != noLevel {
		return level >= least
	}
	return h.sink.Enabled(ctx, level)
}

func (h callHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.tail != nil {
		_ = h.tail.Handle(ctx, r.Clone()) // a LogTail returns no error; r is cloned, since the sink may add to it
	}
	return h.sink.Handle(ctx, r)
}

func (h callHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

func (h callHandler) WithGroup(name string) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h callHandler) with(f func(slog.Handler) slog.Handler) slog.Handler {
	h.sink = f(h.sink)
	if h.tail != nil {
		h.tail = f(h.tail)
	}
	return h
}
