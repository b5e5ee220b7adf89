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

// firstRoom is how much memory a client gets for announcing a body: the rest
// is for sending it.
const firstRoom = 64 << 10

// body reads the request's body to its end, before the router hears of the
// call: how slowly it comes is then nobody's slot. It reads one byte beyond
// limit at the most.
func (x *exchange) body(limit int) ([]byte, error) {
	if isEncoded(x.r.Header) {
		return nil, errEncoding
	}
	return x.rawBody(limit)
}

// isEncoded tells whether a body comes in an encoding of its own, such as gzip.
func isEncoded(h http.Header) bool {
	for _, e := range h["Content-Encoding"] {
		if e != "" && !strings.EqualFold(e, "identity") {
			return true
		}
	}
	return false
}

// rawBody is body, in whatever encoding it comes.
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

// read takes the body up to limit, and tells whether there is more. One whose
// announced length costs little is read into just that.
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

// readInTime reads the body within its time.
func (x *exchange) readInTime(read func(body io.Reader) error) error {
	t := x.settings.readTimeout
	own := t > 0 && !x.serverBoundsRead(t)
	if own {
		x.setReadDeadline(time.Now().Add(t))
	}
	err := read(x.r.Body)
	if own {
		// From here on the server reads the connection only to see whether the
		// client is still there; a deadline would look as if it had gone. One of
		// its own it lifts itself.
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

// serverBoundsRead tells whether the server has set a deadline for the whole request
// that leaves no more than this time: another costs a timer for each request.
func (x *exchange) serverBoundsRead(t time.Duration) bool {
	s := x.server
	return s != nil && s.ReadTimeout > 0 && s.ReadTimeout <= t
}

// unknownLimit is how much is read for a function that is not there: as much
// as by default for one that is.
const unknownLimit = 6 << 20

// discardBody takes the body of a call that is answered as if its function were not
// there, and what was wrong with the body does not matter. It is what both
// kinds go through, so that not even the connection tells them apart.
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

// closeConnection ends the connection with the answer, since there is more to come on it
// than anybody wants to read.
func (x *exchange) closeConnection() { x.w.Header().Set("Connection", "close") }
