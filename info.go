package faas

import (
	"iter"
	"reflect"
	"time"
)

// Signature is what of a function is fixed by its registration.
type Signature struct {
	Name    string
	Version string
	Labels  map[string]string // shared by all that show them, not to be changed
	In, Out reflect.Type
	Timeout time.Duration
	Memory  int64 // declared, bytes
	MaxIn   int   // how large a payload may be, bytes, see WithLimits
	MaxOut  int   // how large an encoded output may be, bytes
	Stream  bool  // it answers piece by piece, see RegisterStream; Out is []byte

	ContentType string // the media type of its outputs, see Codec; of []byte and pieces, application/octet-stream
}

// Info describes a function and its present state. It is a copy, but for
// Labels. While calls come and go the numbers are each right at a moment, not
// all at the same.
type Info struct {
	Signature

	InFlight int // admitted, and not yet settled
	Queued   int // waiting for a slot
	Limit    int // how many may run at once; math.MaxInt32: no limit but the router's; 0: switched off
	Reserved int // of the router's slots, see WithReserved
	Weight   int // in the sharing of them, see WithWeight
	Runaways int // settled, and the handler still runs

	Instances int // that there should be, by the function's policy; 0 also where none is asked
	Ready     int // of those, the ones that can serve

	Admitted uint64            // since registration; each has one Execution when it is settled
	Rejected map[Reason]uint64 // refused since registration; nil: none
}

// Stats sums up a router. As in Info, each number is right at a moment.
type Stats struct {
	Functions  int
	Capacity   int // how many calls may run at once
	InFlight   int
	Queued     int
	Runaways   int
	Admitted   uint64
	Rejected   map[Reason]uint64 // all refusals, those for unknown names among them; never nil
	HookPanics uint64            // of meters, gates, and what WithContext and WithStuck were given
	Closing    bool              // Shutdown or Close has begun
}

func (fn *function) info() Info {
	queued, rejected := fn.part.Queued(), fn.refused.snapshot()
	admitted := int(fn.part.Entered.Load()-fn.refused.count()) - queued
	instances, able := fn.instances()
	return Info{
		Signature: fn.signature(), Instances: instances, Ready: able,
		InFlight: max(0, fn.unsettled()-queued), Queued: queued, Limit: fn.class.Limit(), Runaways: int(fn.runaways.Load()),
		Reserved: fn.class.Reserved(), Weight: fn.class.Weight(),
		Admitted: uint64(max(0, admitted)), Rejected: rejected,
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

// Stats sums up the router, removed functions included.
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

// Signature describes a function as it was registered, or answers [ErrNotFound]. It
// takes no lock, counts nothing and allocates nothing: it is for front doors, which
// need it for each call.
func (r *Router) Signature(name string) (Signature, error) {
	fn, err := r.find("signature", name)
	if err != nil {
		return Signature{}, err
	}
	return fn.signature(), nil
}

// Info describes a function and its present state, or answers [ErrNotFound].
func (r *Router) Info(name string) (Info, error) {
	fn, err := r.find("info", name)
	if err != nil {
		return Info{}, err
	}
	return fn.info(), nil
}

// Functions describes all functions in the order of their names, each as it is
// when its turn comes.
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
