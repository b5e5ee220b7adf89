package observe

import (
	"strings"
	"sync"
)

// Other is the tenant of calls for which a [Recorder] keeps no tenant of their own, see
// [WithTenants] and [WithUsages], and the function of those for which it keeps none, see
// [WithFunctions]. A tenant that has this name is counted with them.
const Other = "other"

// owners is who has usage of its own: which tenants, and which tenants of a function. One
// that is in stays in, so that its counts don't end when others come.
type owners struct {
	mostTenants, mostUsages int

	mu      sync.Mutex // guards what follows. It may be taken while a stripe's mu is held
	tenants map[string]string
	usages  map[owner]bool
}

// owner is a tenant of a function and version.
type owner struct {
	seriesKey

	tenant string
}

func newOwners(tenants, usages int) owners {
	return owners{mostTenants: tenants, mostUsages: usages, tenants: map[string]string{}, usages: map[owner]bool{}}
}

// name returns the key to count under.
func (r *Recorder) name(key cellKey) cellKey {
	of := r.all.get(seriesKey{key.function, key.version}).key
	key.function, key.version = of.function, of.version
	key.tenant = r.owners.name(of, key.tenant)
	return key
}

// name returns the tenant to count under: its own name, as a copy, since it may be a slice of a
// whole request, or Other.
func (o *owners) name(of seriesKey, tenant string) string {
	if tenant == "" || tenant == Other {
		return tenant
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	own, known := o.tenants[tenant]
	if !known {
		if len(o.tenants) >= o.mostTenants {
			return Other
		}
		own = strings.Clone(tenant)
		o.tenants[own] = own
	}
	key := owner{of, own}
	if o.usages[key] {
		return own
	}
	if len(o.usages) >= o.mostUsages {
		return Other
	}
	o.usages[key] = true
	return own
}
