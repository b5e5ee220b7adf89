package faasnats

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// mostAsks is how often one Put asks the server how much is stored while other writes are under
// way, which the answer may have or not.
const mostAsks = 5

// makeRoom counts the n bytes that Put is about to write, or returns errFull if there is no room for
// them. They count as size bytes for the tenant, see room.settle. After makeRoom has returned nil,
// the caller must call room.end.
func (q *Queue) makeRoom(ctx context.Context, tenant string, size, n int64) error {
	if q.room.most == 0 {
		return nil
	}
	for range mostAsks {
		ok, sure := q.room.take(tenant, size, n)
		switch {
		case ok:
			return nil
		case sure:
			return errFull
		}
		if err := q.lookAtRoom(ctx); err != nil {
			return err
		}
		q.room.share()
	}
	if ok, _ := q.room.take(tenant, size, n); !ok {
		return errFull
	}
	return nil
}

// lookAtRoom asks the server how much is stored.
func (q *Queue) lookAtRoom(ctx context.Context) error {
	if q.room.most == 0 {
		return nil
	}
	select {
	case q.room.asking <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-q.room.asking }()
	k := q.room.known()
	if k.unsure > 0 {
		if err := errors.Join(passed(ctx, q.js, sweepSubject), passed(ctx, q.js, q.objects.about("none"))); err != nil {
			return err
		}
	}
	records, err := q.stream.Info(ctx)
	if err != nil {
		return err
	}
	objects, err := q.objects.stream.Info(ctx)
	if err != nil {
		return err
	}
	q.room.set(records.State.Bytes+objects.State.Bytes, k)
	return nil
}

// passed returns nil once a stream has processed all messages that this process has sent to it
// before, also those whose answer was lost. It sends a message that the stream refuses, and waits
// for the refusal: a server that is not in a cluster processes the messages of a connection in
// their order. In a cluster, the refusal may come before the last of these messages are counted.
func passed(ctx context.Context, js jetstream.JetStream, subject string) error {
	msg := nats.NewMsg(subject)
	msg.Header.Set(jetstream.ExpectedStreamHeader, "=") // no stream has this name
	_, err := publish(ctx, js, msg)
	if errors.Is(err, errStream) {
		return nil
	}
	return err
}
