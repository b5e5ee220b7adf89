package embed_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats"
	"github.com/inproc/faas/durable/faasnats/embed"
)

// tmpfs mounts a small file system, which needs root.
func tmpfs(t *testing.T, size string) (dir string, remount func(options string)) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a file system")
	}
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("this machine mounts no file system: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir, func(options string) {
		flags := uintptr(syscall.MS_REMOUNT)
		if options == "ro" {
			flags |= syscall.MS_RDONLY
		}
		require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", flags, ""))
	}
}

func TestADiskThatOthersFillIsAClearErrorAndNothingAcknowledgedIsLost(t *testing.T) {
	disk, _ := tmpfs(t, "32m")
	dir := filepath.Join(disk, "jobs")
	q, err := embed.Open(dir)
	require.NoError(t, err)
	accepted := map[uuid.UUID]bool{}
	put := func(wait time.Duration) error {
		now := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		rec, err := q.Put(ctx, faas.JobRecord{
			Format: faas.JobFormat, ID: uuid.New(), Function: "f", State: faas.JobReady, Accepted: now, Due: now, Payload: make([]byte, 100<<10),
		})
		if err == nil {
			accepted[rec.ID] = true
		}
		return err
	}
	for range 10 {
		require.NoError(t, put(time.Minute))
	}
	filler := filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	require.NoError(t, err)
	for err = nil; err == nil; _, err = f.Write(make([]byte, 64<<10)) {
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, f.Close())

	for err = nil; err == nil; err = put(2 * time.Second) { // fills the rest of a block that has room
	}
	require.True(t, errors.Is(err, faas.ErrOverloaded) || errors.Is(err, faasnats.ErrServer) || errors.Is(err, context.DeadlineExceeded), "%v", err)

	require.NoError(t, os.Remove(filler))
	require.NoError(t, q.Close())
	again := open(t, dir)
	for id := range accepted {
		_, err := again.Get(t.Context(), id)
		require.NoError(t, err, "it was acknowledged")
	}
	q = again
	require.NoError(t, put(time.Minute))
}

func TestADirectoryThatIsReadOnlyIsAClearErrorAndLosesNothing(t *testing.T) {
	disk, remount := tmpfs(t, "32m")
	dir := filepath.Join(disk, "jobs")
	q, err := embed.Open(dir)
	require.NoError(t, err)
	require.NoError(t, putFilling(t, q))
	require.NoError(t, q.Close())
	remount("ro")

	_, err = embed.Open(dir)

	require.ErrorIs(t, err, syscall.EROFS)
	require.ErrorContains(t, err, dir)
	remount("rw")
	again := open(t, dir)
	require.Equal(t, 1, listed(t, again))
	require.NoError(t, again.Close(), "before the file system is gone")
}
