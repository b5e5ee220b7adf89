package faashttp

import (
	"iter"
	"net/http"

	"github.com/inproc/faas"
)

// manageVersions is manage for a request about a function's versions. It also reads which part
// of the list the request asks for, see page.
func (l *Lambda) manageVersions(x *exchange) (t target, size int, after string, ok bool) {
	if t, ok = l.manage(x, nil); !ok {
		return t, 0, "", false
	}
	size, after, apiErr := page(x.r, func(key string) bool { _, ok := parseVersion(key); return ok })
	if apiErr != nil {
		x.refuse(apiErr)
		return t, 0, "", false
	}
	return t, size, after, true
}

// listVersions answers with a function's versions: $LATEST first, then the others by number.
func (l *Lambda) listVersions(x *exchange) {
	t, size, after, ok := l.manageVersions(x)
	if !ok {
		return
	}
	var doc struct {
		Versions   []configuration
		NextMarker *string
	}
	doc.Versions, doc.NextMarker = cut(l.versionsAfter(x, t.name, after), size, func(c configuration) string { return c.Version })
	x.reply(http.StatusOK, "application/json", mustJSON(doc))
}

// versionsAfter yields the versions of a function that a caller may know of and whose number is
// greater than after.
func (l *Lambda) versionsAfter(x *exchange, name, after string) iter.Seq[configuration] {
	return func(yield func(configuration) bool) {
		for info := range l.infosAfter(x, name, after) {
			if !yield(l.configuration(info, info.Version)) {
				return
			}
		}
	}
}

// infosAfter is versionsAfter, but yields the router's Info of each version.
func (l *Lambda) infosAfter(x *exchange, name, after string) iter.Seq[faas.Info] {
	last := -1
	if after != "" {
		last, _ = parseVersion(after)
	}
	return func(yield func(faas.Info) bool) {
		for _, info := range l.versions(x, name) {
			if number, _ := parseVersion(info.Version); number > last && !yield(info) {
				return
			}
		}
	}
}

// publishVersion always refuses. If the caller may not know of the function, manage has
// answered before. Of the errors that the API's model gives PublishVersion, this is the one
// that no client takes for a temporary state: SDKs don't retry it. Some tools wait for a
// ResourceConflictException to pass, and would wait without end.
func (l *Lambda) publishVersion(x *exchange) {
	if _, ok := l.manage(x, &struct{}{}); ok {
		x.refuse(invalidParameter("Versions can't be published here, because they are compiled into the host: " +
			"register the function with faas.WithVersion in its program, and point an alias at the version."))
	}
}

// versions returns the versions of a function that a caller may know of.
func (l *Lambda) versions(x *exchange, name string) (all []faas.Info) {
	infos, _ := l.router.Versions(name) // an error means that there is no such function
	for _, info := range infos {
		if !x.isDenied(l.router, name+":"+info.Version) {
			all = append(all, info)
		}
	}
	return all
}
