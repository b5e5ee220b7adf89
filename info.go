package faas

import (
	"iter"
	"log/slog"
	"reflect"
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

// Info describes a function and its present state. It is a copy, but for Labels. While
// calls come and go, each number is right at some moment, but not all at the same one.
type Info struct {
	Signature

	InFlight int // admitted, and not yet settled
	Queued   int // waiting for a slot
	Limit    int // how many calls may run at once; math.MaxInt32: only the router limits them; 0: the function is switched off
	Reserved int // how many of the router's slots are reserved for it, see WithReserved
	Weight   int // its weight when functions share the router's slots, see WithWeight
	Runaways int // handlers that still run although their call is settled

	Instances int // how many the function's policy wants; 0 also if the function has no policy
	Ready     int // how many of those can serve a call

	LogLevel slog.Leveler // of its calls' log lines, see WithLogLevel; nil: the router's logger decides

	Admitted uint64            // calls admitted since registration; each has one Execution when it is settled
	Rejected map[Reason]uint64 // calls refused since registration; nil: none
}

// Stats is a router's sum over its functions. As in [Info], each number is right at some
// moment, but not all at the same one.
type Stats struct {
	Functions  int
	Capacity   int // how many calls may run at once
	InFlight   int
	Queued     int
	Runaways   int
	Admitted   uint64
	Rejected   map[Reason]uint64 // all refusals, including those of unknown names; never nil
	HookPanics uint64            // panics of meters, gates, and the funcs that WithContext and WithStuck got
	Closing    bool              // Shutdown or Close has begun
}

// info reads the counters one after the other. A lock over all of them would be on the
// path of each call. So a difference of two may be off by the calls that came in between,
// and max keeps it from being negative.
func (fn *function) info() Info {
	queued, rejected := fn.part.Queued(), fn.refused.snapshot()
	admitted := int(fn.part.Entered.Load()-fn.refused.count()) - queued
	instances, able := fn.instances()
	return Info{
		Signature: fn.signature(), Instances: instances, Ready: able,
		InFlight: max(0, fn.unsettled()-queued), Queued: queued, Limit: fn.class.Limit(), Runaways: int(fn.runaways.Load()),
		Reserved: fn.class.Reserved(), Weight: fn.class.Weight(),
		Admitted: uint64(max(0, admitted)), Rejected: rejected, LogLevel: fn.who.log.shown(),
	}
}

func (fn *function) signature() Signature {
	in, out := fn.handle.types()
	kind := fn.contentType
	if fn.rawOut {
		kind = octets
	}
	return Signature{
		Name: fn.name, Version: fn.version, Labels: fn.labels, In: in, Out: out, Timeout: fn.timeout, Memory: fn.memory,
		MaxIn: fn.limitIn, MaxOut: fn.limitOut, Stream: fn.stream, ContentType: kind,
	}
}

// Stats returns the router's sum, which includes removed functions.
func (r *Router) Stats() Stats {
	s := Stats{Capacity: r.group.Limit(), HookPanics: r.hookPanics.Load(), Rejected: map[Reason]uint64{}, Closing: r.closing.Load()}
	all := r.functions.working()
	for _, fn := range all {
		i := fn.info()
		s.InFlight += i.InFlight
		s.Queued += i.Queued
		s.Runaways += i.Runaways
		s.Admitted += i.Admitted
		addCounts(s.Rejected, i.Rejected)
	}
	r.functions.mu.Lock()
	s.Functions = len(all) - len(r.functions.gone)
	s.Admitted += r.functions.past.admitted
	addCounts(s.Rejected, r.functions.past.rejected)
	r.functions.mu.Unlock()
	addCounts(s.Rejected, r.refused.snapshot())
	return s
}

// Signature describes a function as it was registered, or returns an error that Is
// [ErrNotFound]. It takes no lock, counts nothing and allocates nothing, because front
// doors need it for each call.
func (r *Router) Signature(name string) (Signature, error) {
	fn, err := r.find("signature", name)
	if err != nil {
		return Signature{}, err
	}
	return fn.signature(), nil
}

// Info describes a function and its present state, or returns an error that Is
// [ErrNotFound].
func (r *Router) Info(name string) (Info, error) {
	fn, err := r.find("info", name)
	if err != nil {
		return Info{}, err
	}
	return fn.info(), nil
}

// Functions describes all functions, sorted by name, each as it is when its turn comes.
func (r *Router) Functions() iter.Seq[Info] {
	return func(yield func(Info) bool) {
		for _, fn := range r.functions.sorted() {
			if !yield(fn.info()) {
				return
			}
		}
	}
}

// Info describes the function and its present state.
func (f *Function[In, Out]) Info() Info { return f.core.info() }

// Info describes the function and its present state.
func (f *StreamFunction[In]) Info() Info { return f.core.info() }
