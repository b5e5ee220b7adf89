package ledgersqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
)

// connect opens a pool of connections. mode is SQLite's mode rw or ro; neither creates a
// file.
//
// The pragma fullfsync is for macOS, where fsync leaves data in the disk's own buffer.
func connect(path, mode, sync string) (*sql.DB, error) {
	u := url.URL{Path: filepath.ToSlash(path)}
	if !strings.HasPrefix(u.Path, "/") { // on Windows the path begins with the letter of a drive
		u.Path = "/" + u.Path
	}
	q := url.Values{"mode": {mode}, "_defensive": {"1"}, "_dqs": {"0"}, "_error_rc": {"1"}, "_txlock": {"immediate"}}
	q["_pragma"] = []string{"busy_timeout(10000)", "trusted_schema(0)", "cell_size_check(1)"}
	if mode == "rw" {
		q["_pragma"] = append(q["_pragma"], "journal_mode(WAL)", "synchronous("+sync+")", "fullfsync(1)", "checkpoint_fullfsync(1)")
	}
	c, err := sqlite.NewConnector("file://" + u.EscapedPath() + "?" + q.Encode())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// create makes an empty ledger, unless the file exists. It writes the ledger under another
// name and then links it to path. So the file never exists in an unfinished state, and an
// empty file at path must be damaged. If two processes create the ledger at the same time,
// the file of one of them is linked and both use it.
func create(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer func() {
		for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
			os.Remove(temp.Name() + suffix)
		}
	}()
	if err := temp.Close(); err != nil {
		return err
	}
	if err := fill(ctx, temp.Name()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// fill writes the schema into an empty file.
func fill(ctx context.Context, path string) error {
	db, err := connect(path, "rw", "FULL")
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d`, applicationID)); err != nil {
		return err
	}
	if err := migrate(ctx, db, steps); err != nil {
		return err
	}
	return db.Close() // moves all content from the WAL to the file, and syncs the file
}

// syncDirectory makes the new name of a file durable, on systems that can sync a directory.
func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}

// inspect checks that a file is an undamaged ledger, and returns the version of its schema.
// It changes nothing: its connections are read-only, and don't even move content from the WAL
// to the file.
func inspect(ctx context.Context, path string, lazy bool) (version int, err error) {
	if err := inspectSize(path); err != nil {
		return 0, err
	}
	db, err := connect(path, "ro", "FULL")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var application int
	if err := db.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&application); err != nil {
		return 0, err
	}
	if application != applicationID {
		return 0, fmt.Errorf("%w: it is a database of another program (application_id %#x); it was left as it is: name another file", ErrForeign, application)
	}
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return 0, err
	}
	switch {
	case version > len(steps):
		return version, fmt.Errorf("%w: it has version %d, and this release knows up to %d: use a newer release of github.com/inproc/faas/cost/ledgersqlite", ErrVersion, version, len(steps))
	case version < 1:
		return version, corrupt("its version is %d", version)
	}
	if err := checkLength(ctx, db, path); err != nil {
		return version, err
	}
	if !lazy {
		if err := checkPages(ctx, db, "quick_check"); err != nil {
			return version, err
		}
	}
	return version, checkGuards(ctx, db, version)
}

// inspectSize finds damage that SQLite does not see: SQLite takes an empty file for a new
// database. inspectSize must not open the file: when a process closes any descriptor of a
// file, POSIX drops all locks that the process has on the file, including those of another
// ledger in this process.
func inspectSize(path string) error {
	switch info, err := os.Stat(path); {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: it is not a file", ErrForeign)
	case info.Size() < headerSize:
		return corrupt("it has only %d bytes", info.Size())
	}
	return nil
}

// checkLength finds a file that was cut within its last page; SQLite would read zeros there.
// While the WAL has content, the file may legitimately be shorter than the database. The WAL
// is looked at last. It can't have been emptied and deleted before that, since it is not
// deleted while there is a connection.
func checkLength(ctx context.Context, db *sql.DB, path string) error {
	var want int64
	if err := db.QueryRowContext(ctx, `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`).Scan(&want); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 || info.Size() >= want {
		return nil
	}
	return corrupt("it has %d bytes of %d", info.Size(), want)
}

// headerSize is the size of the header of every SQLite database, in bytes.
const headerSize = 100

// checkPages runs one of SQLite's checks of the whole file.
func checkPages(ctx context.Context, db *sql.DB, pragma string) error {
	rows, err := db.QueryContext(ctx, `PRAGMA `+pragma+`(3)`)
	if err != nil {
		return err
	}
	found, err := column[string](rows)
	if err != nil {
		return err
	}
	if text := strings.Join(found, "; "); text != "ok" {
		return corrupt("%s", strings.ReplaceAll(text, "\n", " "))
	}
	return nil
}
