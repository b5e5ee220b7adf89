package access

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/inproc/faas"
)

// Carrier takes the principal of a job's sender ([Caller]) along with the job. Its
// deliveries are judged again, each as a call of that principal:
//
//	faas.New(faas.WithCarrier(access.Carrier()), faas.WithGate(gate))
//
// Without it they are calls of the anonymous principal, and a job that was accepted may be
// dead as denied. The record of the job has the whole principal, with its claims.
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
		return nil, fmt.Errorf("access: the principal of a job: %w", err)
	}
	return WithPrincipal(ctx, p), nil
}
