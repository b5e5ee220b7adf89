//go:build amd64 || arm64

package torture_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// disk is a file system in memory that knows what a power cut would leave: the content of each
// file when the file was last synced, and the names in each directory when the directory was
// last synced. The FUSE server calls its methods concurrently.
type disk struct {
	mu   sync.Mutex // guards what follows, and all items
	root *item
	inos uint64 // the last inode number
	// journal makes a sync of a file also keep all names that were changed before, as ext4 and
	// XFS do. Without it, the name of a new file is lost too unless its directory was synced.
	// POSIX promises no more than that.
	journal bool
	renamed map[*item]bool // directories with names that have changed since they were last kept
}

// item is a file or a directory.
type item struct {
	ino         uint64
	mode        uint32
	data, kept  []byte           // of a file: as programs see it, and as a power cut would leave it
	from, to    int              // the part of data that may differ from kept; empty if from ≥ to
	names, left map[string]*item // of a directory: as programs see it, and as a power cut would leave it
}

func newDisk(journal bool) *disk {
	d := &disk{journal: journal, renamed: map[*item]bool{}}
	d.root = d.newItem(syscall.S_IFDIR | 0o700)
	return d
}

// newItem makes an item that has no name yet.
func (d *disk) newItem(mode uint32) *item {
	d.inos++
	it := &item{ino: d.inos, mode: mode}
	if it.isDir() {
		it.names, it.left = map[string]*item{}, map[string]*item{}
	}
	return it
}

func (it *item) isDir() bool { return it.mode&syscall.S_IFMT == syscall.S_IFDIR }

// write changes the content of a file.
func (it *item) write(data []byte, at int) {
	if end := at + len(data); end > len(it.data) {
		it.resize(end)
	}
	copy(it.data[at:], data)
	it.touch(at, at+len(data))
}

// resize cuts a file to size, or fills it up with zeros.
func (it *item) resize(size int) {
	had := len(it.data)
	if size <= had {
		it.data, it.to = it.data[:size], min(it.to, size)
		return
	}
	it.data = append(it.data, make([]byte, size-had)...)
	it.touch(had, size)
}

// touch notes which part of data has changed.
func (it *item) touch(from, to int) {
	if it.from >= it.to {
		it.from, it.to = from, to
		return
	}
	it.from, it.to = min(it.from, from), max(it.to, to)
}

// syncFile keeps the content of a file.
func (d *disk) syncFile(it *item) {
	it.keep(it.from, it.to)
	it.kept, it.from, it.to = it.kept[:len(it.data)], 0, 0
	if d.journal {
		for dir := range d.renamed {
			d.syncNames(dir)
		}
	}
}

// keep keeps a part of the content. Everything before it that was never kept becomes zeros.
func (it *item) keep(from, to int) {
	if to > len(it.kept) {
		it.kept = append(it.kept, make([]byte, to-len(it.kept))...)
	}
	if from < to {
		copy(it.kept[from:to], it.data[from:])
	}
}

// syncNames keeps the names of a directory.
func (d *disk) syncNames(dir *item) {
	dir.left = maps.Clone(dir.names)
	delete(d.renamed, dir)
}

// name gives an item a name, or removes the name if the item is nil.
func (d *disk) name(dir *item, name string, it *item) {
	if it == nil {
		delete(dir.names, name)
	} else {
		dir.names[name] = it
	}
	d.renamed[dir] = true
}

// page is the unit in which a disk writes, in bytes.
const page = 4096

// cut cuts the power: everything that was not synced is lost. Pages and directories for which
// luck returns true survive anyway, as if they had been written already. No program may have
// the disk mounted.
func (d *disk) cut(luck func() bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for dir := range d.renamed {
		if luck() {
			d.syncNames(dir)
		}
	}
	d.renamed = map[*item]bool{}
	d.root.fallBack(luck)
}

// fallBack reduces an item, and everything below it, to what was kept.
func (it *item) fallBack(luck func() bool) {
	if !it.isDir() {
		for at := it.from / page * page; at < it.to; at += page {
			if luck() {
				it.keep(max(at, it.from), min(at+page, it.to))
			}
		}
		it.data, it.from, it.to = bytes.Clone(it.kept), 0, 0
		return
	}
	it.names = maps.Clone(it.left)
	for _, below := range it.names {
		below.fallBack(luck)
	}
}

// save copies the content of the disk into a directory.
func (it *item) save(path string) error {
	if !it.isDir() {
		return os.WriteFile(path, it.data, 0o600)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	for name, below := range it.names {
		if err := below.save(filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}
