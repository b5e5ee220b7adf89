package observe

import (
	"strings"
	"sync"
)

// Other is the tenant under which a [Recorder] counts calls when it has no room for their own
// tenant, see [WithTenants] and [WithUsages]. It is also the function under which calls are
// counted when there is no room for their function, see [WithFunctions]. A tenant that is
// really named so is counted with them.
const Other = "other"

// owners lists the tenants that are counted by name, and those that are counted so for a
// function. An entry is never removed, so that its counts never end when other tenants come.
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

// name returns the key under which usage is counted.
func (r *Recorder) name(key cellKey) cellKey {
	of := r.all.get(seriesKey{key.function, key.version}).key
	key.function, key.version = of.function, of.version
	key.tenant = r.owners.name(of, key.tenant)
	return key
}

// name returns the tenant under which usage is counted: Other, or the tenant's own name. That
// is a copy, because the argument may be a part of the memory of a whole request.
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
