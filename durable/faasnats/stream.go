package faasnats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The oldest version of the server that has message TTLs, and schedules that a write can
// remove.
const oldestMajor, oldestMinor = 2, 15

// minPayload is the smallest max_payload of a server that is accepted: a record with a payload
// and an output of 256 KiB each, and its headers, fit into a megabyte.
const minPayload = 1 << 20

// openStream returns the stream, and makes it if there is none.
func openStream(ctx context.Context, conn *nats.Conn, s *settings) (jetstream.JetStream, jetstream.Stream, error) {
	if err := checkServer(conn); err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, nil, fmt.Errorf("faasnats: %w", err)
	}
	stream, err := js.Stream(ctx, s.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, streamConfig(s))
	}
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
		return nil, nil, fmt.Errorf("faasnats: the server %s has no JetStream for this account; switch it on: %w", conn.ConnectedUrl(), err)
	case err != nil:
		return nil, nil, fmt.Errorf("faasnats: open the stream %s: %w", s.stream, err)
	}
	c := stream.CachedInfo().Config
	if err := checkStream(&c, s); err != nil {
		return nil, nil, err
	}
	return js, stream, migrate(ctx, js, c, s)
}

// streamConfig returns the configuration of the stream. It sets no limits: at a limit, a stream
// that has schedules deletes its oldest messages, and those are accepted jobs. The size is
// bounded by the server's store, and by WithMaxStore.
func streamConfig(s *settings) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: s.stream, Description: "jobs of github.com/inproc/faas", Subjects: []string{"j.>", "u.>"},
		Storage: jetstream.FileStorage, Replicas: s.replicas, Retention: jetstream.LimitsPolicy, MaxMsgsPerSubject: 1,
		AllowDirect: true, AllowMsgTTL: true, AllowMsgSchedules: true, Metadata: map[string]string{formatKey: strconv.Itoa(format)},
	}
}

func checkServer(conn *nats.Conn) error {
	major, minor, ok := version(conn.ConnectedServerVersion())
	if !ok || major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		return fmt.Errorf("faasnats: the server %s has version %q; 2.15 or later is needed, which has schedules that a write removes",
			conn.ConnectedUrl(), conn.ConnectedServerVersion())
	}
	if n := conn.MaxPayload(); n < minPayload {
		return fmt.Errorf("faasnats: the server %s takes messages of %d bytes; set max_payload to at least %d, better 8 MB", conn.ConnectedUrl(), n, minPayload)
	}
	return nil
}

func version(text string) (major, minor int, ok bool) {
	parts := strings.SplitN(text, ".", 3)
	if len(parts) < 3 {
		return 0, 0, false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return major, minor, err1 == nil && err2 == nil
}

// checkStream returns an error if an existing stream can't be used.
func checkStream(c *jetstream.StreamConfig, s *settings) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("faasnats: the stream %s %s", c.Name, fmt.Sprintf(format, args...))
	}
	switch {
	case c.MaxBytes > 0 || c.MaxMsgs > 0 || c.MaxAge > 0:
		return bad("has limits (MaxBytes %d, MaxMsgs %d, MaxAge %v): when it is full it deletes jobs that were accepted; remove them", c.MaxBytes, c.MaxMsgs, c.MaxAge)
	case c.Replicas < s.replicas:
		return bad("has %d replicas, and %d are asked for; set them with `nats stream edit`", c.Replicas, s.replicas)
	case c.MaxMsgsPerSubject != 1 || !c.AllowDirect || !c.AllowMsgTTL || !c.AllowMsgSchedules || c.Retention != jetstream.LimitsPolicy:
		return bad("was not made by this package: it needs limits retention, one message per subject, direct gets, TTLs and schedules")
	case c.Storage != jetstream.FileStorage:
		return bad("is kept in memory")
	}
	_, err := formatOf(c)
	return err
}

// findConsumers lists the consumers of the stream, and opens those that this process doesn't
// know yet.
func (q *Queue) findConsumers(ctx context.Context) error {
	names := q.stream.ConsumerNames(ctx)
	for name := range names.Name() {
		p, ok := placeOfConsumer(name)
		if !ok || q.knows(p) {
			continue
		}
		if err := q.openConsumer(ctx, p); err != nil {
			return err
		}
	}
	if err := names.Err(); err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
		return fmt.Errorf("faasnats: list the consumers of the stream %s: %w", q.name, err)
	}
	return nil
}

func (q *Queue) knows(p place) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.consumers[p] != nil
}

// openConsumer makes the consumer of a place (a bucket or partition of a function). It is called
// before the first job of the place is stored: a consumer that is made later delivers all settled
// jobs of the place first.
func (q *Queue) openConsumer(ctx context.Context, p place) error {
	if q.knows(p) {
		return nil
	}
	most := 10_000
	if p.isOrdered() {
		most = 1
	}
	c, err := q.stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: p.consumer(), FilterSubject: p.filter(), DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: q.wait, MaxDeliver: -1, MaxAckPending: most,
	})
	if err != nil {
		return q.failed(ctx, "make the consumer "+p.consumer(), err)
	}
	q.addConsumer(p, c)
	return nil
}

// addConsumer notes a consumer. If its function is hosted here, fetching its jobs begins.
func (q *Queue) addConsumer(p place, c jetstream.Consumer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.consumers[p] == nil {
		q.consumers[p] = c
		if h := q.hosted[p.function]; h != nil {
			q.pull(h, p, c)
		}
		_ = q.conn.Publish(q.signal("c", token(p.function), p.bucket), nil) // a process that misses it finds the consumer in its next look
	}
}

// busyConsumers is how many consumers may get acknowledgments within a second before a warning
// is logged.
const busyConsumers = 100

// store publishes a message, for which the store need not have room, and returns its sequence. The
// error Is errFence if the fence of
// the message refuses it: the job has been changed.
func (q *Queue) store(ctx context.Context, msg *nats.Msg) (uint64, error) {
	n := storedSize(msg)
	q.room.begin(n)
	seq, err := publish(ctx, q.js, msg)
	q.room.end(n, outcomeOf(err))
	return seq, err
}

// last returns the newest record under a subject, which matches the records of one job.
func (q *Queue) last(ctx context.Context, subject string) (*stored, error) {
	m, err := q.stream.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return nil, err
	}
	return decode(m.Subject, m.Header, m.Data, m.Sequence)
}

// sweep removes the records of a job that are older than its last one. It returns no error
// because the job doesn't depend on it: an old record that stays is found to be out of date
// when it is delivered.
func (q *Queue) sweep(ctx context.Context, p place, rec *stored) {
	err := q.stream.Purge(ctx, jetstream.WithPurgeSubject(p.of(rec.rec.ID)), jetstream.WithPurgeSequence(rec.seq))
	if err != nil && q.ctx.Err() == nil {
		q.log.Debug("faasnats: old records of a job stay for now", "job", rec.rec.ID, "error", err)
	}
}

// background returns a context for a request that is bounded by no caller's context. The
// request may go on while Close runs, since Close waits for it.
func background() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), requestTimeout)
}
