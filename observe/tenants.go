package observe

import (
	"strings"
	"sync"
)

// Other is the tenant of calls for which a [Recorder] keeps no tenant of their own, see
// [WithTenants]. A tenant that has this name is counted with them.
const Other = "other"

// tenants is which tenants have usage of their own. A tenant that is in stays in, so that
// its counts don't end when others come.
type tenants struct {
	most  int
	mu    sync.Mutex // guards known. It may be taken while a stripe's mu is held
	known map[string]string
}

func newTenants(most int) tenants { return tenants{most: most, known: map[string]string{}} }

// name returns the name to count under: the tenant's own, as a copy, since it may be a slice of a
// whole request, or Other.
func (t *tenants) name(tenant string) string {
	if tenant == "" || tenant == Other {
		return tenant
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if own, ok := t.known[tenant]; ok {
		return own
	}
	if len(t.known) >= t.most {
		return Other
	}
	own := strings.Clone(tenant)
	t.known[own] = own
	return own
}
