package access

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/inproc/faas"
)

// Carrier stores the principal of a job's sender ([Caller]) together with the job. Each of the
// job's deliveries is then checked again as a call of that principal:
//
//	faas.New(faas.WithCarrier(access.Carrier()), faas.WithGate(gate))
//
// Without it, deliveries are calls of the anonymous principal: a job may be accepted, and then
// be dead because its deliveries are denied. The record of the job has the whole principal,
// with its claims.
func Carrier() faas.Carrier { return faas.Carrier{Name: "access", Save: save, Restore: restore} }

func save(ctx context.Context) ([]byte, error) {
	p := Caller(ctx)
	if p.Kind == Anonymous && p.ID == "" && p.Tenant == "" && len(p.Roles) == 0 && len(p.Claims) == 0 {
		return nil, nil
	}
	return json.Marshal(p)
}

func restore(ctx context.Context, saved []byte) (context.Context, error) {
	var p Principal
	if err := json.Unmarshal(saved, &p); err != nil {
		return nil, fmt.Errorf("access: the principal saved with a job is malformed: %w", err)
	}
	return WithPrincipal(ctx, p), nil
}
