package observe

import (
	"context"

	"github.com/inproc/faas"
)

// exemplify keeps a sampled call as an exemplar. Of each octave of durations, from one power of
// two to the next, it keeps the last call: about one for each bucket of a dashboard. Few calls
// are sampled, so the lock of the series is seldom taken.
func (r *Recorder) exemplify(ctx context.Context, e *faas.Execution) {
	trace := r.settings.exemplar(ctx)
	if trace == "" {
		return
	}
	s := r.all.get(seriesKey{e.Function, e.Version})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exemplars == nil {
		s.exemplars = map[uint16]Exemplar{}
	}
	s.exemplars[indexOf(e.Duration)/perOctave] = Exemplar{Trace: trace, Run: e.Duration, Time: e.Start.Add(e.Duration)}
}
