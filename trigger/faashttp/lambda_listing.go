package faashttp

import (
	"iter"
	"math"
	"net/http"
	"runtime"
	"slices"
	"strings"

	"github.com/inproc/faas"
)

// configuration is the API's JSON document about a function. A field that has no meaning in a
// process has a constant value that AWS's clients accept.
type configuration struct {
	FunctionName, FunctionArn, Version, Runtime, Role, Handler, Description string

	CodeSize     int64
	CodeSha256   string
	Timeout      int
	MemorySize   int64
	LastModified string
	RevisionID   string `json:"RevisionId"`
	PackageType  string

	Architectures           []string
	TracingConfig           struct{ Mode string }
	EphemeralStorage        struct{ Size int }
	State, LastUpdateStatus string
}

// configuration describes a version. qualifier is the one in the request; it becomes a part of
// the ARN.
func (l *Lambda) configuration(i faas.Info, qualifier string) configuration {
	c := configuration{
		FunctionName: i.Name, FunctionArn: l.address.arn(i.Name, qualifier), Version: i.Version,
		Runtime: "provided.al2023", Role: "arn:aws:iam::" + l.address.account + ":role/faas", Handler: i.Name,
		Timeout: int(math.Ceil(i.Timeout.Seconds())), MemorySize: max(1, i.Memory>>20),
		LastModified: l.since.UTC().Format("2006-01-02T15:04:05.000-0700"), RevisionID: "00000000-0000-4000-8000-000000000000",
		PackageType: "Zip", Architectures: []string{"x86_64"}, State: "Active", LastUpdateStatus: "Successful",
	}
	c.TracingConfig.Mode, c.EphemeralStorage.Size = "PassThrough", 512
	if runtime.GOARCH == "arm64" {
		c.Architectures[0] = "arm64"
	}
	return c
}

// find returns the function or the version that a request names. For an alias it returns the
// alias's FunctionVersion. If there is no such function or version, or the caller may not know
// of it, find answers the request as for an unknown function and returns false.
func (l *Lambda) find(x *exchange) (c configuration, i faas.Info, ok bool) {
	t, apiErr := targetOf(x.r)
	if apiErr == nil {
		apiErr = l.address.notFound(t)
		if info, found := l.look(x, t); found && l.address.isHere(t) {
			return l.configuration(info, t.qualifier), info, true
		}
	}
	x.refuse(apiErr)
	return c, i, false
}

// look returns the Info of a target if the caller may know of the target.
func (l *Lambda) look(x *exchange, t target) (i faas.Info, found bool) {
	all := l.versions(x, t.name)
	version := t.qualifier
	if version == "" {
		return l.whole(t.name, all)
	}
	if a, isAlias := l.alias(t.name, version); isAlias {
		version = versionText(l.mains.of(a))
	}
	for _, i := range all {
		if i.Version == version {
			return i, true
		}
	}
	return i, false
}

// whole returns the Info of a function as a whole: that of the version that a call without a
// qualifier runs. all are the versions that the caller may know of. If the version of such a
// call is not one of them, whole returns the newest of all.
func (l *Lambda) whole(name string, all []faas.Info) (i faas.Info, found bool) {
	i, err := l.router.Info(name)
	if err != nil || len(all) == 0 {
		return i, false
	}
	if slices.ContainsFunc(all, func(v faas.Info) bool { return v.Version == i.Version }) {
		return i, true
	}
	return all[len(all)-1], true
}

func (l *Lambda) getConfiguration(x *exchange) {
	if c, _, ok := l.find(x); ok {
		x.reply(http.StatusOK, "application/json", mustJSON(c))
	}
}

func (l *Lambda) getFunction(x *exchange) {
	c, info, ok := l.find(x)
	if !ok {
		return
	}
	doc := struct {
		Configuration configuration
		Code          struct{}
		Tags          map[string]string `json:",omitempty"`
		Concurrency   any               `json:",omitempty"`
	}{Configuration: c, Tags: info.Labels}
	if info.Limit < math.MaxInt32 {
		doc.Concurrency = struct{ ReservedConcurrentExecutions int }{info.Limit}
	}
	x.reply(http.StatusOK, "application/json", mustJSON(doc))
}

// listFunctions answers with one page of the functions, sorted by name. With
// FunctionVersion=ALL the page has an entry for each version.
func (l *Lambda) listFunctions(x *exchange) {
	size, after, apiErr := page(x.r, func(key string) bool {
		t, ok := parseTarget(key)
		return ok && t.region == "" && t.account == ""
	})
	kind := x.r.URL.Query().Get("FunctionVersion")
	if kind != "" && kind != "ALL" {
		apiErr = firstOf(apiErr, invalidField("functionVersion", kind, "Member must satisfy enum value set: [ALL]"))
	}
	if apiErr != nil {
		x.refuse(apiErr)
		return
	}
	entries, key := l.names(x, after), func(c configuration) string { return c.FunctionName }
	if kind == "ALL" {
		entries, key = l.allVersions(x, after), func(c configuration) string { return c.FunctionName + ":" + c.Version }
	}
	var doc struct {
		Functions  []configuration
		NextMarker *string
	}
	doc.Functions, doc.NextMarker = cut(entries, size, key)
	x.reply(http.StatusOK, "application/json", mustJSON(doc))
}

// names yields the functions that a caller may know of and whose name is greater than after.
func (l *Lambda) names(x *exchange, after string) iter.Seq[configuration] {
	return func(yield func(configuration) bool) {
		for info := range l.router.Functions() {
			if info.Name <= after {
				continue
			}
			if one, found := l.whole(info.Name, l.versions(x, info.Name)); found && !yield(l.configuration(one, "")) {
				return
			}
		}
	}
}

// allVersions yields the versions of all functions. It begins behind after, which is
// name:version.
func (l *Lambda) allVersions(x *exchange, after string) iter.Seq[configuration] {
	name, version, _ := strings.Cut(after, ":")
	return func(yield func(configuration) bool) {
		for info := range l.router.Functions() {
			if info.Name < name {
				continue
			}
			last := ""
			if info.Name == name {
				last = version
			}
			for c := range l.versionsAfter(x, info.Name, last) {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// getAccount answers with the router's capacity as the limits of the account.
func (l *Lambda) getAccount(x *exchange) {
	type limit struct {
		TotalCodeSize, CodeSizeUnzipped, CodeSizeZipped      int64
		ConcurrentExecutions, UnreservedConcurrentExecutions int
	}
	stats, visible := l.router.Stats(), 0
	for info := range l.router.Functions() {
		if len(l.versions(x, info.Name)) > 0 {
			visible++
		}
	}
	x.reply(http.StatusOK, "application/json", mustJSON(struct {
		AccountLimit limit
		AccountUsage struct {
			TotalCodeSize int64
			FunctionCount int
		}
	}{
		AccountLimit: limit{ConcurrentExecutions: stats.Capacity, UnreservedConcurrentExecutions: stats.Capacity},
		AccountUsage: struct {
			TotalCodeSize int64
			FunctionCount int
		}{FunctionCount: visible},
	}))
}
