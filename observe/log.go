package observe

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
	"github.com/inproc/faas/internal/foreign"
)

// CallLog writes a line for each call. It is a [faas.Meter] and a [faas.OverrunMeter], to be
// given to faas.WithMeter, and its method Refused is to be given to faas.WithRefusals.
// [Log] makes it. All methods may be called concurrently.
type CallLog struct {
	logger   *slog.Logger
	sampling uint64
	rounding *cost.Rounding
	folded   folded
}

// LogOption is an option of [Log]. Nil options are ignored.
type LogOption interface{ applyLog(*CallLog) }

type logOption func(*CallLog)

func (o logOption) applyLog(l *CallLog) { o(l) }

// WithSampling has one of n calls that end OK logged, chosen at random; its line says so
// with rate=n. n < 1 counts as 1: all are logged, which is the default.
func WithSampling(n int) LogOption {
	return logOption(func(l *CallLog) { l.sampling = uint64(max(n, 1)) })
}

// WithBilled adds to each line, as billed, the duration that a provider with that rule
// would bill for the call, see [cost.Book.Rounding].
func WithBilled(by cost.Rounding) LogOption {
	return logOption(func(l *CallLog) { l.rounding = &by })
}

// WithFolding sets for how long refusals are counted before there is a line of them. d ≤ 0
// counts as the default, 1 s.
func WithFolding(d time.Duration) LogOption {
	return logOption(func(l *CallLog) { l.folded.every = d })
}

// Log returns a meter that writes one line for each call to the logger, which must not
// block. A line has the attributes function, version, id, attempt, outcome, wait and run,
// and where the call has them tenant, request (the id of its Origin), trigger, door, job,
// delivery and cold. Its level is Info for OK and Canceled, and Warn for each other outcome.
//
//   - Calls that end OK may be sampled ([WithSampling]); others never are.
//   - Refusals are counted, by function and reason, and written as a line with their count
//     once a second ([WithFolding]), at level Warn, so that a flood of them is no flood of
//     lines. Those of names that are not registered have no function. What is counted at
//     Shutdown is written then.
//   - The end of a runaway has a line of its own, at level Warn.
//   - There is no payload and, unless the logger is enabled at level Debug, no text of an
//     error, since a handler may have put anything into it. If it is, the attribute error
//     has the text.
func Log(to *slog.Logger, opts ...LogOption) *CallLog {
	l := &CallLog{logger: to, sampling: 1}
	for _, o := range opts {
		if o != nil {
			o.applyLog(l)
		}
	}
	if l.folded.every <= 0 {
		l.folded.every = time.Second
	}
	return l
}

// Record writes the line of a call.
func (l *CallLog) Record(ctx context.Context, e faas.Execution) {
	ok := e.Outcome == faas.OK
	if ok && l.sampling > 1 && rand.Uint64N(l.sampling) != 0 {
		return
	}
	level := slog.LevelWarn
	if ok || e.Outcome == faas.Canceled {
		level = slog.LevelInfo
	}
	if !l.logger.Enabled(ctx, level) {
		return
	}
	l.logger.LogAttrs(ctx, level, "call", l.attrs(ctx, &e)...)
}

// attrs are the attributes of a call's line.
func (l *CallLog) attrs(ctx context.Context, e *faas.Execution) []slog.Attr {
	attrs := append(make([]slog.Attr, 0, 20), slog.String("function", e.Function), slog.String("version", e.Version), slog.String("id", e.ID.String()))
	for _, a := range [...]struct{ key, value string }{
		{"tenant", e.Tenant}, {"request", e.Origin.RequestID}, {"trigger", e.Origin.Trigger}, {"door", e.Origin.Door},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, a.value))
		}
	}
	if e.Job != uuid.Nil {
		attrs = append(attrs, slog.String("job", e.Job.String()), slog.Int("delivery", e.Delivery))
	}
	attrs = append(attrs, slog.Int("attempt", e.Attempt), slog.String("outcome", e.Outcome.String()), slog.Duration("wait", e.Queued), slog.Duration("run", e.Duration))
	if e.Cold {
		attrs = append(attrs, slog.Duration("cold", e.Init))
	}
	if l.rounding != nil {
		billed := l.rounding.Quanta(e.Duration, e.Init) * uint64(max(l.rounding.Granularity, 1))
		attrs = append(attrs, slog.Duration("billed", time.Duration(billed)))
	}
	if e.Outcome == faas.OK && l.sampling > 1 {
		attrs = append(attrs, slog.Uint64("rate", l.sampling))
	}
	if e.Err != nil && l.logger.Enabled(ctx, slog.LevelDebug) {
		attrs = append(attrs, slog.String("error", errorText(e.Err)))
	}
	return attrs
}

// errorText is the text of an error. Its method is foreign code, and a meter must not
// block, so it has 100 ms.
func errorText(err error) string {
	text, _ := foreign.TextWithin(err, 100*time.Millisecond)
	return text
}

// RecordOverrun writes the line of a runaway that has ended: over is how long it ran beyond
// its call.
func (l *CallLog) RecordOverrun(ctx context.Context, o faas.Overrun) {
	attrs := []slog.Attr{slog.String("function", o.Function), slog.String("version", o.Version), slog.String("id", o.ID.String())}
	if o.Tenant != "" {
		attrs = append(attrs, slog.String("tenant", o.Tenant))
	}
	l.logger.LogAttrs(ctx, slog.LevelWarn, "runaway ended", append(attrs, slog.Duration("over", o.Duration))...)
}
