// Package bounded reads what comes from outside no further than it may go.
package bounded

import (
	"errors"
	"io"
)

// Read reads r to its end, or to its first limit bytes, and tells whether there
// was more. Of that it takes one byte from r and returns none. Any limit may be
// given: math.MaxInt64 is none, and one below 0 is 0.
//
// The usual way, to read limit+1 bytes and to look at how many came, reads
// nothing where limit is the largest integer, and takes a body for an empty one.
//
// An error is r's; data is then what came before it.
func Read(r io.Reader, limit int64) (data []byte, more bool, err error) {
	data, err = io.ReadAll(io.LimitReader(r, limit))
	if err != nil || int64(len(data)) < limit { // r has ended
		return data, false, err
	}
	more, err = hasMore(r)
	return data, more, err
}

// Skip reads r to its end, or over its first limit bytes, keeps nothing, and
// tells whether there was more, as Read does.
func Skip(r io.Reader, limit int64) (more bool, err error) {
	n, err := io.Copy(io.Discard, io.LimitReader(r, limit))
	if err != nil || n < limit {
		return false, err
	}
	return hasMore(r)
}

// hasMore takes one byte, if there is one.
func hasMore(r io.Reader) (bool, error) {
	var one [1]byte
	switch _, err := io.ReadFull(r, one[:]); {
	case errors.Is(err, io.EOF):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, nil
}
