package faasnats

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/inproc/faas"
)

// mostInline is the largest part of a record that is not an object, by default.
const mostInline = 256 << 10

// Option is an option of [Open] and [OpenConn]. Nil options are ignored.
type Option func(s *settings)

type settings struct {
	stream   string
	replicas int
	ackWait  time.Duration
	maxStore int64
	inline   int
	log      *slog.Logger
}

// WithStream sets the name of the stream, which has the subjects "j.>" and "u.>" of its
// account. Default FAAS.
func WithStream(name string) Option { return func(s *settings) { s.stream = name } }

// WithReplicas sets how many servers of a cluster keep a copy of the stream: 1 by default; 3 or
// 5 let jobs survive the loss of a server. If there is a stream with fewer, opening the queue
// returns an error.
func WithReplicas(n int) Option { return func(s *settings) { s.replicas = n } }

// WithAckWait sets after which time the jobs of a process that has died go to another:
// 30 seconds by default, at least one. The process tells the server three times within
// that it lives. All processes set the same.
func WithAckWait(d time.Duration) Option { return func(s *settings) { s.ackWait = d } }

// WithMaxStore bounds what the jobs may take in the stream and the object store. Put refuses a
// job with [faas.ErrOverloaded] once nine tenths are taken, so that what runs can still be
// settled, and a job of a tenant that has half of that while jobs of others wait. The tenants
// are counted by each process for itself: what it has accepted since it has opened the queue, and
// does not know to be settled.
// 0, the default, is no bound: then the first write that the server refuses is as likely a
// settlement, which the router repeats until there is room. Package embed sets it to what
// its server may store.
func WithMaxStore(bytes int64) Option { return func(s *settings) { s.maxStore = bytes } }

// WithInline sets up to which size a payload or an output stands in its job's record: 256 KiB
// by default and at most. A larger one is in the object store beside the stream, whose bucket
// has the stream's name and "_objects": it is written before the record and is not written
// again by retries. What is left there by a process that died, or by a record that has
// expired, is removed after an hour. A process finds what another has put, whatever its own
// size is.
func WithInline(bytes int) Option { return func(s *settings) { s.inline = bytes } }

// WithLogger sets where the queue tells what it can't return: a record that does not
// decode, a server that does not answer. Default: nowhere.
func WithLogger(log *slog.Logger) Option {
	return func(s *settings) {
		if log != nil {
			s.log = log
		}
	}
}

func settingsOf(opts []Option) (settings, error) {
	s := settings{stream: "FAAS", replicas: 1, ackWait: 30 * time.Second, inline: mostInline, log: slog.New(slog.DiscardHandler)}
	for _, o := range opts {
		if o != nil {
			o(&s)
		}
	}
	return s, s.check()
}

func (s *settings) check() error {
	switch {
	case s.stream == "":
		return fmt.Errorf("%w: faasnats: the name of the stream is empty", faas.ErrInput)
	case s.replicas < 1 || s.replicas > 5:
		return fmt.Errorf("%w: faasnats: WithReplicas(%d): 1 to 5", faas.ErrInput, s.replicas)
	case s.maxStore < 0:
		return fmt.Errorf("%w: faasnats: WithMaxStore(%d): can't be negative", faas.ErrInput, s.maxStore)
	case s.inline < 0 || s.inline > mostInline:
		return fmt.Errorf("%w: faasnats: WithInline(%d): 0 to %d", faas.ErrInput, s.inline, mostInline)
	case s.ackWait < time.Second:
		return fmt.Errorf("%w: faasnats: WithAckWait(%v): at least a second", faas.ErrInput, s.ackWait)
	}
	return nil
}
