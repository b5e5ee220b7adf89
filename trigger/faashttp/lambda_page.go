package faashttp

import (
	"encoding/base64"
	"iter"
	"net/http"
	"strconv"
)

// maxPage bounds the entries of a page, even if the request asks for more. It is Lambda's
// bound.
const maxPage = 50

// page reads which part of a list a request asks for: at most size entries, behind the key
// after. An empty after means the beginning of the list.
func page(r *http.Request, isKey func(string) bool) (size int, after string, apiErr *apiError) {
	size = maxPage
	q := r.URL.Query()
	if s := q.Get("MaxItems"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 10000 {
			return 0, "", invalidField("maxItems", s, "Member must have a value between 1 and 10000")
		}
		size = min(n, maxPage)
	}
	if s := q.Get("Marker"); s != "" {
		key, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil || !isKey(string(key)) {
			return 0, "", invalidParameter("The marker is not one of this host's.")
		}
		after = string(key)
	}
	return size, after, nil
}

// cut returns the first size entries of a list, and the marker of the next page if there is
// one. The marker is the key of the last entry. A position instead of a key would skip or
// repeat entries if others were added or removed in between.
func cut[T any](all iter.Seq[T], size int, key func(T) string) (part []T, next *string) {
	part = []T{} // not nil, because nil would be null in the JSON
	for entry := range all {
		if len(part) == size {
			marker := base64.RawURLEncoding.EncodeToString([]byte(key(part[size-1])))
			return part, &marker
		}
		part = append(part, entry)
	}
	return part, nil
}
