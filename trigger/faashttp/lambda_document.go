package faashttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"
)

// maxDocument bounds the body, in bytes, of an operation that is not an invocation.
const maxDocument = 64 << 10

// document reads the body of an operation as JSON into doc, and checks the request's signature.
// An empty body leaves doc unchanged. It returns false, and has answered the request, if the
// body can't be read or the signature is wrong. Checks that depend on a function come after
// document.
func (l *Lambda) document(x *exchange, doc any) bool {
	body, err := x.body(maxDocument)
	if l.secret != nil && err == nil {
		if forged := l.verifier.verify(x.r, body); forged != nil {
			x.refuse(forged)
			return false
		}
	}
	if err != nil {
		x.closeConnection()
		x.refuse(documentError(err))
		return false
	}
	if apiErr := decodeDocument(body, doc); apiErr != nil {
		x.refuse(apiErr)
		return false
	}
	return true
}

func documentError(err error) *apiError {
	if errors.Is(err, errTooLarge) {
		return &apiError{
			status: http.StatusRequestEntityTooLarge, kind: "RequestTooLargeException", source: "User",
			message: fmt.Sprintf("Request must be smaller than %d bytes for this operation", maxDocument),
		}
	}
	return bodyError(err, maxDocument)
}

// decodeDocument ignores unknown fields, because clients may use a newer version of the API.
func decodeDocument(body []byte, doc any) *apiError {
	if len(body) == 0 {
		return nil
	}
	err := json.Unmarshal(body, doc)
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType):
		return &apiError{
			status: http.StatusBadRequest, kind: "SerializationException",
			message: fmt.Sprintf("A %s can't be the value of %s.", wrongType.Value, wrongType.Field),
		}
	case err != nil || !utf8.Valid(body):
		return invalidContent("Could not parse request body into json: " + syntaxError(body))
	}
	return nil
}
