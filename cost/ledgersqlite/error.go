package ledgersqlite

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// The errors of a ledger, for errors.Is. They arrive inside an [*Error], which names the
// file.
var (
	// ErrCorrupt: the file is damaged, or is no database at all. It was left as it is.
	ErrCorrupt = errors.New("the ledger is damaged")
	// ErrForeign: the file is a database of another program. It was left as it is.
	ErrForeign = errors.New("not a ledger")
	// ErrVersion: the file has a schema that this release doesn't know.
	ErrVersion = errors.New("another version of the schema")
	// ErrConflict: there is a record with the same id and other content. The first one
	// stays.
	ErrConflict = errors.New("another record has this id")
	// ErrRecord: a record can't be stored: its time is before 1678 or after 2262.
	ErrRecord = errors.New("not storable")
	// ErrNotFound: no record has the id.
	ErrNotFound = errors.New("no such record")
	// ErrCorrection: the correction changes nothing or has no reason, or the record would
	// make no sense with it.
	ErrCorrection = errors.New("invalid correction")
	// ErrClosed: the ledger is closed.
	ErrClosed = errors.New("the ledger is closed")
)

// Error is the type of a ledger's errors; errors.As finds it.
type Error struct {
	// Op is what was being done: "open", "record", "read" and so on.
	Op string
	// Path is the path of the file.
	Path string
	// ID is the invocation or the correction that the error is about; zero: none.
	ID uuid.UUID
	// Err is one of the sentinels above, an error of SQLite's, or an error that wraps
	// one of them.
	Err error
}

// Error describes the error on one line.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ledgersqlite: %s %s: ", e.Op, e.Path)
	if e.ID != uuid.Nil {
		fmt.Fprintf(&b, "%v: ", e.ID)
	}
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

const cure = "it was left as it is: restore a backup, or save what is readable into a new file with the sqlite3 command's .recover"

// corrupt makes an ErrCorrupt that names the cure.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s; %s", ErrCorrupt, fmt.Sprintf(format, args...), cure)
}

// classify makes ErrCorrupt of SQLite's errors for a damaged file.
func classify(err error) error {
	switch code(err) & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		if !errors.Is(err, ErrCorrupt) {
			return fmt.Errorf("%w: %w; %s", ErrCorrupt, err, cure)
		}
	}
	return err
}

// code returns SQLite's extended result code; 0: it is no error of SQLite's.
func code(err error) int {
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// wrap adds to an error where it happened, unless it is an *Error already.
func wrap(op, path string, id uuid.UUID, err error) error {
	if err == nil {
		return nil
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return err
	}
	return &Error{Op: op, Path: path, ID: id, Err: classify(err)}
}
