//go:build amd64 || arm64

package torture_test

import (
	"context"
	"maps"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
)

// mount mounts a disk. Without FUSE the test fails, since a power cut can't be tested there.
func mount(t *testing.T, d *disk, path string) *fuse.Server {
	t.Helper()
	require.NoError(t, os.MkdirAll(path, 0o700))
	stay := time.Hour // the kernel may cache that long, since all changes come through this mount
	server, err := fs.Mount(path, &node{disk: d, item: d.root}, &fs.Options{
		EntryTimeout: &stay, AttrTimeout: &stay,
		MountOptions: fuse.MountOptions{DirectMount: true, FsName: "powercut", Name: "powercut", MaxWrite: 1 << 20},
	})
	require.NoError(t, err, "power cuts are tried on a file system of FUSE: that needs /dev/fuse, and root or fusermount3 (apt-get install fuse3)")
	t.Cleanup(func() { _ = server.Unmount() }) // an error means that it was unmounted
	return server
}

// unmount unmounts a disk, and waits for requests under way.
func unmount(t *testing.T, server *fuse.Server) {
	t.Helper()
	require.NoError(t, server.Unmount())
	server.Wait()
}

// node is an item in the tree of the FUSE library.
type node struct {
	fs.Inode

	disk *disk
	item *item
}

// handle is an open file.
type handle struct{ sync bool } // its writes are synced at once

var _ interface {
	fs.NodeLookuper
	fs.NodeCreater
	fs.NodeMkdirer
	fs.NodeUnlinker
	fs.NodeRmdirer
	fs.NodeRenamer
	fs.NodeReaddirer
	fs.NodeOpener
	fs.NodeReader
	fs.NodeWriter
	fs.NodeFsyncer
	fs.NodeGetattrer
	fs.NodeSetattrer
	fs.NodeStatfser
} = (*node)(nil)

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	it := n.item.names[name]
	if it == nil {
		return nil, syscall.ENOENT
	}
	return n.enter(ctx, it, out), 0
}

// enter returns the node of an item. The disk's lock is held.
func (n *node) enter(ctx context.Context, it *item, out *fuse.EntryOut) *fs.Inode {
	it.describe(&out.Attr)
	return n.NewInode(ctx, &node{disk: n.disk, item: it}, fs.StableAttr{Mode: it.mode & syscall.S_IFMT, Ino: it.ino})
}

func (it *item) describe(out *fuse.Attr) {
	out.Ino, out.Mode, out.Size, out.Nlink = it.ino, it.mode, uint64(len(it.data)), 1
	out.Blocks = (out.Size + 511) / 512
}

// add makes an item with a name.
func (n *node) add(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) *fs.Inode {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	it := n.disk.newItem(mode)
	n.disk.name(n.item, name, it)
	return n.enter(ctx, it, out)
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	return n.add(ctx, name, syscall.S_IFREG|mode&0o777, out), newHandle(flags), 0, 0
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.add(ctx, name, syscall.S_IFDIR|mode&0o777, out), 0
}

func newHandle(flags uint32) *handle { return &handle{flags&(syscall.O_SYNC|syscall.O_DSYNC) != 0} }

func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return newHandle(flags), 0, 0
}

func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.disk.name(n.item, name, nil)
	return 0
}

func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if it := n.item.names[name]; it != nil && len(it.names) > 0 {
		return syscall.ENOTEMPTY
	}
	n.disk.name(n.item, name, nil)
	return 0
}

func (n *node) Rename(_ context.Context, name string, parent fs.InodeEmbedder, as string, flags uint32) syscall.Errno {
	to, ok := parent.(*node)
	if !ok || flags != 0 {
		return syscall.ENOTSUP
	}
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	it := n.item.names[name]
	n.disk.name(n.item, name, nil)
	n.disk.name(to.item, as, it)
	return 0
}

func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	var all []fuse.DirEntry
	for _, name := range slices.Sorted(maps.Keys(n.item.names)) {
		it := n.item.names[name]
		all = append(all, fuse.DirEntry{Name: name, Mode: it.mode, Ino: it.ino})
	}
	return fs.NewListDirStream(all), 0
}

func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if off >= int64(len(n.item.data)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(dest[:copy(dest, n.item.data[off:])]), 0
}

func (n *node) Write(_ context.Context, f fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.item.write(data, int(off))
	if h, ok := f.(*handle); ok && h.sync {
		n.disk.syncFile(n.item)
	}
	return uint32(len(data)), 0
}

func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if n.item.isDir() {
		n.disk.syncNames(n.item)
	} else {
		n.disk.syncFile(n.item)
	}
	return 0
}

func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.item.describe(&out.Attr)
	return 0
}

func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if size, ok := in.GetSize(); ok {
		n.item.resize(int(size))
	}
	if mode, ok := in.GetMode(); ok {
		n.item.mode = n.item.mode&syscall.S_IFMT | mode&0o777
	}
	n.item.describe(&out.Attr)
	return 0
}

// Statfs reports free space, since the server derives the bound of its store from it.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	const blocks = 1 << 24 // 64 GiB
	out.Bsize, out.Frsize, out.NameLen = page, page, 255
	out.Blocks, out.Bfree, out.Bavail = blocks, blocks, blocks
	return 0
}
