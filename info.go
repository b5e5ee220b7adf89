package faas

import (
	"iter"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Signature is the part of a function's description that its registration fixes.
type Signature struct {
	Name    string
	Version string
	Labels  map[string]string // shared with the function's records and calls, so don't change it
	In, Out reflect.Type
	Timeout time.Duration
	Memory  int64 // declared, bytes
	MaxIn   int   // how large a payload may be, bytes, see WithLimits
	MaxOut  int   // how large an encoded output may be, bytes
	Stream  bool  // its output is a stream, see RegisterStream; Out is []byte

	ContentType string // the media type of its outputs, see Codec; for []byte and streams application/octet-stream
}

// Info describes a version of a function, or a function with all its versions, and the
// present state. It is a copy, except that it shares Labels. While calls come and go,
// each number is right at some moment, but not all at the same moment.
type Info struct {
	Signature

	InFlight int // admitted, and not yet settled
	Queued   int // waiting for a slot
	Limit    int // how many calls may run at once, with those of the name's other versions; math.MaxInt32: only the router limits them; 0: switched off
	Reserved int // how many of the router's slots are reserved for the name, see WithReserved
	Weight   int // the name's weight when functions share the router's slots, see WithWeight
	Runaways int // handlers that still run although their call is settled

	// Concurrency is the name's limit, as WithConcurrency or Router.SetConcurrency has set it;
	// math.MaxInt32: none. Limit is less while a policy wants fewer instances than it allows.
	Concurrency int

	Instances int // how many the function's policy wants; 0 also if the function has no policy
	Ready     int // how many of those can serve a call

	JobPolicy JobPolicy // what options set about its jobs; for a name: about the jobs that are sent to the name without a version

	LogLevel slog.Leveler // of its calls' log lines, see WithLogLevel; nil: the router's logger decides

	Admitted uint64            // calls admitted since registration; each has one Execution when it is settled
	Rejected map[Reason]uint64 // calls refused since registration, without deliveries of jobs; nil: none

	Jobs         JobCount          // of the name, whatever the version; zero without a queue, or if the queue can't count them
	JobsRejected map[Reason]uint64 // deliveries of jobs refused since registration; nil: none
}

// Stats is a router's sum over its functions. As in [Info], each number is right at some
// moment, but not all at the same moment.
type Stats struct {
	Functions    int // how many names are registered, whatever their versions
	Capacity     int // how many calls may run at once
	InFlight     int
	Queued       int
	Runaways     int // handlers that still run although their call is settled
	Admitted     uint64
	Rejected     map[Reason]uint64 // all refusals but those of deliveries of jobs, including those of unknown names; never nil
	Jobs         JobCount          // of all functions; zero before the router has a queue, or if the queue can't count them
	JobsRejected map[Reason]uint64 // all refusals of deliveries of jobs; nil: none
	HookPanics   uint64            // panics of meters, gates, and the funcs that WithContext and WithStuck got
	Closing      bool              // Shutdown or Close has begun
}

// info reads the counters one after the other. A lock over all of them would be on the
// path of each call. So a difference of two may be off by the calls that came in between,
// and max keeps it from being negative.
func (fn *function) info() Info {
	queued, rejected := fn.part.Queued(), fn.refused.snapshot()
	entered, _ := fn.part.Counts()
	admitted := int(entered-fn.refused.count()) - queued
	instances, able := fn.instances()
	return Info{
		Signature: fn.signature(), Instances: instances, Ready: able,
		InFlight: max(0, fn.unsettled()-queued), Queued: queued, Limit: min(fn.part.Class().Limit(), fn.part.Limit()), Runaways: int(fn.runaways.Load()),
		Concurrency: fn.part.Class().Limit(), Reserved: fn.part.Class().Reserved(), Weight: fn.part.Class().Weight(),
		Admitted: uint64(max(0, admitted)), Rejected: rejected.live, JobsRejected: rejected.jobs, LogLevel: fn.who.log.shown(),
		JobPolicy: fn.jobs.shown(),
	}
}

func (fn *function) signature() Signature {
	in, out := fn.handle.types()
	kind := fn.contentType
	if fn.rawOut {
		kind = octets
	}
	return Signature{
		Name: fn.who.name, Version: fn.who.version, Labels: fn.labels, In: in, Out: out, Timeout: fn.timeout, Memory: fn.memory,
		MaxIn: fn.limitIn, MaxOut: fn.limitOut, Stream: fn.stream, ContentType: kind,
	}
}

// Stats returns the router's sum, which includes removed functions.
func (r *Router) Stats() Stats {
	s := Stats{Capacity: r.group.Limit(), HookPanics: r.hookPanics.Load(), Rejected: map[Reason]uint64{}, Closing: r.closing.Load()}
	// functions.mu guards the list of functions and the sums of removed ones. No lock guards a
	// function's counts of calls and of runaways, which are atomics; that of refusals has its own.
	r.functions.mu.Lock()
	all, names := r.functions.present()
	s.Functions = names
	s.Admitted += r.functions.past.admitted
	rejected := refusalCounts{live: s.Rejected}
	rejected.add(r.functions.past.rejected)
	r.functions.mu.Unlock()
	for _, fn := range all {
		i := fn.info()
		s.InFlight += i.InFlight
		s.Queued += i.Queued
		s.Runaways += i.Runaways
		s.Admitted += i.Admitted
		rejected.add(refusalCounts{i.Rejected, i.JobsRejected})
	}
	rejected.add(r.refused.snapshot())
	s.Rejected, s.JobsRejected = rejected.live, rejected.jobs
	for _, c := range r.jobCounts() {
		s.Jobs.add(c)
	}
	return s
}

// Signature returns the description, as registered, of the version that a call by that
// name runs, or an error that Is [ErrNotFound]. It takes no lock, counts nothing and
// allocates nothing, because front doors need it for each call.
func (r *Router) Signature(name string) (Signature, error) {
	fn, err := r.find("signature", name)
	if err != nil {
		return Signature{}, err
	}
	return fn.signature(), nil
}

// Info describes a function and its present state, or returns an error that Is
// [ErrNotFound]. With a qualifier, as in "resize:2", it describes that version.
//
// With the name alone it describes the name: what its versions share, and the sums over
// them. Versions that were removed count too: in Admitted and Rejected since the name was
// registered, and in the other numbers as long as they have calls. The Signature is that
// of the version that a call by the name runs, or if there is none, of the version with
// the highest number.
func (r *Router) Info(name string) (Info, error) {
	f, qualifier := r.functions.lookup(name)
	if f != nil && qualifier == "" {
		if info, ok := r.functions.describe(f); ok {
			return withJobs(info, r.jobCounts()), nil
		}
	}
	fn, err := r.find("info", name)
	if err != nil {
		return Info{}, err
	}
	return withJobs(fn.info(), r.jobCounts()), nil
}

// describe returns the Info of a name; ok is false if its last version is gone.
func (t *registry) describe(f *family) (info Info, ok bool) {
	shown, others, past := t.members(f)
	if shown == nil {
		return Info{}, false
	}
	info = shown.info()
	for _, fn := range others {
		info.add(fn.info())
	}
	info.Limit = f.limit()
	info.Admitted += past.admitted
	info.reject(past.rejected)
	return info, true
}

// members returns the version that describes a name, its other versions, and the counts
// of removed versions that have no calls any more. Removed versions that still have calls
// are among the others. It reads all under one lock, so that no version is counted twice.
func (t *registry) members(f *family) (shown *function, others []*function, past totals) {
	t.mu.Lock()
	defer t.mu.Unlock()
	shown = f.newest()
	for _, fn := range slices.Concat(f.table.Load().all(), t.gone) {
		if fn.family == f && fn != shown {
			others = append(others, fn)
		}
	}
	if f.past != nil {
		past = totals{admitted: f.past.admitted, rejected: f.past.rejected.clone()}
	}
	return shown, others, past
}

// limit returns how many calls of the name may run at once: the name's limit, or the sum of
// its versions' limits if that is less.
func (f *family) limit() (n int) {
	most := f.class.Limit()
	for _, fn := range f.table.Load().all() {
		n += min(fn.part.Limit(), most-n)
	}
	return n
}

// add adds the numbers of another version of the name.
func (i *Info) add(o Info) {
	i.InFlight += o.InFlight
	i.Queued += o.Queued
	i.Runaways += o.Runaways
	i.Instances += o.Instances
	i.Ready += o.Ready
	i.Admitted += o.Admitted
	i.reject(refusalCounts{o.Rejected, o.JobsRejected})
}

func (i *Info) reject(counts refusalCounts) {
	i.Rejected, i.JobsRejected = addCounts(i.Rejected, counts.live), addCounts(i.JobsRejected, counts.jobs)
}

// withJobs returns i with the numbers of the name's jobs.
func withJobs(i Info, counts map[string]JobCount) Info {
	i.Jobs = counts[i.Name]
	return i
}

// jobCounts returns how many jobs there are by function; nil without a queue.
func (r *Router) jobCounts() map[string]JobCount {
	if j := r.hasJobs(); j != nil {
		return j.counts()
	}
	return nil
}

// Functions describes all functions, sorted by name, each at the moment when it is
// yielded. There is one Info for each name, as [Router.Info] returns it; see
// [Router.Versions].
func (r *Router) Functions() iter.Seq[Info] {
	return func(yield func(Info) bool) {
		counts := r.jobCounts()
		for _, f := range r.functions.sorted() {
			if info, ok := r.functions.describe(f.family); ok && !yield(withJobs(info, counts)) {
				return
			}
		}
	}
}

// Info describes the function and its present state.
func (f *Function[In, Out]) Info() Info {
	if f.core == nil {
		return withJobs(f.alias.info(), f.alias.router.jobCounts())
	}
	return withJobs(f.core.info(), f.core.router.jobCounts())
}

// Info describes the function and its present state.
func (f *StreamFunction[In]) Info() Info { return f.core.info() }

// info describes the version with the most weight. If the alias is gone, it returns only
// the name.
func (h *aliasHandle) info() Info {
	if fn := h.family.resolve(h.qualifier); fn != nil {
		return fn.info()
	}
	name, _, _ := strings.Cut(h.name, ":")
	return Info{Signature: Signature{Name: name}}
}

// Decisions returns the last changes of scale, the oldest first, at most 64 of each
// version. "resize:2" means that version. "resize" means all its versions, and also the
// last 64 moves of its aliases. The empty name means the router's capacity. The slice is
// the caller's. If a burst has grown a function call by call, that is one entry, with the
// load that was seen first; [WithDecisions] reports each step. It returns an error that Is
// [ErrNotFound] or [ErrName].
func (r *Router) Decisions(name string) ([]Decision, error) {
	if name == "" {
		if r.capacity == nil {
			return nil, nil
		}
		return r.capacity.decisions.all(), nil
	}
	versions, err := r.findAll("decisions", name)
	if err != nil {
		return nil, err
	}
	var all []Decision
	for _, fn := range versions {
		if fn.scaling != nil {
			all = append(all, fn.scaling.decisions.all()...)
		}
	}
	if f, qualifier := r.functions.lookup(name); f != nil && qualifier == "" {
		all = append(all, f.decisions()...)
	}
	slices.SortStableFunc(all, func(a, b Decision) int { return a.Time.Compare(b.Time) })
	return all, nil
}
