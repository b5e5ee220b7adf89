// Package torture has tests only, see `make torture`. They kill processes that have durable
// jobs, or cut the power of the disk below them, and then check each job that was accepted. The
// disk is a file system in memory, mounted by FUSE, that loses everything that was not synced.
// The tests fail where there is no /dev/fuse or no right to mount.
//
// It is a module of its own because nothing else needs FUSE.
package torture
