package faashttp

import (
	"encoding/base64"
	"math"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/inproc/faas"
)

// listing answers the operations that say which functions there are. A caller sees
// only functions that no gate denies it.
type listing struct {
	router  *faas.Router
	address address
	since   time.Time // when the wire was made, which all functions give as LastModified
}

// configuration is what Lambda tells of a function. Fields that mean nothing in a
// process have the plainest value that AWS's clients accept.
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

func (l *listing) configuration(i faas.Info) configuration {
	c := configuration{
		FunctionName: i.Name, FunctionArn: l.address.arn(i.Name, ""), Version: latest,
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

// find returns the function that a request names, if its caller may know of it.
// Otherwise it answers as for an unknown function.
func (l *listing) find(x *exchange) (faas.Info, bool) {
	t, apiErr := targetOf(x.r)
	if apiErr == nil {
		info, err := l.router.Info(t.name)
		if err == nil && l.address.isHere(t) && !x.isDenied(l.router, t.name) {
			return info, true
		}
		apiErr = l.address.notFound(t)
	}
	x.refuse(apiErr)
	return faas.Info{}, false
}

func (l *listing) getConfiguration(x *exchange) {
	if info, ok := l.find(x); ok {
		x.reply(http.StatusOK, "application/json", mustJSON(l.configuration(info)))
	}
}

func (l *listing) getFunction(x *exchange) {
	info, ok := l.find(x)
	if !ok {
		return
	}
	doc := struct {
		Configuration configuration
		Code          struct{}
		Tags          map[string]string `json:",omitempty"`
		Concurrency   any               `json:",omitempty"`
	}{Configuration: l.configuration(info), Tags: info.Labels}
	if info.Limit < math.MaxInt32 {
		doc.Concurrency = struct{ ReservedConcurrentExecutions int }{info.Limit}
	}
	x.reply(http.StatusOK, "application/json", mustJSON(doc))
}

// maxPage is how many functions Lambda lists at once, even if more are asked for.
const maxPage = 50

// listFunctions answers one page. Names are sorted, so that a page begins after the
// name in the marker.
func (l *listing) listFunctions(x *exchange) {
	size, after, apiErr := page(x.r)
	if apiErr != nil {
		x.refuse(apiErr)
		return
	}
	doc := struct {
		Functions  []configuration
		NextMarker *string
	}{Functions: []configuration{}}
	for info := range l.router.Functions() {
		if info.Name <= after || x.isDenied(l.router, info.Name) {
			continue
		}
		if len(doc.Functions) == size {
			next := marker(doc.Functions[size-1].FunctionName)
			doc.NextMarker = &next
			break
		}
		doc.Functions = append(doc.Functions, l.configuration(info))
	}
	x.reply(http.StatusOK, "application/json", mustJSON(doc))
}

// page reads which part of the list is asked for: how many functions, after which
// name.
func page(r *http.Request) (size int, after string, apiErr *apiError) {
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
		name, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil || !isName(string(name)) {
			return 0, "", invalidParameter("The marker is not one of this host's.")
		}
		after = string(name)
	}
	return size, after, nil
}

// marker encodes the name of a page's last function. A name, not a position: then
// the next page is right even if functions were added or removed in between.
func marker(last string) string { return base64.RawURLEncoding.EncodeToString([]byte(last)) }

// getAccount answers the router's capacity as the account's limits.
func (l *listing) getAccount(x *exchange) {
	type limit struct {
		TotalCodeSize, CodeSizeUnzipped, CodeSizeZipped      int64
		ConcurrentExecutions, UnreservedConcurrentExecutions int
	}
	stats, visible := l.router.Stats(), 0
	for info := range l.router.Functions() {
		if !x.isDenied(l.router, info.Name) {
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
