package faasconsole

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed static
var static embed.FS

// file is an embedded file, plain and compressed, with the headers that it is sent with.
type file struct {
	plain, packed []byte
	kind, tag     string
}

// files has the embedded files by their paths.
type files struct{ byPath map[string]*file }

// embedded reads and compresses the files once, for all handlers of the process. They never
// change.
var embedded = sync.OnceValue(func() *files { //nolint:gochecknoglobals // a cache of constants
	f := &files{byPath: map[string]*file{}}
	err := fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := static.ReadFile(name)
		if err == nil {
			f.byPath[strings.TrimPrefix(name, "static")] = pack(name, data)
		}
		return err
	})
	if err != nil {
		panic(err) // not possible: the files are embedded in the program
	}
	return f
})

func pack(name string, data []byte) *file {
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is valid, so there is no error
	_, _ = z.Write(data)                                       // a bytes.Buffer returns no error
	_ = z.Close()
	sum := sha256.Sum256(data)
	return &file{plain: data, packed: packed.Bytes(), kind: kindOf(name), tag: `"` + hex.EncodeToString(sum[:12]) + `"`}
}

// kindOf returns the media type of a file. It does not use the machine's own tables, which may
// have another type for scripts.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case "":
		return "text/plain; charset=utf-8"
	}
	return mime.TypeByExtension(path.Ext(name))
}

// serve sends a file. The browser must revalidate each file before each use (no-cache), and
// gets 304 if the file has not changed. So a new version of the host shows its new page at
// once.
func (f *files) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "The page can only be read.", http.StatusMethodNotAllowed)
		return
	}
	name := r.URL.Path
	if name == "/" {
		name = "/index.html"
	}
	one := f.byPath[name]
	if one == nil {
		http.NotFound(w, r)
		return
	}
	one.send(w, r)
}

func (one *file) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", one.kind)
	h.Set("Cache-Control", "no-cache")
	h.Set("Etag", one.tag)
	h.Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("If-None-Match"), one.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := one.plain
	if acceptsGzip(r.Header.Get("Accept-Encoding")) && len(one.packed) < len(body) {
		h.Set("Content-Encoding", "gzip")
		body = one.packed
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // an error means that the browser has gone
	}
}

// acceptsGzip reports whether Accept-Encoding (RFC 9110, section 12.5.3) names gzip with a
// weight other than 0. It ignores all other codings in the header.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.TrimSpace(name) == "gzip" {
			q := strings.TrimSpace(weight)
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}
