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

// Name names the timer. The name is in Tick and Info, and in the IDs of the timer's jobs. So
// two timers of a service need different names, and a timer has the same name in all processes.
// The default is the name of the function.
func Name(name string) Option { return func(s *settings) { s.name = name } }

// In sets the time zone, by its name in the IANA database. The default is UTC. On a system
// without that database, the program must import time/tzdata.
func In(zone string) Option { return func(s *settings) { s.zone = zone } }

// EventBridge makes the timer follow the rule of Amazon EventBridge Scheduler (User Guide,
// "Daylight savings time"). A time that the zone's clock skips does not fire. A time that the
// clock shows twice fires only the first time. Both hold for entries with * too.
func EventBridge() Option { return func(s *settings) { s.strict = true } }

// Overlap sets what happens to a firing while a job of an earlier firing has not ended. A job
// that waits for another attempt has not ended. The default is [Allow].
func Overlap(o Overlapping) Option { return func(s *settings) { s.overlap = o } }

// Jitter delays each firing by a time between zero and d, so that many timers with the same
// expression do not fire at once. The delay depends on the timer's name and the scheduled time,
// and so is the same in all processes.
func Jitter(d time.Duration) Option { return func(s *settings) { s.jitter = d } }

// CatchUp sets what happens to scheduled times that were missed. The default is [None]. With
// [Last] and [All], the timer keeps its last fired time in a record in the queue of jobs, which
// must be durable ([source.Durable]). So it also catches up on times that were missed while no
// process ran.
func CatchUp(m Missed) Option { return func(s *settings) { s.catchUp = m } }

// Tenant sets the tenant of the timer's jobs.
func Tenant(name string) Option { return func(s *settings) { s.tenant = name } }

// Log sets the logger for jobs and records that could not be written. The default is
// slog.Default(). Nil means that nothing is logged.
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

// check returns an error that says how to mend the settings, if they can't work.
func (s *settings) check(r *faas.Router) error {
	switch {
	case s.name == "":
		return bad("the timer has no name")
	case s.jitter < 0:
		return bad("Jitter(%v): can't be negative", s.jitter)
	case s.catchUp < 0:
		return bad("CatchUp(All(%d)): the number must be at least 1", s.catchUp)
	case s.overlap > Replace:
		return bad("Overlap(%d): it must be Allow, Forbid or Replace", s.overlap)
	case s.catchUp > None && !source.Durable(r.JobQueue()):
		return bad("CatchUp needs a durable queue of jobs: a queue in memory ends with the process, and with it the record of the last time that was fired; see faas.WithJobs")
	}
	return nil
}

// parseSchedule returns the schedule that an expression describes.
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
