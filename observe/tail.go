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

// RecentLog keeps the last lines of a log in memory, for those who look at a running host.
// It is a [slog.Handler]; [Tail] makes it. To also write the lines elsewhere, join the two:
//
//	tail := observe.Tail(1000)
//	logger := slog.New(slog.NewMultiHandler(slog.NewTextHandler(os.Stderr, nil), tail))
//	r := faas.New(faas.WithLogger(logger), faas.WithMeter(observe.Log(logger)))
//
// It keeps lines of level Info and higher. All methods may be called concurrently.
type RecentLog struct {
	ring             *ring
	with             []func(slog.Handler) slog.Handler // WithAttrs and WithGroup, in their order
	grouped          bool                              // WithGroup was called: attributes are not of the line itself any more
	function, tenant string                            // among the attributes
}

// Line is one line of a log.
type Line struct {
	Seq              uint64 // its number, from 1; each line has the next one
	Time             time.Time
	Level            slog.Level
	Message          string
	Function, Tenant string // the attributes of those names, if the line has them
	JSON             []byte // all of it, as slog.JSONHandler writes it, without the newline; not to be changed
}

// maxLine is how long the JSON of a kept line may be, in bytes. Of a longer one only the
// message is kept.
const maxLine = 16 << 10

// Tail returns a handler that keeps the last n lines, n ≥ 1, of at most 16 KiB each: of a
// longer one it keeps the message alone, up to that length, with truncated=true.
func Tail(n int) *RecentLog {
	return &RecentLog{ring: &ring{most: max(n, 1)}}
}

// Lines returns the lines after the one with that number, the oldest first: with 0 all that
// are kept. If the first has not the next number, those between are gone.
func (t *RecentLog) Lines(after uint64) []Line {
	lines, _ := t.ring.after(after, false)
	return lines
}

// Follow yields the lines whose numbers are above after, as they come, until ctx ends. A loop
// that is slower than the log misses lines, which shows as a gap in their numbers. No lock is
// held while the loop's body runs.
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

// Handle implements [slog.Handler]. It keeps the line as text, and nothing of r.
func (t *RecentLog) Handle(ctx context.Context, r slog.Record) error {
	text, err := t.format(ctx, r)
	if len(text) > maxLine {
		short := slog.NewRecord(r.Time, r.Level, r.Message[:min(len(r.Message), maxLine/8)], 0) // a character takes up to 6 bytes of JSON
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

// format returns the line's JSON. Values of attributes have methods, which are foreign code:
// no lock is held.
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

// label notes the value of an attribute that names a function or a tenant.
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

// ring is the last lines, shared by all handlers that WithAttrs and WithGroup have made.
type ring struct {
	most int

	mu    sync.Mutex // guards what follows
	lines []Line
	next  int // the index of the oldest, once the ring is full; 0 before
	seq   uint64
	more  chan struct{} // closed with the next line; nil: no goroutine waits for it
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

// after returns a copy of the lines with higher numbers. If there are none and wait is set,
// it returns a channel that is closed when there is one.
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
