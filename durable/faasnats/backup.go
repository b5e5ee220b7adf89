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

// A backup has two parts: first the stream of the records, then the stream of the object store.
// Each part begins with its head, a line of JSON. The server's snapshot of the stream and its
// consumers follows, a tar archive that is compressed by S2. It is cut into frames: a length of
// four bytes, big endian, and as many bytes. An empty frame ends the part.
//
// The records come first because an object is written before its record: so the second snapshot
// has all objects that the records of the first one name. To keep it so, Backup makes all
// processes stop removing objects meanwhile. A backup of format 1 has only the records, without
// frames.
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
	// backupChunk is the size of the messages in which the server sends a snapshot.
	backupChunk = 128 << 10
	// backupDelay is how long the first announcement may take to reach all processes.
	backupDelay = time.Second
)

// Backup writes a copy of all jobs to w, as they are at one moment: their records, their large
// payloads and outputs, and which jobs have been delivered. Jobs are accepted and run
// meanwhile. [Restore] reads the copy.
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

// tellOfBackup announces the backup, again and again until ctx ends. A process that gets an
// announcement removes no objects for holdTime.
func (q *Queue) tellOfBackup(ctx context.Context) {
	for {
		_ = q.conn.Publish(q.signal("backup"), nil) // if this is lost, the next announcement is in time
		if !pause(ctx, holdTime/3) {
			return
		}
	}
}

// snapshot writes one part of a backup.
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

// ask sends a request about a snapshot, and returns the answer.
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

// copyChunks writes the messages of a snapshot as frames. It acknowledges each, and the server
// sends the next.
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
