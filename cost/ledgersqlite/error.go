package ledgersqlite

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// The errors of a ledger, for errors.Is. They are wrapped in an [*Error], which names the
// file.
var (
	// ErrCorrupt means that the file is damaged, or is not a database. It was not changed.
	ErrCorrupt = errors.New("the ledger is damaged")
	// ErrForeign means that the file is a database of another program. It was not changed.
	ErrForeign = errors.New("not a ledger")
	// ErrVersion means that the file has a schema that this release can't use.
	ErrVersion = errors.New("another version of the schema")
	// ErrConflict means that there is a record with the same id and other content. The stored
	// one stays.
	ErrConflict = errors.New("another record has this id")
	// ErrRecord means that a record can't be stored: its time is before 1678 or after 2262.
	ErrRecord = errors.New("not storable")
	// ErrNotFound means that no record has the id.
	ErrNotFound = errors.New("no such record")
	// ErrCorrection means that the correction changes nothing or has no reason, or that the
	// corrected record would make no sense.
	ErrCorrection = errors.New("invalid correction")
	// ErrClosed means that the ledger is closed.
	ErrClosed = errors.New("the ledger is closed")
)

// Error is the type of a ledger's errors; errors.As finds it.
type Error struct {
	// Op is the operation that failed: "open", "record", "read" and so on.
	Op string
	// Path is the path of the file.
	Path string
	// ID is the id of the invocation or correction that the error is about. It is zero if
	// there is none.
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

// corrupt returns an error that Is ErrCorrupt and names the cure.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s; %s", ErrCorrupt, fmt.Sprintf(format, args...), cure)
}

// classify wraps SQLite's errors for a damaged file in ErrCorrupt, and returns other errors
// as they are.
func classify(err error) error {
	switch code(err) & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		if !errors.Is(err, ErrCorrupt) {
			return fmt.Errorf("%w: %w; %s", ErrCorrupt, err, cure)
		}
	}
	return err
}

// code returns SQLite's extended result code, or 0 if the error is not one of SQLite.
func code(err error) int {
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// wrap wraps an error in an *Error, unless it is an *Error already.
func wrap(op, path string, id uuid.UUID, err error) error {
	if err == nil {
		return nil
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return err
	}
	return &Error{Op: op, Path: path, ID: id, Err: classify(err)}
}
