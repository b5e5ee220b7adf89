package faasnats

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"
)

// A backup has two parts: the stream of the records, and the stream of the object store. A
// part is a line of JSON, its head, and then the server's snapshot of the stream with its
// consumers, a tar archive that is compressed by S2, in frames: a length of four bytes, big
// endian, and as many bytes. A frame without bytes ends the part.
//
// The records come first. An object is written before its record; so the second snapshot
// has all objects that the first one needs, if none is removed meanwhile: Backup tells all
// processes to remove none. A backup of format 1 has records only, without frames.
type backupHead struct {
	Format string          `json:"faasBackup"`
	Stream string          `json:"stream"`
	Config json.RawMessage `json:"config"`
	State  json.RawMessage `json:"state"`
}

// snapshotAnswer is the server's answer to a request about a snapshot.
type snapshotAnswer struct {
	Config  json.RawMessage `json:"config"`
	State   json.RawMessage `json:"state"`
	Deliver string          `json:"deliver_subject"`
	Error   *struct {
		Description string `json:"description"`
	} `json:"error"`
}

const (
	// backupFormat is the format that Backup writes.
	backupFormat = "2"
	// backupChunk is the size of a message of a snapshot.
	backupChunk = 128 << 10
	// backupDelay is what the first word needs to reach all processes.
	backupDelay = time.Second
)

// Backup writes all jobs to w as they are at one moment, their large payloads and outputs,
// and what consumers have had. Jobs are accepted and run meanwhile. [Restore] reads it.
func (q *Queue) Backup(ctx context.Context, w io.Writer) error {
	if err := q.usable(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(q.ctx, cancel)()
	told := make(chan struct{})
	go func() { defer close(told); q.tellOfBackup(ctx) }()
	defer func() { cancel(); <-told }()
	if !pause(ctx, backupDelay) {
		return q.failed(ctx, "back up", context.Canceled)
	}
	for _, stream := range []string{q.name, "OBJ_" + q.objects.bucket} {
		if err := q.snapshot(ctx, stream, w); err != nil {
			return err
		}
	}
	return nil
}

// tellOfBackup tells all processes to keep objects, until ctx ends.
func (q *Queue) tellOfBackup(ctx context.Context) {
	for {
		_ = q.conn.Publish(q.signal("backup"), nil) // the next word is in time
		if !pause(ctx, holdTime/3) {
			return
		}
	}
}

// snapshot writes a part of a backup.
func (q *Queue) snapshot(ctx context.Context, stream string, w io.Writer) error {
	inbox := q.conn.NewInbox()
	chunks, err := q.conn.SubscribeSync(inbox)
	if err != nil {
		return q.failed(ctx, "back up", err)
	}
	defer func() { _ = chunks.Unsubscribe() }() // the connection may be gone
	req := map[string]any{"deliver_subject": inbox, "chunk_size": backupChunk}
	answer, err := ask(ctx, q.conn, "$JS.API.STREAM.SNAPSHOT."+stream, req)
	if err != nil {
		return q.failed(ctx, "back up", err)
	}
	head := backupHead{Format: backupFormat, Stream: stream, Config: answer.Config, State: answer.State}
	if err := json.NewEncoder(w).Encode(head); err != nil {
		return fmt.Errorf("faasnats: back up: %w", err)
	}
	return q.copyChunks(ctx, chunks, w)
}

// ask makes a request about a snapshot.
func ask(ctx context.Context, conn *nats.Conn, subject string, req any) (*snapshotAnswer, error) {
	data, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	msg, err := conn.RequestWithContext(ctx, subject, data)
	if err != nil {
		return nil, err
	}
	return readAnswer(msg.Data)
}

func readAnswer(data []byte) (*snapshotAnswer, error) {
	var answer snapshotAnswer
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, err
	}
	if answer.Error != nil {
		return nil, errors.New(answer.Error.Description)
	}
	return &answer, nil
}

// copyChunks writes a snapshot, and tells the server of each chunk that it may go on.
func (q *Queue) copyChunks(ctx context.Context, chunks *nats.Subscription, w io.Writer) error {
	for {
		msg, err := chunks.NextMsgWithContext(ctx)
		if err != nil {
			return q.failed(ctx, "back up", err)
		}
		if len(msg.Data) == 0 {
			if status := msg.Header.Get("Status"); status != "" && status != "204" {
				return fmt.Errorf("faasnats: back up: the server answers %s %s", status, msg.Header.Get("Description"))
			}
			return writeFrame(w, nil)
		}
		if err := writeFrame(w, msg.Data); err != nil {
			return err
		}
		if msg.Reply != "" {
			if err := q.conn.Publish(msg.Reply, nil); err != nil {
				return q.failed(ctx, "back up", err)
			}
		}
	}
}

func writeFrame(w io.Writer, data []byte) error {
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
	if _, err := w.Write(frame); err != nil {
		return fmt.Errorf("faasnats: back up: %w", err)
	}
	return nil
}
