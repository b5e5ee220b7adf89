package faasnats

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go"
)

// A backup is a line of JSON, its head, and then the server's snapshot of the stream with
// its consumers: a tar archive, compressed by S2.
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

// backupChunk is the size of a message of a snapshot.
const backupChunk = 128 << 10

// Backup writes all jobs to w as they are at one moment, and what consumers have had. Jobs
// are accepted and run meanwhile. [Restore] reads it.
func (q *Queue) Backup(ctx context.Context, w io.Writer) error {
	if err := q.usable(ctx); err != nil {
		return err
	}
	inbox := q.conn.NewInbox()
	chunks, err := q.conn.SubscribeSync(inbox)
	if err != nil {
		return q.failed(ctx, "back up", err)
	}
	defer func() { _ = chunks.Unsubscribe() }() // the connection may be gone
	req := map[string]any{"deliver_subject": inbox, "chunk_size": backupChunk}
	answer, err := ask(ctx, q.conn, "$JS.API.STREAM.SNAPSHOT."+q.name, req)
	if err != nil {
		return q.failed(ctx, "back up", err)
	}
	head := backupHead{Format: format, Stream: q.name, Config: answer.Config, State: answer.State}
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
			return nil
		}
		if _, err := w.Write(msg.Data); err != nil {
			return fmt.Errorf("faasnats: back up: %w", err)
		}
		if msg.Reply != "" {
			if err := q.conn.Publish(msg.Reply, nil); err != nil {
				return q.failed(ctx, "back up", err)
			}
		}
	}
}

// Restore makes the stream of a backup on a server that has none of its name.
func Restore(ctx context.Context, conn *nats.Conn, r io.Reader) error {
	in := bufio.NewReader(r)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("faasnats: restore: the head of the backup: %w", err)
	}
	var head backupHead
	if err := json.Unmarshal(line, &head); err != nil {
		return fmt.Errorf("faasnats: restore: the head of the backup: %w", err)
	}
	if head.Format != format || head.Stream == "" {
		return fmt.Errorf("faasnats: restore: a backup of the format %q, and this release reads %q", head.Format, format)
	}
	req := map[string]any{"config": head.Config, "state": head.State}
	answer, err := ask(ctx, conn, "$JS.API.STREAM.RESTORE."+head.Stream, req)
	if err == nil {
		err = sendChunks(ctx, conn, answer.Deliver, in)
	}
	if err != nil {
		return fmt.Errorf("faasnats: restore the stream %s: %w", head.Stream, err)
	}
	return nil
}

// sendChunks sends a snapshot. The server answers each chunk, and the end with the stream.
func sendChunks(ctx context.Context, conn *nats.Conn, to string, in io.Reader) error {
	chunk := make([]byte, backupChunk)
	for {
		n, err := io.ReadFull(in, chunk)
		if n > 0 {
			if _, err := conn.RequestWithContext(ctx, to, chunk[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			msg, err := conn.RequestWithContext(ctx, to, nil)
			if err != nil {
				return err
			}
			_, err = readAnswer(msg.Data)
			return err
		case err != nil:
			return err
		}
	}
}
