// Package bounded reads streams of unknown length, such as the body of a request,
// up to a limit.
package bounded

import (
	"errors"
	"io"
)

// Read reads at most limit bytes of r, and reports whether r has more. To find out, it reads
// one more byte from r, which it does not return. Any limit is allowed: math.MaxInt64 means no
// limit, a negative limit means 0.
//
// The usual way is to read limit+1 bytes and to count them. That overflows if limit is
// math.MaxInt64: it would read nothing, and the body would seem to be empty.
//
// If r returns an error, Read returns that error, and data has what r returned before it.
func Read(r io.Reader, limit int64) (data []byte, more bool, err error) {
	data, err = io.ReadAll(io.LimitReader(r, limit))
	if err != nil || int64(len(data)) < limit { // r has ended
		return data, false, err
	}
	more, err = hasMore(r)
	return data, more, err
}

// Skip is like Read, but drops the data.
func Skip(r io.Reader, limit int64) (more bool, err error) {
	n, err := io.Copy(io.Discard, io.LimitReader(r, limit))
	if err != nil || n < limit {
		return false, err
	}
	return hasMore(r)
}

// hasMore reports whether r has another byte, and reads it if so.
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
