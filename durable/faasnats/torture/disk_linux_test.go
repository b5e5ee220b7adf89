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

// disk is a file system in memory that knows what a power cut would leave of it: the data
// of a file as it was when the file was synced, and the names in a directory as they were
// when the directory was. The FUSE server calls its methods concurrently.
type disk struct {
	mu   sync.Mutex // guards what follows, and all items
	root *item
	inos uint64 // the last inode number
	// journal has a sync of a file keep all names that were changed before, as ext4 and XFS
	// do. Without it a file's own name is gone too, unless its directory was synced: POSIX
	// promises no more.
	journal bool
	renamed map[*item]bool // directories whose names have changed since they were kept
}

// item is a file or a directory.
type item struct {
	ino         uint64
	mode        uint32
	data, kept  []byte           // of a file: as programs see it, and as a power cut leaves it
	from, to    int              // what of data may differ from kept; empty if from ≥ to
	names, left map[string]*item // of a directory: the same
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

// write writes into a file.
func (it *item) write(data []byte, at int) {
	if end := at + len(data); end > len(it.data) {
		it.resize(end)
	}
	copy(it.data[at:], data)
	it.touch(at, at+len(data))
}

// resize cuts a file, or fills it with zeros.
func (it *item) resize(size int) {
	had := len(it.data)
	if size <= had {
		it.data, it.to = it.data[:size], min(it.to, size)
		return
	}
	it.data = append(it.data, make([]byte, size-had)...)
	it.touch(had, size)
}

// touch notes that data has changed.
func (it *item) touch(from, to int) {
	if it.from >= it.to {
		it.from, it.to = from, to
		return
	}
	it.from, it.to = min(it.from, from), max(it.to, to)
}

// syncFile keeps the data of a file.
func (d *disk) syncFile(it *item) {
	it.keep(it.from, it.to)
	it.kept, it.from, it.to = it.kept[:len(it.data)], 0, 0
	if d.journal {
		for dir := range d.renamed {
			d.syncNames(dir)
		}
	}
}

// keep keeps a part of the data. What lies before it and was never kept is zeros.
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

// name gives an item a name, or takes the name away if it is nil.
func (d *disk) name(dir *item, name string, it *item) {
	if it == nil {
		delete(dir.names, name)
	} else {
		dir.names[name] = it
	}
	d.renamed[dir] = true
}

// page is what a disk writes as a whole.
const page = 4096

// cut cuts the power: what was not synced is gone, but for the pages and directories of
// which luck says that they were written already. No program may have the disk mounted.
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

// fallBack makes an item, and all below it, what is kept of it.
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

// save writes what is on the disk into a directory.
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
