package access_test

import (
	"context"
	"testing"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
)

// BenchmarkAuthorizer/<how> measures a decision of an authorizer with three rules.
func BenchmarkAuthorizer(b *testing.B) {
	rules := access.Rules{
		{Functions: []string{"a"}, Principals: []string{"user:x"}},
		{Functions: []string{"b-*"}, Roles: []string{"admin"}},
		{Functions: []string{"*"}, Principals: []string{"user:ana"}, AnyTenant: true},
	}
	ctx := access.WithPrincipal(context.Background(), ana)
	inv := faas.Invocation{Function: "f"}
	for name, g := range map[string]faas.Gate{
		"inline":    access.Authorizer(rules.Authorize, access.WithInline()),
		"goroutine": access.Authorizer(rules.Authorize),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := g.Admit(ctx, inv); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
