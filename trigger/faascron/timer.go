package faascron

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"sync"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/source"
)

// Timer starts a function by the clock. It is a [source.Driver], with its methods Pause,
// Resume, Info and Stop. When a paused timer is resumed, it fires once for all the times that
// it has missed, or as [CatchUp] says.
type Timer struct {
	*source.Driver

	entry *entry
}

// Every makes a timer that calls function whenever expr says. The function takes a [Tick]. The
// timer ends with Stop, or with the router's Shutdown. The error Is faas.ErrInput if the
// expression does not parse or never fires, the zone is unknown, or an option is out of range.
// It Is faas.ErrNotFound if the function is unknown.
func Every(r *faas.Router, function, expr string, opts ...Option) (*Timer, error) {
	s := newSettings(function, opts)
	sched, err := s.parseSchedule(expr)
	if err != nil {
		return nil, err
	}
	at := now()
	if sched.after(at).IsZero() {
		return nil, bad("%q never fires", expr)
	}
	return start(r, function, sched, s, at)
}

// At makes a timer that calls function once, at t, and then ends. If t has passed, the error Is
// faas.ErrInput. With [CatchUp] there is no such error: the timer fires at once if its record
// in the durable queue says that it has not fired yet.
func At(r *faas.Router, function string, t time.Time, opts ...Option) (*Timer, error) {
	s := newSettings(function, opts)
	sched, at := once{t.Round(0)}, now()
	if s.catchUp == None && sched.after(at).IsZero() {
		return nil, bad("At(%v): the time has passed", t)
	}
	return start(r, function, sched, s, at)
}

// start makes a timer for the scheduled times after at. A time that was in the future when the
// caller read the clock still fires if it has passed by now.
func start(r *faas.Router, function string, sched schedule, s *settings, at time.Time) (*Timer, error) {
	if r == nil {
		return nil, bad("a timer needs a router")
	}
	if err := s.check(r); err != nil {
		return nil, err
	}
	e := &entry{router: r, function: function, set: s, plan: plan{sched, s.catchUp}, state: state{Mark: at}}
	d, err := source.Drive(r, e, source.To(function), source.WithName(s.name), source.WithLog(s.log))
	if err != nil {
		return nil, err
	}
	return &Timer{Driver: d, entry: e}, nil
}

// Next returns when the timer fires next. Zero means that it will not fire again.
func (t *Timer) Next() time.Time { return t.entry.after(now()) }

// Run fires the timer at once, whatever its schedule and Overlap say, and returns the job.
func (t *Timer) Run(ctx context.Context) (*faas.Job[[]byte], error) {
	e, at := t.entry, now()
	payload, err := json.Marshal(Tick{Timer: e.set.name, Scheduled: at, Actual: at, Manual: true})
	if err != nil {
		return nil, err
	}
	if e.set.tenant != "" {
		ctx = faas.WithTenant(ctx, e.set.tenant)
	}
	return e.router.Send(faas.WithOrigin(ctx, e.origin()), e.function, payload)
}

// now returns the wall clock's time. It drops the monotonic reading, which would hide that the
// clock was set.
func now() time.Time { return time.Now().Round(0) }

// entry is the source of a timer's driver.
type entry struct {
	plan

	router   *faas.Router
	function string
	set      *settings
	state    state  // used by Run's goroutine only
	kept     record // up to which time everything was fired
}

func (e *entry) origin() faas.Origin { return faas.Origin{Trigger: "timer", Door: e.set.name} }

// longestNap is the longest time that the timer sleeps before it looks at the wall clock again,
// since the clock may have been set.
const longestNap = time.Minute

// Run implements source.Source.
func (e *entry) Run(ctx context.Context, sink source.Sink) error {
	var sent sync.WaitGroup
	defer sent.Wait()
	if err := e.restore(ctx); err != nil {
		return err
	}
	for {
		wall := now()
		wake, err := e.look(ctx, sink, wall, &sent)
		switch {
		case err != nil:
			return err
		case wake.IsZero():
			return nil
		case !sleep(ctx, min(wake.Sub(wall), longestNap)):
			return ctx.Err()
		}
	}
}

// look fires what is due when the clock shows wall. It returns when to look again.
func (e *entry) look(ctx context.Context, sink source.Sink, wall time.Time, sent *sync.WaitGroup) (wake time.Time, err error) {
	due, after, wake := e.next(e.state, wall)
	e.state = after
	for _, f := range due {
		if err := e.fire(ctx, sink, f, sent); err != nil {
			return wake, err
		}
	}
	return wake, nil
}

// Lag implements source.Source. It is always zero, since nothing waits in a clock.
func (e *entry) Lag(context.Context) (source.Lag, error) { return source.Lag{}, nil }

// fire sends the tick of a firing, unless Overlap says that it is left out.
func (e *entry) fire(ctx context.Context, sink source.Sink, f firing, sent *sync.WaitGroup) error {
	if e.set.catchUp > None {
		e.kept.begin(f.at)
	}
	ok, err := e.clear(ctx, f.at)
	switch {
	case err != nil:
		return err
	case !ok:
		e.state.Missed += f.missed + 1
		return e.keep(ctx, f.at)
	}
	return e.send(ctx, sink, f, sent)
}

func (e *entry) send(ctx context.Context, sink source.Sink, f firing, sent *sync.WaitGroup) error {
	item, err := e.item(f)
	if err != nil {
		return err
	}
	sent.Add(1)
	err = sink.Send(ctx, item, func(err error) {
		defer sent.Done()
		if err != nil {
			e.set.log.Warn("timer's job was not taken", "timer", e.set.name, "scheduled", f.at, "error", err)
		}
		if err != nil && !errors.Is(err, source.ErrRejected) { // a process that starts later fires it
			return
		}
		if err := e.keep(context.WithoutCancel(ctx), f.at); err != nil {
			e.set.log.Warn("timer's record was not written", "timer", e.set.name, "scheduled", f.at, "error", err)
		}
	})
	if err != nil {
		sent.Done()
	}
	return err
}

// item returns the item that the driver gets for a firing. Its ID is the scheduled time. The
// driver makes the job's ID from that and the timer's name.
func (e *entry) item(f firing) (source.Item, error) {
	payload, err := json.Marshal(Tick{Timer: e.set.name, Scheduled: f.at, Actual: now(), Missed: f.missed})
	id := idOf(f.at)
	opts := []faas.SendOption{faas.WithJobLabels(map[string]string{labelTimer: e.set.name, labelScheduled: id})}
	if e.set.jitter > 0 {
		opts = append(opts, faas.WithDue(f.at.Add(e.delay(id))))
	}
	return source.Item{ID: id, Payload: payload, Tenant: e.set.tenant, Origin: e.origin(), Options: opts}, err
}

// idOf returns a scheduled time as a text. The texts sort in the order of the times.
func idOf(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000000000Z") }

// delay returns by how much Jitter delays a firing.
func (e *entry) delay(id string) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(e.set.name + "\x00" + id)) // it never fails
	return time.Duration(h.Sum64() % uint64(e.set.jitter))
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
