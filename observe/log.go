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

// CallLog writes a log line for each call. It is made by [Log]. It is a [faas.Meter] and a
// [faas.OverrunMeter]: pass it to faas.WithMeter, and its method Refused to faas.WithRefusals.
// All methods may be called concurrently.
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

// WithSampling logs only one of n calls that end OK, chosen at random. Its line has rate=n.
// With n < 1, as with 1, all are logged, which is the default.
func WithSampling(n int) LogOption {
	return logOption(func(l *CallLog) { l.sampling = uint64(max(n, 1)) })
}

// WithBilled adds the attribute billed to each line: the duration that a provider with this
// rule would bill for the call, see [cost.Book.Rounding].
func WithBilled(by cost.Rounding) LogOption {
	return logOption(func(l *CallLog) { l.rounding = &by })
}

// WithFolding sets for how long refusals are counted before a line with their number is
// written. The default is 1 s, also for d ≤ 0.
func WithFolding(d time.Duration) LogOption {
	return logOption(func(l *CallLog) { l.folded.every = d })
}

// Log returns a meter that writes one line for each call to a logger, which must not block. A
// line has the attributes function, version, id, attempt, outcome, wait and run. If the call
// has them, it also has tenant, request (the ID in its Origin), trigger, door, job, delivery
// and cold. Its level is Info for OK and Canceled, and Warn for every other outcome.
//
//   - Calls that end OK may be sampled, see [WithSampling]. Other calls never are.
//   - Refusals are counted by function and reason. Once a second ([WithFolding]) there is a
//     line with each count, at level Warn, so that many refusals make few lines. Refusals of
//     names that are not registered are counted without a function. Shutdown writes the counts
//     of that moment.
//   - The end of a runaway has a line of its own, at level Warn.
//   - Payloads are never logged. The text of an error is in the attribute error, but only if
//     the logger is enabled at level Debug, because a handler may have put anything into it.
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

// Record writes the line of a call, if the call is logged.
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

// attrs returns the attributes of a call's line.
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

// errorText returns the text of an error, or gives up after 100 ms: its method Error is foreign
// code, and a meter must not block.
func errorText(err error) string {
	text, _ := foreign.TextWithin(err, 100*time.Millisecond)
	return text
}

// RecordOverrun writes the line of a runaway that has ended. Its attribute over is how long the
// handler ran after the end of its call.
func (l *CallLog) RecordOverrun(ctx context.Context, o faas.Overrun) {
	attrs := []slog.Attr{slog.String("function", o.Function), slog.String("version", o.Version), slog.String("id", o.ID.String())}
	if o.Tenant != "" {
		attrs = append(attrs, slog.String("tenant", o.Tenant))
	}
	l.logger.LogAttrs(ctx, slog.LevelWarn, "runaway ended", append(attrs, slog.Duration("over", o.Duration))...)
}
