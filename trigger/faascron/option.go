package faascron

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/source"
)

// Option is an option of [Every] and [At]. Nil options are ignored.
type Option func(s *settings)

// settings are what the options of a timer set.
type settings struct {
	name    string
	zone    string
	strict  bool
	overlap Overlapping
	jitter  time.Duration
	catchUp Missed
	tenant  string
	log     *slog.Logger
}

// Name names the timer: in Tick, in Info, and in the IDs of its jobs. So two timers of a service have
// different names, and a timer has the same in all processes. Default: the name of the function.
func Name(name string) Option { return func(s *settings) { s.name = name } }

// In sets the time zone, by its name in the IANA database; UTC by default. A system without that database needs an
// import of time/tzdata in the program.
func In(zone string) Option { return func(s *settings) { s.zone = zone } }

// EventBridge has the timer go by the rule of Amazon EventBridge Scheduler (User Guide, "Daylight savings
// time"): a time that the zone's clock leaves out does not fire, and one that it shows twice fires the first time; also for entries
// with *.
func EventBridge() Option { return func(s *settings) { s.strict = true } }

// Overlap sets what becomes of a firing while jobs of earlier ones have not ended: those that wait for another attempt
// are among them. Default [Allow].
func Overlap(o Overlapping) Option { return func(s *settings) { s.overlap = o } }

// Jitter delays each firing by a part of d, which is the same in all processes and depends on the timer's name
// and the scheduled time, so that many timers of one expression do not fire at once.
func Jitter(d time.Duration) Option { return func(s *settings) { s.jitter = d } }

// CatchUp sets what becomes of the scheduled times that were missed. Default [None]. With [Last] and [All] the
// timer keeps what it has fired last in a record of the queue of jobs, which must be durable
// ([source.Durable]), so that it also catches up on what was missed while no process ran.
func CatchUp(m Missed) Option { return func(s *settings) { s.catchUp = m } }

// Tenant sets for which tenant the jobs run.
func Tenant(name string) Option { return func(s *settings) { s.tenant = name } }

// Log sets where the timer tells what goes wrong. Default slog.Default(). Nil: nowhere.
func Log(l *slog.Logger) Option {
	return func(s *settings) {
		if s.log = l; l == nil {
			s.log = slog.New(slog.DiscardHandler)
		}
	}
}

func newSettings(function string, opts []Option) *settings {
	s := &settings{name: function, log: slog.Default()}
	for _, o := range opts {
		if o != nil {
			o(s)
		}
	}
	return s
}

// check returns what can't work, and the cure.
func (s *settings) check(r *faas.Router) error {
	switch {
	case s.name == "":
		return bad("the timer has no name")
	case s.jitter < 0:
		return bad("Jitter(%v): can't be negative", s.jitter)
	case s.catchUp < 0:
		return bad("CatchUp(All(%d)): one at least", s.catchUp)
	case s.overlap > Replace:
		return bad("Overlap(%d): there are Allow, Forbid and Replace", s.overlap)
	case s.catchUp > None && !source.Durable(r.JobQueue()):
		return bad("CatchUp needs a durable queue of jobs: what is in memory is gone with the process, and nothing is known then of what was missed; see faas.WithJobs")
	}
	return nil
}

// parseSchedule returns the schedule of an expression.
func (s *settings) parseSchedule(text string) (schedule, error) {
	if d, ok := strings.CutPrefix(strings.TrimSpace(text), "@every "); ok {
		step, err := time.ParseDuration(strings.TrimSpace(d))
		if err != nil || step < time.Millisecond {
			return nil, bad("%q: @every takes a duration of at least a millisecond, such as @every 90s", text)
		}
		return every{step}, nil
	}
	zone, err := time.LoadLocation(s.zone)
	if err != nil {
		return nil, bad("In(%q): %v; the system, or an import of time/tzdata, must have the zone", s.zone, err)
	}
	e, err := parse(text)
	if err != nil {
		return nil, bad("%q: %v", text, err)
	}
	return &cron{expression: e, zone: zone, strict: s.strict}, nil
}

func bad(format string, args ...any) error {
	return fmt.Errorf("faascron: %w: "+format, append([]any{faas.ErrInput}, args...)...)
}
