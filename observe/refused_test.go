package observe_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/observe"
)

func refusal(function, tenant string, reason faas.Reason) faas.Refusal {
	return faas.Refusal{Invocation: faas.Invocation{Function: function, Version: "1", Tenant: tenant}, Kind: faas.KindBusy, Reason: reason}
}

func TestRefusalsAreCountedByTenant(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	r := watched(t, rec)
	faas.Register(r, "f", func(context.Context, int) (int, error) { return 0, nil }, faas.WithConcurrency(0))
	faas.Register(r, "g", func(context.Context, int) (int, error) { return 0, nil })
	for _, tenant := range []string{"acme", "acme", "bolt", ""} {
		_, err := r.Invoke(faas.WithTenant(t.Context(), tenant), "f", []byte("1"))
		require.Error(t, err)
	}
	_, err := r.Invoke(faas.WithTenant(t.Context(), "acme"), "g", []byte("no number"))
	require.Error(t, err)
	_, err = r.Invoke(faas.WithTenant(t.Context(), "acme"), "absent", nil)
	require.Error(t, err)
	const version = "$LATEST"
	assert.Equal(t, []observe.TenantRefusals{
		{Function: "f", Version: version, Tenant: "", Reason: faas.ReasonOff, Calls: 1},
		{Function: "f", Version: version, Tenant: "acme", Reason: faas.ReasonOff, Calls: 2},
		{Function: "f", Version: version, Tenant: "bolt", Reason: faas.ReasonOff, Calls: 1},
		{Function: "g", Version: version, Tenant: "acme", Reason: faas.ReasonInput, Calls: 1},
	}, rec.TenantRefusals())
	assert.Empty(t, rec.Usage(), "what was refused has used nothing")
}

func TestRefusalsOfTenantsBeyondTheBoundsAreCountedUnderOther(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder(observe.WithTenants(2), observe.WithFunctions(2))
	for i := range 1000 {
		rec.Refused(t.Context(), refusal("f", fmt.Sprint("tenant ", i), faas.ReasonDenied))
		rec.Refused(t.Context(), refusal(fmt.Sprint("g", i), "tenant 0", faas.ReasonDenied))
	}
	assert.Equal(t, []observe.TenantRefusals{
		{Function: "f", Version: "1", Tenant: observe.Other, Reason: faas.ReasonDenied, Calls: 998},
		{Function: "f", Version: "1", Tenant: "tenant 0", Reason: faas.ReasonDenied, Calls: 1},
		{Function: "f", Version: "1", Tenant: "tenant 1", Reason: faas.ReasonDenied, Calls: 1},
		{Function: "g0", Version: "1", Tenant: "tenant 0", Reason: faas.ReasonDenied, Calls: 1},
		{Function: observe.Other, Tenant: "tenant 0", Reason: faas.ReasonDenied, Calls: 999},
	}, rec.TenantRefusals())
}

func TestNoRefusalOfATenantIsLostWhileReadersRead(t *testing.T) {
	t.Parallel()
	rec := observe.NewRecorder()
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 1000 {
				rec.Refused(context.Background(), refusal("f", fmt.Sprint("tenant ", (w+i)%10), faas.ReasonOverloaded))
			}
		})
	}
	sum := func() (n uint64) {
		for _, one := range rec.TenantRefusals() {
			n += one.Calls
		}
		return n
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		writers.Wait()
	}()
	for last, ended := uint64(0), false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		n := sum()
		require.GreaterOrEqual(t, n, last, "counts only grow")
		last = n
	}
	assert.EqualValues(t, 8000, sum())
	assert.Len(t, rec.TenantRefusals(), 10)
}
