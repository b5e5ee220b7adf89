package admin

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/inproc/faas/access"
)

// The results of a request: the field Result of [Entry] and [AuditEntry].
const (
	ResultDone    = "done"    // permitted and done
	ResultDenied  = "denied"  // denied by the authorizer, or without a principal
	ResultRefused = "refused" // permitted, but not done: the request is invalid, changes are switched off, or the object does not exist
	ResultFailed  = "failed"  // permitted and tried, but it failed
)

// Entry describes one request, for the function of [WithAudit]. Fields that come from the
// request, such as Path and Object, may contain anything that a URL can; they are cut to a few
// hundred bytes. An Entry has no input and no output.
type Entry struct {
	Time      time.Time        // when the request began
	Took      time.Duration    // until the answer was written; for a stream until it ended
	Principal access.Principal // of the request; must not be changed
	From      string           // the address of the client, or of the last proxy
	Verb      string           // the action, for example "alias.set"; empty: the API has no such path
	Right     access.Right     // the right that the verb needs
	Method    string
	Path      string
	Function  string // the function that the request is about; empty: none
	Tenant    string
	Object    string // the ID of the job or call, or the name of the alias or source
	Detail    string // the change, for example "1: 90, 2: 10"
	Status    int    // of the answer
	Result    string // ResultDone and so on
}

// isKept reports whether the handler keeps an entry that was not denied.
func (e *Entry) isKept() bool {
	return e.Method != "GET" && e.Method != "HEAD" || e.Right == access.SeeInputs || e.Right == access.SeeStacks
}

// keptEntries is how many entries each list of a trail keeps.
const keptEntries = 1000

// trail keeps the last entries. Denied ones have a list of their own, so that many of them do
// not displace the others.
type trail struct {
	mu           sync.Mutex
	done, denied []Entry // the oldest first
}

func (t *trail) add(e Entry) {
	list := &t.done
	if e.Result == ResultDenied {
		list = &t.denied
	} else if !e.isKept() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(*list) == keptEntries {
		*list = slices.Delete(*list, 0, 1)
	}
	*list = append(*list, e)
}

// all returns the kept entries, the newest first.
func (t *trail) all() []Entry {
	t.mu.Lock()
	all := slices.Concat(t.done, t.denied)
	t.mu.Unlock()
	slices.SortStableFunc(all, func(a, b Entry) int { return b.Time.Compare(a.Time) })
	return all
}

// AuditEntry is an [Entry] in the API.
type AuditEntry struct {
	Time     time.Time `json:"time"`
	TookNS   Int       `json:"tookNS"`
	Who      Principal `json:"who"`
	From     string    `json:"from"`
	Verb     string    `json:"verb"`
	Right    string    `json:"right"`
	Method   string    `json:"method"`
	Path     string    `json:"path"`
	Function string    `json:"function,omitempty"`
	Tenant   string    `json:"tenant,omitempty"`
	Object   string    `json:"object,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	Status   int       `json:"status"`
	Result   string    `json:"result"`
}

// Audit is the answer of GET /v1/audit: the newest entries first.
type Audit struct {
	Entries []AuditEntry `json:"entries"`
}

// Principal identifies a principal in the API. It has no claims.
type Principal struct {
	Kind   string   `json:"kind"`
	ID     string   `json:"id"`
	Tenant string   `json:"tenant,omitempty"`
	Roles  []string `json:"roles,omitempty"`
}

func shownPrincipal(p access.Principal) Principal {
	return Principal{Kind: cmp.Or(string(p.Kind), "anonymous"), ID: p.ID, Tenant: p.Tenant, Roles: p.Roles}
}

func (e *Entry) shown() AuditEntry {
	return AuditEntry{
		Time: e.Time, TookNS: Int(e.Took), Who: shownPrincipal(e.Principal), From: e.From, Verb: e.Verb, Right: string(e.Right),
		Method: e.Method, Path: e.Path, Function: e.Function, Tenant: e.Tenant, Object: e.Object, Detail: e.Detail,
		Status: e.Status, Result: e.Result,
	}
}
