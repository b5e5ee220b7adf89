//go:build amd64 || arm64

package torture_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// always and never are values for the luck of a power cut.
func always() bool { return true }
func never() bool  { return false }

// write writes a file by a single write.
func write(t *testing.T, path, text string, flags int, sync bool) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flags, 0o600)
	require.NoError(t, err)
	_, err = f.WriteString(text)
	require.NoError(t, err)
	if sync {
		require.NoError(t, f.Sync())
	}
	require.NoError(t, f.Close())
}

func syncDir(t *testing.T, path string) {
	t.Helper()
	dir, err := os.Open(path)
	require.NoError(t, err)
	require.NoError(t, dir.Sync())
	require.NoError(t, dir.Close())
}

// after calls do, cuts the power, and returns the files that are left.
func after(t *testing.T, journal bool, luck func() bool, do func(dir string)) map[string]string {
	t.Helper()
	d, dir := newDisk(journal), filepath.Join(t.TempDir(), "disk")
	m := mount(t, d, dir)
	do(dir)
	unmount(t, m)
	d.cut(luck)
	m = mount(t, d, dir)
	defer unmount(t, m)
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		files[e.Name()] = string(text)
	}
	return files
}

func TestAPowerCutForgetsWhatWasNotSynced(t *testing.T) {
	for _, c := range []struct {
		what    string
		journal bool
		luck    func() bool
		do      func(dir string)
		want    map[string]string
	}{
		{"a file that was not synced", true, never, func(dir string) {
			write(t, dir+"/a", "text", 0, false)
		}, map[string]string{}},
		{"its name was synced, and not its data", true, never, func(dir string) {
			write(t, dir+"/a", "text", 0, false)
			syncDir(t, dir)
		}, map[string]string{"a": ""}},
		{"a journal keeps the name of a synced file", true, never, func(dir string) {
			write(t, dir+"/a", "text", 0, true)
		}, map[string]string{"a": "text"}},
		{"without a journal it is gone", false, never, func(dir string) {
			write(t, dir+"/a", "text", 0, true)
		}, map[string]string{}},
		{"both were synced", false, never, func(dir string) {
			write(t, dir+"/a", "text", os.O_SYNC, false)
			syncDir(t, dir)
		}, map[string]string{"a": "text"}},
		{"a later write was not", false, never, func(dir string) {
			write(t, dir+"/a", "text", 0, true)
			syncDir(t, dir)
			write(t, dir+"/a", "TEXT and more", 0, false)
		}, map[string]string{"a": "text"}},
		{"nor that the file was cut short", true, never, func(dir string) {
			write(t, dir+"/a", "text", 0, true)
			require.NoError(t, os.Truncate(dir+"/a", 1))
		}, map[string]string{"a": "text"}},
		{"cut short, written again and synced", true, never, func(dir string) {
			write(t, dir+"/a", "long text", 0, true)
			write(t, dir+"/a", "text", os.O_TRUNC, true)
		}, map[string]string{"a": "text"}},
		{"a rename and a removal that were not synced", true, never, func(dir string) {
			write(t, dir+"/a", "text", 0, true)
			write(t, dir+"/b", "text", 0, true)
			require.NoError(t, os.Rename(dir+"/a", dir+"/c"))
			require.NoError(t, os.Remove(dir+"/b"))
		}, map[string]string{"a": "text", "b": "text"}},
		{"that were", true, never, func(dir string) {
			write(t, dir+"/a", "text", 0, true)
			write(t, dir+"/b", "text", 0, true)
			require.NoError(t, os.Rename(dir+"/a", dir+"/c"))
			require.NoError(t, os.Remove(dir+"/b"))
			syncDir(t, dir)
		}, map[string]string{"c": "text"}},
		{"what luck has written", false, always, func(dir string) {
			write(t, dir+"/a", "text", 0, false)
		}, map[string]string{"a": "text"}},
	} {
		require.Equal(t, c.want, after(t, c.journal, c.luck, c.do), c.what)
	}
}
