package observe

import (
	"bytes"
	"context"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// RecentLog keeps the last lines of a log in memory, so that they can be looked at while the
// process runs. It is a [slog.Handler], made by [Tail]. To write the lines to another handler
// too, join the two:
//
//	tail := observe.Tail(1000)
//	logger := slog.New(slog.NewMultiHandler(slog.NewTextHandler(os.Stderr, nil), tail))
//	r := faas.New(faas.WithLogger(logger), faas.WithMeter(observe.Log(logger)))
//
// It keeps lines of level Info and higher. All methods may be called concurrently.
type RecentLog struct {
	ring             *ring
	with             []func(slog.Handler) slog.Handler // the calls of WithAttrs and WithGroup, in their order
	grouped          bool                              // WithGroup was called, so that further attributes are not the line's own
	function, tenant string                            // from the attributes of WithAttrs
}

// Line is one line of a log.
type Line struct {
	Seq              uint64 // the number of the line; the first line is 1
	Time             time.Time
	Level            slog.Level
	Message          string
	Function, Tenant string // the attributes of these names, or empty
	JSON             []byte // the whole line as slog.JSONHandler writes it, without the newline; must not be changed
}

// maxLine is the largest size of a kept line, as JSON, in bytes. Of a longer one only the
// message is kept.
const maxLine = 16 << 10

// Tail returns a handler that keeps the last n lines, and one if n < 1. A line may have 16 KiB
// of JSON. Of a longer line it keeps only the first 2 KiB of the message, with truncated=true.
func Tail(n int) *RecentLog {
	return &RecentLog{ring: &ring{most: max(n, 1)}}
}

// Lines returns the lines with numbers greater than after, the oldest first; with 0, all that
// are kept. If the first of them does not have the number after+1, the lines between have been
// dropped.
func (t *RecentLog) Lines(after uint64) []Line {
	lines, _ := t.ring.after(after, false)
	return lines
}

// Follow yields the lines with numbers greater than after, as they are written, until ctx ends.
// If the loop is slower than the log, it misses lines, which shows as a gap in their numbers.
// No lock is held while the loop's body runs.
func (t *RecentLog) Follow(ctx context.Context, after uint64) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		for {
			lines, more := t.ring.after(after, true)
			for _, l := range lines {
				if after = l.Seq; ctx.Err() != nil || !yield(l) {
					return
				}
			}
			if len(lines) > 0 {
				continue
			}
			select {
			case <-ctx.Done():
				return
			case <-more:
			}
		}
	}
}

// Enabled implements [slog.Handler].
func (t *RecentLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle implements [slog.Handler]. It keeps the line as text, and nothing that r refers to.
func (t *RecentLog) Handle(ctx context.Context, r slog.Record) error {
	text, err := t.format(ctx, r)
	if len(text) > maxLine {
		short := slog.NewRecord(r.Time, r.Level, r.Message[:min(len(r.Message), maxLine/8)], 0) // a byte of the message takes up to 6 bytes of JSON
		short.AddAttrs(slog.Bool("truncated", true))
		text, err = (&RecentLog{}).format(ctx, short)
	}
	if err != nil {
		return err
	}
	line := Line{Time: r.Time, Level: r.Level, Message: string([]byte(r.Message[:min(len(r.Message), maxLine/8)])), Function: t.function, Tenant: t.tenant, JSON: text}
	if !t.grouped {
		r.Attrs(func(a slog.Attr) bool {
			label(&line.Function, &line.Tenant, a)
			return true
		})
	}
	t.ring.add(line)
	return nil
}

// format returns the line's JSON. It may call methods of the attributes' values, which are
// foreign code, so no lock is held.
func (t *RecentLog) format(ctx context.Context, r slog.Record) ([]byte, error) {
	var buf bytes.Buffer
	var h slog.Handler = slog.NewJSONHandler(&buf, &slog.HandlerOptions{Level: slog.Level(-1 << 30)})
	for _, with := range t.with {
		h = with(h)
	}
	err := h.Handle(ctx, r)
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), err
}

// WithAttrs implements [slog.Handler].
func (t *RecentLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := t.add(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
	if !c.grouped {
		for _, a := range attrs {
			label(&c.function, &c.tenant, a)
		}
	}
	return c
}

// WithGroup implements [slog.Handler].
func (t *RecentLog) WithGroup(group string) slog.Handler {
	if group == "" {
		return t
	}
	c := t.add(func(h slog.Handler) slog.Handler { return h.WithGroup(group) })
	c.grouped = true
	return c
}

func (t *RecentLog) add(with func(slog.Handler) slog.Handler) *RecentLog {
	c := *t
	c.with = append(slices.Clip(t.with), with)
	return &c
}

// label stores the value of an attribute named function or tenant.
func label(function, tenant *string, a slog.Attr) {
	if a.Value.Kind() != slog.KindString {
		return
	}
	switch a.Key {
	case "function":
		*function = a.Value.String()
	case "tenant":
		*tenant = a.Value.String()
	}
}

// ring has the last lines. All handlers that WithAttrs and WithGroup have made share it.
type ring struct {
	most int

	mu    sync.Mutex // guards what follows
	lines []Line
	next  int // the index of the oldest line if the ring is full; 0 before
	seq   uint64
	more  chan struct{} // closed when a line is added; nil: no goroutine waits for one
}

func (r *ring) add(l Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	l.Seq = r.seq
	if len(r.lines) < r.most {
		r.lines = append(r.lines, l)
	} else {
		r.lines[r.next] = l
		r.next = (r.next + 1) % r.most
	}
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}

// after returns a copy of the lines with greater numbers. If there are none and wait is true,
// it returns a channel that is closed when a line is added.
func (r *ring) after(seq uint64, wait bool) (lines []Line, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := min(r.seq-min(seq, r.seq), uint64(len(r.lines))); n > 0 {
		all := slices.Concat(r.lines[r.next:], r.lines[:r.next])
		return all[uint64(len(all))-n:], nil
	}
	if wait && r.more == nil {
		r.more = make(chan struct{})
	}
	return nil, r.more
}
