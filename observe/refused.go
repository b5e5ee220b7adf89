package observe

import (
	"cmp"
	"slices"
	"strings"

	"github.com/inproc/faas"
)

// TenantRefusals counts the calls of a tenant that a version of a function has refused for one reason.
type TenantRefusals struct {
	Function string // Other: the recorder has no room for the function, see WithFunctions
	Version  string
	Tenant   string // empty: calls without a tenant; Other: the recorder has no room for the tenant of the function
	Reason   faas.Reason
	Calls    uint64
}

// refusedKey is the key by which refusals of tenants are counted.
type refusedKey struct {
	owner

	reason faas.Reason
}

// refuse counts a refusal for its tenant, under the names that the tenant's usage is counted
// under. s.mu must be held.
func (s *stripe) refuse(ref *faas.Refusal, reason faas.Reason) {
	of := s.recorder.name(cellKey{function: ref.Function, version: ref.Version, tenant: ref.Tenant})
	if s.refused == nil {
		s.refused = map[refusedKey]uint64{}
	}
	s.refused[refusedKey{owner{seriesKey{of.function, of.version}, of.tenant}, reason}]++
}

// TenantRefusals returns how many calls of each tenant were refused since the recorder was
// made, by function, version, tenant and reason, and sorted by these. A reason for which there
// is no room is [OtherReason]. Refusals of names that are not registered have no tenant, and
// are left out. Refused deliveries of jobs are counted too. [WithTenants] and [WithUsages]
// bound how many tenants are counted by name.
func (r *Recorder) TenantRefusals() []TenantRefusals {
	merged := map[refusedKey]uint64{}
	for i := range r.stripes {
		r.stripes[i].addRefused(merged)
	}
	all := make([]TenantRefusals, 0, len(merged))
	for k, calls := range merged {
		all = append(all, TenantRefusals{k.function, k.version, k.tenant, k.reason, calls})
	}
	slices.SortFunc(all, func(a, b TenantRefusals) int {
		return cmp.Or(strings.Compare(a.Function, b.Function), strings.Compare(a.Version, b.Version), strings.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Reason, b.Reason))
	})
	return all
}

// addRefused adds the refusals that the stripe has counted.
func (s *stripe) addRefused(to map[refusedKey]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, calls := range s.refused {
		to[key] += calls
	}
}
