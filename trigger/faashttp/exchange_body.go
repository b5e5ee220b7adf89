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

// firstRoom is the most memory that a client gets for only announcing a body.
// Beyond it the buffer grows with the bytes that really arrive.
const firstRoom = 64 << 10

// body reads the request's body. It refuses one of more than limit bytes, by its announced
// length or as soon as one byte more has come. It is called before the router knows of the call, so that a slow client holds no slot.
// It refuses bodies with a Content-Encoding.
func (x *exchange) body(limit int) ([]byte, error) {
	if isEncoded(x.r.Header) {
		return nil, errEncoding
	}
	return x.rawBody(limit)
}

// isEncoded reports whether the body has an encoding of its own, such as gzip.
func isEncoded(h http.Header) bool {
	for _, e := range h["Content-Encoding"] {
		if e != "" && !strings.EqualFold(e, "identity") {
			return true
		}
	}
	return false
}

// rawBody is like body, the limit included, but takes any Content-Encoding and leaves it
// undecoded.
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

// read reads the body up to limit and reports whether there is more. A body that
// announces at most firstRoom bytes gets a buffer of exactly that length.
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

// readInTime runs read on the body within the read timeout, and turns its error
// into errSlow or errBroken.
func (x *exchange) readInTime(read func(body io.Reader) error) error {
	t := x.settings.readTimeout
	own := t > 0 && !x.serverBoundsRead(t)
	if own {
		x.setReadDeadline(time.Now().Add(t))
	}
	err := read(x.r.Body)
	if own {
		// From here on the server reads the connection only to notice that the
		// client has left, and a deadline that passes would look like that. The
		// server removes a deadline of its own itself.
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

// serverBoundsRead reports whether the server has set a read deadline for the whole
// request that is no later than ours would be. Ours would cost a timer for each
// request.
func (x *exchange) serverBoundsRead(t time.Duration) bool {
	s := x.server
	return s != nil && s.ReadTimeout > 0 && s.ReadTimeout <= t
}

// unknownLimit bounds the body of a call to a function that does not exist. It is
// the default limit of a function that does exist, so that the two can't be told
// apart.
const unknownLimit = 6 << 20

// discardBody reads the rest of the body of a call that is answered as if its
// function did not exist; why is the error of reading it, or nil. Calls of unknown
// functions and of hidden ones both pass through here, so that what the connection
// does afterwards does not tell them apart either.
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

// closeConnection has the server close the connection after the answer, since more
// of the body is coming than will be read.
func (x *exchange) closeConnection() { x.w.Header().Set("Connection", "close") }
