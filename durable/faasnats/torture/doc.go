// Package torture is empty but for its tests, which kill processes with durable jobs, and
// cut the power of the disk below them, and then look at each job that was accepted: see
// make torture. The disk is a file system in memory, mounted by FUSE, that forgets what was
// not synced; without /dev/fuse, or the right to mount, its tests fail.
//
// It is a module of its own because nothing else needs FUSE.
package torture
