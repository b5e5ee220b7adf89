package embed_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/durable/faasnats/embed"
)

func TestADirectoryIsOpenInOneProcessAndTheSecondIsToldWhich(t *testing.T) {
	dir := t.TempDir()
	first, err := embed.Open(dir)
	require.NoError(t, err)

	_, err = embed.Open(dir)

	require.ErrorIs(t, err, embed.ErrLocked)
	require.ErrorContains(t, err, fmt.Sprintf("process %d", os.Getpid()))
	require.NoError(t, first.Close())
	require.NoError(t, first.Close(), "again is no error")
	second, err := embed.Open(dir)
	require.NoError(t, err, "it is free when the first is closed")
	require.NoError(t, second.Close())
}

func TestADirectoryIsItsOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "jobs")
	q, err := embed.Open(dir)
	require.NoError(t, err)
	require.NoError(t, q.Close())
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestADirectoryOfAnUnknownFormatIsNotTouched(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "format"), []byte("99\n"), 0o600))

	_, err := embed.Open(dir)

	require.ErrorContains(t, err, `"99"`)
	_, err = os.Stat(filepath.Join(dir, "store"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestADirectoryThatCantBeMadeIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := embed.Open(filepath.Join(file, "jobs"))
	require.ErrorContains(t, err, "not a directory")
}
