package embed

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/minio/highwayhash"
)

// ErrDamaged is the error of [Open] if a file of the store has been damaged. The error's text
// names the file and the position. Open leaves the directory as it is: the server would cut the
// file off at that position, and drop all jobs that were written after it.
var ErrDamaged = errors.New("a file of the store is damaged")

// checkStore compares the messages of a store with their checksums. It does not report errors
// in the last megabyte of a block. A message there may be torn because the process or the
// machine died while it was written; such a message was not acknowledged, and the server
// ignores it or cuts it off. Real damage in that part looks the same.
func checkStore(store string) error {
	streams, err := filepath.Glob(filepath.Join(store, "jetstream", "*", "streams", "*"))
	if err != nil {
		return fmt.Errorf("embed: %w", err)
	}
	for _, dir := range streams {
		blocks, err := blocksOf(filepath.Join(dir, "msgs"))
		if err != nil {
			return err
		}
		for _, b := range blocks {
			if err := b.check(filepath.Base(dir)); err != nil {
				return err
			}
		}
	}
	return nil
}

// block is a file of messages, in the format of filestore.go in nats-server's package server.
type block struct {
	path string
	n    uint32
}

// blocksOf returns the blocks of a directory.
func blocksOf(dir string) (all []block, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("embed: %w", err)
	}
	for _, e := range entries {
		b := block{path: filepath.Join(dir, e.Name())}
		if _, err := fmt.Sscanf(e.Name(), "%d.blk", &b.n); err == nil && filepath.Ext(e.Name()) == ".blk" {
			all = append(all, b)
		}
	}
	return all, nil
}

// The layout of a message: a length of four bytes, whose highest bit says that there are
// headers; a sequence and a time, of eight bytes each; the length of the subject, in two bytes,
// and the subject; if there are headers, their length in four bytes; then headers and body, and
// a checksum.
const (
	headSize   = 22
	sumSize    = 8
	hasHeaders = 1 << 31
)

// mostTorn is the length of the end of a block in which a message may be torn.
const mostTorn = 1 << 20

// check returns ErrDamaged if a message of the block is damaged. The block belongs to the named
// stream.
func (b *block) check(stream string) error {
	data, err := os.ReadFile(b.path)
	if err != nil {
		return fmt.Errorf("embed: %w", err)
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, b.n))
	for at := 0; at < len(data); {
		n, ok := message(data[at:], key[:])
		if !ok && len(data)-at <= mostTorn {
			return nil
		}
		if !ok {
			return fmt.Errorf("embed: %w: %s, at byte %d of %d; restore a backup into another directory, or remove the file to go on without the jobs in it",
				ErrDamaged, b.path, at, len(data))
		}
		at += n
	}
	return nil
}

// message returns the length of the message at the start of data, as its first bytes give it,
// and whether the message is whole.
func message(data, key []byte) (n int, ok bool) {
	if len(data) < headSize {
		return headSize, false
	}
	word := binary.LittleEndian.Uint32(data)
	n = int(word &^ hasHeaders)
	subject, skip := int(binary.LittleEndian.Uint16(data[20:])), 0
	if word&hasHeaders != 0 {
		skip = 4
	}
	from, to := headSize+subject+skip, n-sumSize
	if n > len(data) || from > to {
		return n, false
	}
	sum := checksum(key, data[4:20], data[headSize:headSize+subject], data[from:to])
	return n, bytes.Equal(sum, data[to:n])
}

// checksum returns the HighwayHash of a message's parts.
func checksum(key []byte, parts ...[]byte) []byte {
	h, err := highwayhash.New64(key)
	if err != nil {
		panic(err) // not possible: the key has the length that New64 needs
	}
	for _, p := range parts {
		_, _ = h.Write(p) // it never fails
	}
	return h.Sum(nil)
}
