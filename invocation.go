package faas

import (
	"time"

	"github.com/google/uuid"
)

// Invocation describes one call. It is a copy: changing it does not change the call.
type Invocation struct {
	ID       uuid.UUID         // unique, a UUIDv7
	Function string            // the function's name
	Version  string            // the function's version: a number as text, or $LATEST, see WithVersion
	Alias    string            // the alias by which the call was made; empty: none, or the alias ""
	Tenant   string            // the tenant that the call runs for, see WithTenant and WithTenantKey; empty: no particular tenant
	Labels   map[string]string // the function's labels; all its calls share the map, so don't change it
	Parent   uuid.UUID         // the ID of the call whose handler made this one; zero if there is none
	Depth    int               // how many calls are above this one; 0 if Parent is zero
	Attempt  int               // 1 for the first attempt; for a job, see Delivery
	Start    time.Time         // when the handler starts; zero in a Gate
	Deadline time.Time         // the caller's deadline, or Start + Timeout if that is earlier; zero in a Gate
	Timeout  time.Duration     // the function's, or Origin.Timeout if that is shorter
	Memory   int64             // in bytes, as declared by WithMemory
	Priority int               // among the waiting calls of its function and tenant, see WithPriority
	Origin   Origin            // where the call comes from, see WithOrigin; a nested call inherits only RequestID and Key
	Job      uuid.UUID         // the job that this call is a delivery of; zero: the call belongs to no job
	Items    int               // the size of the batch, if the job's input is a batch, see WithItems; 0: not a batch
	Delivery int               // the number of this delivery of the job, from 1; 0: no job. Attempt leaves out deliveries that don't count as attempts
}

// Origin describes where a call comes from. A front door sets it by [WithOrigin]. A call that Go
// code makes without WithOrigin has the zero Origin.
type Origin struct {
	Trigger   string        // what started the function, a value of OpenTelemetry's faas.trigger ("http", "pubsub", "datasource", "timer", "other")
	Door      string        // the front door that the call came through: "http", "lambda", "url", "cloudevents", "mcp", …
	RequestID string        // the id that the calling platform gave the request; the call's own ID is Invocation.ID
	Timeout   time.Duration // how long the handler may run, if that is shorter than the function's timeout; 0: the function's
	Key       string        // sticky aliases choose the version by this key; empty: by the tenant
	ReplayOf  uuid.UUID     // the call that this one repeats; for a call of a job, the job that the job repeats; zero: none
}

// Resolution is the function, and its version, that a call by name was passed to: see [WithResolution].
type Resolution struct {
	Function string // the function's name, without a version or an alias
	Version  string // as in Invocation
	Alias    string // the alias by which the call was made; empty: none, or the alias ""
}
