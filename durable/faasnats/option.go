package faasnats

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/inproc/faas"
)

// mostInline is the default of WithInline, and its largest value.
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

// WithStream sets the name of the stream. The stream takes the subjects "j.>" and "u.>" of its
// account. The default is FAAS.
func WithStream(name string) Option { return func(s *settings) { s.stream = name } }

// WithReplicas sets how many servers of a cluster keep a copy of the stream: 1 by default, 5 at
// most. With 3 or 5, jobs survive the loss of a server. Opening the queue returns an error if
// the stream is there already with fewer copies.
func WithReplicas(n int) Option { return func(s *settings) { s.replicas = n } }

// WithAckWait sets after how long a silent process is taken for dead, and its jobs go to
// another one: 30 seconds by default, at least one second. A live process sends the server
// three signs of life within that time. All processes on a stream set the same value.
func WithAckWait(d time.Duration) Option { return func(s *settings) { s.ackWait = d } }

// WithMaxStore bounds how many bytes the jobs may take in the stream and in the object store.
// Put returns [faas.ErrOverloaded] in two cases: if it would take more than nine tenths of the
// bound, so that running jobs can still be settled; and if the job's tenant has half of these
// nine tenths while jobs of other tenants wait. Each process counts the tenants' bytes for itself:
// the jobs that it has accepted since it opened the queue, and that it doesn't know to be settled.
//
// A process counts each of its own writes before it sends it. Of the writes of other processes it
// learns when it asks the server, which it does before it refuses a job, and at least once in twice
// the time of [WithAckWait]: once a minute by default. So one process that has the stream to itself
// never accepts a job beyond the nine tenths, however many Puts there are at once. Several processes
// may together accept more: for each of them, what the others have written since it last asked. For
// example, if two processes each write 100 KB a second, one of them may accept jobs when up to 6 MB
// more than nine tenths are taken. In a cluster, a write whose answer was lost may come on top.
//
// Settled jobs take part of the store too. Nothing else bounds their number, and none is removed
// to make room: unless it is purged, each stays for the time that [faas.WithRetention] sets, and at
// least as long as its unique key is taken.
//
// The default, 0, is no bound. Then the first write that a full server refuses may well be a
// settlement, which the router repeats until there is room. Package embed sets the bound to
// what its server may store.
func WithMaxStore(bytes int64) Option { return func(s *settings) { s.maxStore = bytes } }

// WithInline sets the size, in bytes, up to which a payload or an output is stored in its job's
// record: 256 KiB by default and at most. A larger one is written to an object store beside the
// stream, in a bucket named like the stream with the suffix "_objects". It is written before
// the record, and retries don't write it again. An object that no record names, because its
// process died or the record has expired, is removed after an hour. Processes with different
// sizes read each other's jobs.
func WithInline(bytes int) Option { return func(s *settings) { s.inline = bytes } }

// WithLogger sets the logger for errors that no method returns, for example a record that does
// not decode, or a server that does not answer in the background. By default nothing is logged.
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
