package faashttp

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/inproc/faas/internal/bounded"
)

// firstRoom is the largest buffer, in bytes, that an announced Content-Length alone allocates.
// A longer body's buffer grows with the bytes that arrive.
const firstRoom = 64 << 10

// body reads the request's body. It refuses a body of more than limit bytes: at once if the
// announced length says so, otherwise as soon as one byte more has come. It also refuses a body
// with a Content-Encoding. body is called before the router knows of the call, so that a slow
// client holds no slot.
func (x *exchange) body(limit int) ([]byte, error) {
	if isEncoded(x.r.Header) {
		return nil, errEncoding
	}
	return x.rawBody(limit)
}

// isEncoded reports whether the body has a Content-Encoding, such as gzip.
func isEncoded(h http.Header) bool {
	for _, e := range h["Content-Encoding"] {
		if e != "" && !strings.EqualFold(e, "identity") {
			return true
		}
	}
	return false
}

// rawBody is like body, with the same limit, but accepts any Content-Encoding and returns the
// body undecoded.
func (x *exchange) rawBody(limit int) ([]byte, error) {
	if x.r.ContentLength > int64(limit) {
		return nil, errTooLarge
	}
	if x.r.Body == nil || x.r.Body == http.NoBody {
		return nil, nil
	}
	data, more, err := x.read(limit)
	if more {
		x.bodyRead = len(data) + 1
		return nil, errTooLarge
	}
	return data, err
}

// read reads up to limit bytes of the body, and reports whether the body has more. If at most
// firstRoom bytes are announced, the buffer has exactly that length.
func (x *exchange) read(limit int) (data []byte, more bool, err error) {
	if n := x.r.ContentLength; n >= 0 && n <= firstRoom {
		data = make([]byte, n)
		return data, false, x.readInTime(func(body io.Reader) error {
			_, err := io.ReadFull(body, data)
			return err
		})
	}
	err = x.readInTime(func(body io.Reader) (err error) {
		data, more, err = bounded.Read(body, int64(limit))
		return err
	})
	return data, more, err
}

// readInTime calls read with the body. read's time is bounded by the read timeout. readInTime
// turns an error of read into errSlow or errBroken.
func (x *exchange) readInTime(read func(body io.Reader) error) error {
	t := x.settings.readTimeout
	own := t > 0 && !x.serverBoundsRead(t)
	if own {
		x.setReadDeadline(time.Now().Add(t))
	}
	err := read(x.r.Body)
	if own {
		// Remove our deadline. While the handler runs, the server reads the connection to
		// notice that the client has disconnected. A deadline that passes would end that read
		// with an error, as a disconnect does. A deadline that the server has set, the server
		// removes itself.
		x.setReadDeadline(time.Time{})
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSlow
	}
	return errBroken
}

// serverBoundsRead reports whether the server has set a read deadline for the whole request
// that is no later than ours would be. Then ours is not set, which saves a timer for each
// request.
func (x *exchange) serverBoundsRead(t time.Duration) bool {
	s := x.server
	return s != nil && s.ReadTimeout > 0 && s.ReadTimeout <= t
}

// unknownLimit bounds the body of a call to a function that does not exist, in bytes. It equals
// the default limit of functions, so that the limit does not show whether the function exists.
const unknownLimit = 6 << 20

// discardBody reads the rest of the body of a call that is answered as if its function did not
// exist. why is the error of reading the body so far, or nil. Calls of unknown functions and of
// hidden ones both use discardBody, so that the connection is kept or closed alike for both.
func (x *exchange) discardBody(why error) {
	switch {
	case errors.Is(why, errSlow), errors.Is(why, errBroken), x.r.Body == nil:
		return
	case x.r.ContentLength > unknownLimit:
		x.closeConnection()
		return
	}
	more := false
	err := x.readInTime(func(body io.Reader) (err error) {
		more, err = bounded.Skip(body, int64(unknownLimit-x.bodyRead))
		return err
	})
	if err != nil || more {
		x.closeConnection()
	}
}

// closeConnection makes the server close the connection after the answer, because the rest of
// the body will not be read.
func (x *exchange) closeConnection() { x.w.Header().Set("Connection", "close") }
