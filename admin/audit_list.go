package admin

import "github.com/inproc/faas/access"

// auditTrail lists the kept entries. A viewer who may not manage the whole host gets only the
// entries about the functions and tenants that the viewer may manage.
func (x *exchange) auditTrail() (any, error) {
	limit, err := x.limit(100)
	if err != nil {
		return nil, err
	}
	all, out := x.allowsAll(access.Manage, ""), Audit{Entries: []AuditEntry{}}
	for _, e := range x.h.trail.all() {
		if len(out.Entries) == limit {
			break
		}
		if all || e.Function != "" && x.allows(access.Manage, e.Function, e.Tenant) {
			out.Entries = append(out.Entries, e.shown())
		}
	}
	return out, nil
}
