package admission_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas/internal/admission"
)

// beginBehind makes a background call on behalf of a tenant.
func beginBehind(t *testing.T, c *admission.Class, tenant string) *call {
	t.Helper()
	k := launch(t.Context(), c, nil, admission.Request{Tenant: tenant, Wait: patience, Background: true})
	synctest.Wait()
	return k
}

func TestABackgroundCallHasNoPlaceInTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(10)
		c := g.NewClass(1, 2)
		running := beginAs(t, c, nil, "live")
		behind := []*call{beginBehind(t, c, "jobs"), beginBehind(t, c, "jobs"), beginBehind(t, c, "jobs")}
		first, second := beginAs(t, c, nil, "live"), beginAs(t, c, nil, "live")
		waits(t, append(behind, first, second)...)
		refused(t, admission.ErrFull, beginAs(t, c, nil, "live"))
		third := beginBehind(t, c, "jobs")
		waits(t, third)
		assert.Equal(t, 6, c.Queued())
		other := beginAs(t, c, nil, "other") // displaces the tenant with most places, and jobs has none
		refused(t, admission.ErrDisplaced, second)
		end(running, behind[0], other, first, behind[1], behind[2], third)
		quiet(t, g, c)
	})
}

func TestABackgroundCallRunsWhileTheGroupDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(1)
		c := g.NewClass(1, 0)
		g.Drain()
		refused(t, admission.ErrClosed, beginAs(t, c, nil, "live"))
		running := beginBehind(t, c, "jobs")
		waiting := beginBehind(t, c, "jobs")
		waits(t, waiting)
		end(running)
		g.Close()
		refused(t, admission.ErrClosed, beginBehind(t, c, "jobs"))
		end(waiting)
		quiet(t, g, c)
	})
}
