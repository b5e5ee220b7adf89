package faas

import (
	"time"

	"github.com/google/uuid"
)

// Invocation tells about one call. It is a value: what is done to it has no
// effect on the call.
type Invocation struct {
	ID       uuid.UUID         // unique, a UUIDv7
	Function string            // its name
	Version  string            // its version
	Tenant   string            // for which tenant it runs, see WithTenant and WithTenantKey; empty: for none in particular
	Labels   map[string]string // the function's; shared by all its calls, not to be changed
	Parent   uuid.UUID         // the invocation that made this one; zero for a root
	Depth    int               // how many invocations are above this one; 0 for a root
	Attempt  int               // 1 for the first; for a job, see Delivery
	Start    time.Time         // of the handler; zero in a Gate
	Deadline time.Time         // the earlier of the caller's and Start + Timeout; zero in a Gate
	Timeout  time.Duration     // the function's, or Origin.Timeout if that is shorter
	Memory   int64             // declared by WithMemory, bytes
	Priority int               // among its tenant's calls, see WithPriority
	Origin   Origin            // where it comes from, see WithOrigin; for a nested call RequestID and Key only
	Job      uuid.UUID         // the job that it is a delivery of; zero: it is none of a job's
	Delivery int               // which delivery of that job, 1 for the first; Attempt counts only those that count as attempts; 0: no job
}

// Origin says where a call comes from. A front door knows it, and sets it by
// [WithOrigin]. The zero Origin is that of a call in code.
type Origin struct {
	Trigger   string        // what started the function: OpenTelemetry's faas.trigger ("http", "pubsub", "datasource", "timer", "other")
	Door      string        // the front door that the call came through: "http", "lambda", "url", "cloudevents", "mcp", …
	RequestID string        // the platform's own id of the request, beside the invocation's ID
	Timeout   time.Duration // how long the handler may run, if that is shorter than the function's timeout; 0: the function's
	Key       string        // by which sticky aliases choose a version; empty: the tenant
}
