package faasnats

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// batchRequest is a direct get of several messages, as ADR-31 of NATS describes it.
type batchRequest struct {
	Seq      uint64 `json:"seq"`
	NextFor  string `json:"next_by_subj"`
	Batch    int    `json:"batch"`
	MaxBytes int    `json:"max_bytes"`
}

// batchBytes bounds an answer.
const batchBytes = 4 << 20

// batch returns up to n records whose subject matches, from a sequence on, and how many
// more there are. The server counts them in its index.
func (q *Queue) batch(ctx context.Context, subject string, from uint64, n int) (found []*stored, more uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	inbox := q.conn.NewInbox()
	sub, err := q.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be gone
	req, err := json.Marshal(batchRequest{Seq: max(from, 1), NextFor: subject, Batch: n, MaxBytes: batchBytes})
	if err != nil {
		return nil, 0, err
	}
	if err := q.conn.PublishRequest("$JS.API.DIRECT.GET."+q.name, inbox, req); err != nil {
		return nil, 0, err
	}
	return q.readBatch(ctx, sub)
}

// readBatch reads the messages of an answer.
func (q *Queue) readBatch(ctx context.Context, sub *nats.Subscription) (found []*stored, more uint64, err error) {
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, 0, err
		}
		if len(msg.Data) == 0 && msg.Header.Get("Status") != "" {
			return endOfBatch(msg, found)
		}
		seq, err := strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
		if err != nil {
			return nil, 0, fmt.Errorf("faasnats: an answer without a sequence: %w", err)
		}
		s, err := decode(msg.Header.Get(jetstream.SubjectHeader), msg.Header, msg.Data, seq)
		if err != nil {
			q.log.Error("faasnats: a job can't be read", "error", err)
			continue
		}
		found = append(found, s)
	}
}

// endOfBatch reads the message that ends an answer.
func endOfBatch(msg *nats.Msg, found []*stored) ([]*stored, uint64, error) {
	switch status := msg.Header.Get("Status"); status {
	case "204":
		more, err := strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64)
		return found, more, err
	case "404":
		return nil, 0, nil
	default:
		return nil, 0, fmt.Errorf("faasnats: the server answers %s %s", status, msg.Header.Get("Description"))
	}
}
