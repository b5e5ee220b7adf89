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
	Attempt  int               // 1 for the first
	Start    time.Time         // of the handler; zero in a Gate
	Deadline time.Time         // the earlier of the caller's and Start + Timeout; zero in a Gate
	Timeout  time.Duration     // the function's
	Memory   int64             // declared by WithMemory, bytes
	Priority int               // among its tenant's calls, see WithPriority
}
