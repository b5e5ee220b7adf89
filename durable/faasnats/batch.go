package faasnats

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// batch returns up to n records whose subject matches and whose sequence is at least from. It
// also returns how many more records match, which the server counts in its index, without
// reading them.
func (q *Queue) batch(ctx context.Context, subject string, from uint64, n int) (found []*stored, more uint64, err error) {
	more, err = direct(ctx, q.conn, q.name, subject, from, n, func(msg *nats.Msg, seq uint64) {
		s, err := decode(msg.Header.Get(jetstream.SubjectHeader), msg.Header, msg.Data, seq)
		if err != nil {
			q.log.Error("faasnats: a job can't be read", "error", err)
			return
		}
		found = append(found, s)
	})
	return found, more, err
}
