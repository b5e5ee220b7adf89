package faas

import (
	"time"

	"github.com/google/uuid"
)

// Invocation describes one call. It is a copy: changing it does not change the call.
type Invocation struct {
	ID       uuid.UUID         // unique, a UUIDv7
	Function string            // the function's name
	Version  string            // the function's version
	Alias    string            // the alias by which it was called; empty: none, or the empty one
	Tenant   string            // for which tenant it runs, see WithTenant and WithTenantKey; empty: for none in particular
	Labels   map[string]string // the function's labels; all its calls share the map, so don't change it
	Parent   uuid.UUID         // the ID of the call whose handler made this one; zero if there is none
	Depth    int               // how many calls are above this one; 0 if Parent is zero
	Attempt  int               // 1 for the first; for a job, see Delivery
	Start    time.Time         // when the handler starts; zero in a Gate
	Deadline time.Time         // the caller's deadline, or Start + Timeout if that is earlier; zero in a Gate
	Timeout  time.Duration     // the function's, or Origin.Timeout if that is shorter
	Memory   int64             // declared by WithMemory, bytes
	Priority int               // among its tenant's calls, see WithPriority
	Origin   Origin            // where it comes from, see WithOrigin; a nested call has only RequestID and Key of it
	Job      uuid.UUID         // the job that this call is a delivery of; zero: it belongs to no job
	Items    int               // of the batch that the input of the job is, see WithItems; 0: it is none
	Delivery int               // the number of this delivery of the job, from 1; Attempt counts only deliveries that count as attempts; 0: no job
}

// Origin says where a call comes from. A front door sets it by [WithOrigin]. A call that Go
// code makes without WithOrigin has the zero Origin.
type Origin struct {
	Trigger   string        // what started the function: OpenTelemetry's faas.trigger ("http", "pubsub", "datasource", "timer", "other")
	Door      string        // the front door that the call came through: "http", "lambda", "url", "cloudevents", "mcp", …
	RequestID string        // the platform's own id of the request, beside the invocation's ID
	Timeout   time.Duration // how long the handler may run, if that is shorter than the function's timeout; 0: the function's
	Key       string        // by which sticky aliases choose a version; empty: the tenant
	ReplayOf  uuid.UUID     // the call, or of a job's calls the job, that this one makes again; zero: none
}

// Resolution is what a call was given to: see [WithResolution].
type Resolution struct {
	Function string // its name, without a qualifier
	Version  string // as in Invocation
	Alias    string // the alias by which it was called; empty: none, or the empty one
}
