package faasnats

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/inproc/faas"
)

// Processes announce their writes to each other by plain NATS messages. These may be lost, so a
// process that waits for a write also looks at the stream now and then.

// signal returns the subject of such a message.
func (q *Queue) signal(parts ...string) string {
	return "faas." + q.name + "." + strings.Join(parts, ".")
}

// signalChange announces that a job's record was written: with the word "held" if the job's
// holder has written it, and "swap" otherwise.
func (q *Queue) signalChange(id uuid.UUID, word string) {
	_ = q.conn.Publish(q.signal("j", idToken(id), word), nil) // a process that misses this finds the change when it looks
}

// listen subscribes to the announcements of other processes.
func (q *Queue) listen() error {
	swaps, err := q.conn.Subscribe(q.signal("j", "*", "swap"), func(msg *nats.Msg) {
		if id, ok := signaledJob(msg.Subject); ok {
			q.changedElsewhere(id)
		}
	})
	if err != nil {
		return q.failed(context.Background(), "subscribe", err)
	}
	made, err := q.conn.Subscribe(q.signal("c", "*", "*"), func(*nats.Msg) { q.look() })
	if err != nil {
		return q.failed(context.Background(), "subscribe", err)
	}
	backups, err := q.conn.Subscribe(q.signal("backup"), func(*nats.Msg) { q.objects.hold() })
	if err != nil {
		return q.failed(context.Background(), "subscribe", err)
	}
	others, err := q.peers.listen(q.answerPeers)
	q.watchers = append(others, swaps, made, backups)
	return err
}

func signaledJob(subject string) (uuid.UUID, bool) {
	parts := strings.Split(subject, ".")
	id, err := uuid.Parse(parts[len(parts)-2])
	return id, err == nil
}

// longestLook is the longest time between two looks of a Watch.
const longestLook = 15 * time.Second

// Watch implements [faas.JobQueue]. Other processes send a message for each of their writes. If
// the message is lost, Watch sees the write within 15 seconds.
func (q *Queue) Watch(ctx context.Context, id uuid.UUID, revision uint64) (faas.JobRecord, error) {
	if err := q.usable(ctx); err != nil {
		return faas.JobRecord{}, err
	}
	told := make(chan *nats.Msg, 1)
	sub, err := q.conn.ChanSubscribe(q.signal("j", idToken(id), "*"), told)
	if err != nil {
		return faas.JobRecord{}, q.failed(ctx, "watch a job", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be gone
	for {
		s, err := q.find(ctx, id)
		switch {
		case err == nil && s.seq != revision:
			return q.Get(ctx, id)
		case err != nil && (ctx.Err() != nil || q.ctx.Err() != nil || isFinal(err)):
			return faas.JobRecord{}, err
		}
		q.awaitWord(ctx, told, s)
	}
}

// isFinal reports whether an error of Get means that there is nothing to wait for.
func isFinal(err error) bool {
	return errors.Is(err, faas.ErrNotFound) || errors.Is(err, faas.ErrForgotten) || errors.Is(err, faas.ErrClosed)
}

// awaitWord waits for an announcement, or until it is time to look at the record.
func (q *Queue) awaitWord(ctx context.Context, told <-chan *nats.Msg, s *stored) {
	wait := longestLook
	if s == nil { // the server did not answer
		wait = time.Second
	} else if at := whenOf(&s.rec); !s.rec.State.IsSettled() && time.Until(at) > 0 { // a schedule is to write the record then, without an announcement
		wait = min(wait, time.Until(at)+time.Second)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-told:
	case <-timer.C:
	case <-ctx.Done():
	case <-q.ctx.Done():
	}
}
