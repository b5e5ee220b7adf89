package faasnats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// This file has the requests to the server that nats.go has no functions for, and publish.

// requestTimeout bounds requests that are made without a caller's deadline.
const requestTimeout = 5 * time.Second

// batchRequest asks for several messages at once by a direct get, see ADR-31 of NATS.
type batchRequest struct {
	Seq      uint64 `json:"seq"`
	NextFor  string `json:"next_by_subj"`
	Batch    int    `json:"batch"`
	MaxBytes int    `json:"max_bytes"`
}

// batchBytes is the most bytes that an answer may have.
const batchBytes = 4 << 20

// direct calls take for up to n messages of a stream whose subject matches and whose sequence is
// at least from. It returns how many more match.
func direct(
	ctx context.Context, conn *nats.Conn, stream, subject string, from uint64, n int, take func(msg *nats.Msg, seq uint64),
) (more uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	inbox := conn.NewInbox()
	sub, err := conn.SubscribeSync(inbox)
	if err != nil {
		return 0, err
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be gone
	req, err := json.Marshal(batchRequest{Seq: max(from, 1), NextFor: subject, Batch: n, MaxBytes: batchBytes})
	if err != nil {
		return 0, err
	}
	if err := conn.PublishRequest("$JS.API.DIRECT.GET."+stream, inbox, req); err != nil {
		return 0, err
	}
	return readDirect(ctx, sub, take)
}

// readDirect calls take for each message of an answer.
func readDirect(ctx context.Context, sub *nats.Subscription, take func(msg *nats.Msg, seq uint64)) (more uint64, err error) {
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return 0, err
		}
		if len(msg.Data) == 0 && msg.Header.Get("Status") != "" {
			return endOfBatch(msg)
		}
		seq, err := strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("faasnats: an answer without a sequence: %w", err)
		}
		take(msg, seq)
	}
}

// endOfBatch returns how many more messages match, from the message that ends an answer.
func endOfBatch(msg *nats.Msg) (more uint64, err error) {
	switch status := msg.Header.Get("Status"); status {
	case "204":
		return strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64)
	case "404":
		return 0, nil
	default:
		return 0, fmt.Errorf("faasnats: the server answers %s %s", status, msg.Header.Get("Description"))
	}
}

// publish stores a message, and returns its sequence. The error Is errFence if the message's
// fence refuses it, errFull if the store is full, and errStream if the message names another stream.
func publish(ctx context.Context, js jetstream.JetStream, msg *nats.Msg) (uint64, error) {
	ack, err := js.PublishMsg(ctx, msg)
	if err == nil {
		return ack.Sequence, nil
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		switch int(api.ErrorCode) {
		case int(jetstream.JSErrCodeStreamWrongLastSequence), int(jetstream.JSErrCodeStreamWrongLastSequenceConstant):
			return 0, errFence
		case insufficientResources, storageExceeded:
			return 0, errFull
		case otherStream:
			return 0, errStream
		}
	}
	return 0, err
}

// Error codes of the server that nats.go has no names for.
const (
	insufficientResources = 10023
	storageExceeded       = 10047
	otherStream           = 10060
)

var (
	errFence  = errors.New("the job has been changed")
	errFull   = errors.New("the server's store is full")
	errStream = errors.New("the message is for another stream")
)
