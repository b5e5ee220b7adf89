package observe

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/inproc/faas"
)

// folded counts refusals until their lines are written. A timer runs while there are counts.
type folded struct {
	every time.Duration

	mu     sync.Mutex // guards what follows
	counts map[fold]uint64
	timer  *time.Timer // nil: no refusals are counted
}

// fold is the key by which refusals are counted.
type fold struct {
	function, version string
	kind              faas.Kind
	reason            faas.Reason
}

// mostFolds is how many keys may be counted separately, since gates may make up reasons. Any
// other refusal is counted with those of its kind.
const mostFolds = 1000

// Refused counts a refusal. Its line is written later.
func (l *CallLog) Refused(_ context.Context, ref faas.Refusal) {
	key := fold{kind: ref.Kind, reason: ref.Reason}
	if ref.Version != "" { // empty: the name is not registered, and callers may make up any number of such names
		key.function, key.version = ref.Function, ref.Version
	}
	f := &l.folded
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer == nil {
		f.counts = map[fold]uint64{}
		f.timer = time.AfterFunc(f.every, l.writeRefusals)
	}
	if _, known := f.counts[key]; !known && len(f.counts) >= mostFolds {
		key = fold{kind: ref.Kind, reason: OtherReason}
	}
	f.counts[key]++
}

// Flush writes the refusals that have been counted and not written. Shutdown calls it. It
// always returns nil.
func (l *CallLog) Flush(context.Context) error {
	l.writeRefusals()
	return nil
}

// writeRefusals writes a line for each function and reason. If the log handler panics, the
// remaining lines are lost: on the timer's goroutine the panic would end the process.
func (l *CallLog) writeRefusals() {
	defer func() { _ = recover() }()
	for _, line := range l.folded.take() {
		attrs := make([]slog.Attr, 0, 6)
		if line.function != "" {
			attrs = append(attrs, slog.String("function", line.function), slog.String("version", line.version))
		}
		attrs = append(attrs, slog.String("kind", line.kind.String()), slog.String("reason", string(line.reason)),
			slog.Uint64("count", line.count), slog.Duration("within", l.folded.every))
		l.logger.LogAttrs(context.Background(), slog.LevelWarn, "refused", attrs...)
	}
}

type foldedLine struct {
	fold
	count uint64
}

// take returns the counts, sorted, and sets them to zero.
func (f *folded) take() []foldedLine {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer == nil {
		return nil
	}
	f.timer.Stop()
	f.timer = nil
	all := make([]foldedLine, 0, len(f.counts))
	for key, n := range f.counts {
		all = append(all, foldedLine{key, n})
	}
	slices.SortFunc(all, func(a, b foldedLine) int {
		return cmp.Or(strings.Compare(a.function, b.function), strings.Compare(a.version, b.version),
			strings.Compare(string(a.reason), string(b.reason)), cmp.Compare(a.kind, b.kind))
	})
	return all
}
