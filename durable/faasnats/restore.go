package faasnats

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go"
)

// Restore makes the streams of a backup on a server that has no streams of these names. It also
// reads backups of older releases.
func Restore(ctx context.Context, conn *nats.Conn, r io.Reader) error {
	in := bufio.NewReader(r)
	for part := 1; ; part++ {
		head, err := readHead(in)
		if errors.Is(err, io.EOF) && part > 2 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("faasnats: restore: the head of part %d of the backup: %w", part, err)
		}
		if head.Format == oldBackup { // it has one part, without frames
			return restorePart(ctx, conn, head, in)
		}
		if err := restorePart(ctx, conn, head, &frames{in: in}); err != nil {
			return err
		}
	}
}

// oldBackup is the format of backups that have no objects.
const oldBackup = "1"

func readHead(in *bufio.Reader) (head backupHead, err error) {
	line, err := in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &head)
	}
	if err == nil && (head.Format != oldBackup && head.Format != backupFormat || head.Stream == "") {
		err = fmt.Errorf("a backup of the format %q, and this release reads 1 and %s", head.Format, backupFormat)
	}
	return head, err
}

func restorePart(ctx context.Context, conn *nats.Conn, head backupHead, content io.Reader) error {
	req := map[string]any{"config": head.Config, "state": head.State}
	answer, err := ask(ctx, conn, "$JS.API.STREAM.RESTORE."+head.Stream, req)
	if err == nil {
		err = sendChunks(ctx, conn, answer.Deliver, content)
	}
	if err != nil {
		return fmt.Errorf("faasnats: restore the stream %s: %w", head.Stream, err)
	}
	return nil
}

// frames is a reader of the bytes that a part's frames have.
type frames struct {
	in    io.Reader
	left  uint32 // bytes of the current frame that were not read
	ended bool
}

func (f *frames) Read(p []byte) (int, error) {
	if f.left == 0 && !f.ended {
		var size [4]byte
		if _, err := io.ReadFull(f.in, size[:]); err != nil {
			return 0, notWhole(err)
		}
		f.left = binary.BigEndian.Uint32(size[:])
		f.ended = f.left == 0
	}
	if f.ended {
		return 0, io.EOF
	}
	n, err := io.LimitReader(f.in, int64(f.left)).Read(p)
	f.left -= uint32(n)
	return n, notWhole(err)
}

// errPart means that a backup ends within a part.
var errPart = errors.New("the backup is not whole")

func notWhole(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errPart
	}
	return err
}

// sendChunks sends a snapshot to the server. The server answers each chunk. Its answer to the
// empty message at the end says whether it has made the stream.
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
