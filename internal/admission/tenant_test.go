package admission_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/admission"
)

// beginAs makes a call on behalf of a tenant.
func beginAs(t *testing.T, c *admission.Class, parent *call, tenant string) *call {
	t.Helper()
	k := launch(t.Context(), c, parent, admission.Request{Tenant: tenant, Wait: patience})
	synctest.Wait()
	return k
}

// serveAs makes a call that lasts for the duration service.
func serveAs(t *testing.T, c *admission.Class, tenant string, service time.Duration) {
	t.Helper()
	h := new(admission.Hold)
	if assert.NoError(t, c.Acquire(t.Context(), h, admission.Request{Tenant: tenant, Wait: patience})) {
		time.Sleep(service)
		h.Release()
	}
}

// The lengths of the tenants' calls differ by a factor of ten; the slot time that the tenants
// get is the same.
func TestTenantsShareTheTimeAndNotTheTurns(t *testing.T) {
	t.Parallel()
	for _, slots := range []int{1, 4} {
		t.Run(fmt.Sprint(slots), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := admission.NewGroup(100).NewClass(slots, 10_000)
				services := map[string]time.Duration{"long": 100 * time.Millisecond, "short": 10 * time.Millisecond, "other": 30 * time.Millisecond}
				var mu sync.Mutex
				used, until := map[string]time.Duration{}, time.Now().Add(20*time.Second)
				for tenant, service := range services {
					for range 2 * slots * int(20*time.Second/service) / 3 {
						go func() {
							serveAs(t, c, tenant, service)
							if mu.Lock(); time.Now().Before(until) {
								used[tenant] += service
							}
							mu.Unlock()
						}()
					}
				}
				time.Sleep(time.Until(until))
				mu.Lock()
				for tenant, d := range used {
					assert.InDelta(t, (20 * time.Second * time.Duration(slots) / 3).Seconds(), d.Seconds(), 0.2*float64(slots), tenant)
				}
				mu.Unlock()
				time.Sleep(time.Hour)
				assert.Zero(t, c.TenantQueues())
			})
		})
	}
}

// A tenant is served while no other tenant waits, however deep in debt it is.
func TestNoSlotIdlesBecauseAllAreInDebt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.NewGroup(10).NewClass(2, 1000)
		began := time.Now()
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() { serveAs(t, c, fmt.Sprint(i%3), time.Minute) })
		}
		all.Wait()
		assert.Equal(t, 50*time.Minute, time.Since(began))
	})
}

// A tenant's debt is not forgotten if its next call comes a moment after the one before.
func TestATenantOfOneCallAtATimePaysForItsTimeToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.NewGroup(10).NewClass(1, 10_000)
		for range 3000 {
			go serveAs(t, c, "flood", time.Millisecond)
		}
		synctest.Wait()
		began, calls := time.Now(), 0
		for time.Since(began) < 2*time.Second {
			serveAs(t, c, "one", 100*time.Millisecond)
			calls++
		}
		assert.InDelta(t, 10, calls, 1, "half of the time, which is not half of the turns")
		time.Sleep(time.Minute)
	})
}

// A tenant is not charged for slots that it used while no other wanted them.
func TestATenantBeginsWithoutDebts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.NewGroup(10).NewClass(1, 10_000)
		for range 100 {
			go serveAs(t, c, "early", time.Minute)
		}
		time.Sleep(50*time.Minute + time.Second)
		var order journal
		for range 3 {
			go func() {
				serveAs(t, c, "late", time.Minute)
				order.add(time.Now().Format("4"))
			}()
		}
		time.Sleep(time.Hour)
		at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		assert.Equal(t, []string{at.Add(52 * time.Minute).Format("4"), at.Add(54 * time.Minute).Format("4"), at.Add(56 * time.Minute).Format("4")}, order.list())
		time.Sleep(time.Hour)
	})
}

func TestAQuietTenantWaitsForOneCallOfALoudOne(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 2} {
		t.Run(fmt.Sprint("limit ", limit), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const service = 10 * time.Millisecond
				c := admission.NewGroup(100).NewClass(1, 10_000)
				if limit > 0 {
					c.LimitTenants(limit)
				}
				for range 3000 {
					go serveAs(t, c, "loud", service)
				}
				synctest.Wait()
				for i := range 200 {
					time.Sleep(service + time.Duration(i)*137*time.Microsecond)
					asked := time.Now()
					serveAs(t, c, "quiet", service)
					assert.LessOrEqual(t, time.Since(asked), 2*service)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// Tenants that come and go leave nothing behind but their debts, and those only while
// calls wait.
func TestTenantsAreRememberedWhileTheyWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.NewGroup(100).NewClass(1, 100_000)
		for range 60_000 {
			go serveAs(t, c, "flood", time.Millisecond)
		}
		synctest.Wait()
		most := 0
		for i := range 10_000 {
			serveAs(t, c, fmt.Sprint(i), time.Millisecond)
			most = max(most, c.TenantQueues())
		}
		assert.LessOrEqual(t, most, 4)
		time.Sleep(time.Hour)
		assert.Zero(t, c.TenantQueues())
	})
}

func TestPriorityOrdersTheCallsOfOneTenant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.NewGroup(100).NewClass(1, 100)
		var running admission.Hold
		require.True(t, c.TryAcquire(&running))
		var order journal
		for i, who := range []struct {
			tenant   string
			priority int
		}{{"a", 0}, {"a", -1}, {"a", 5}, {"b", 0}, {"b", 0}, {"a", 5}, {"a", 0}, {"a", 7}} {
			go func() {
				h := new(admission.Hold)
				assert.NoError(t, c.Acquire(t.Context(), h, admission.Request{Tenant: who.tenant, Priority: who.priority, Wait: patience}))
				order.add(fmt.Sprint(who.tenant, i))
				time.Sleep(time.Second)
				h.Release()
			}()
			synctest.Wait()
		}
		running.Release()
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"a7", "b3", "a2", "b4", "a5", "a0", "a6", "a1"}, order.list(), "b's turns are b's")
	})
}

func TestATenantAtItsLimitIsInNobodysWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(100)
		c := g.NewClass(4, 100)
		c.LimitTenants(2)
		a1, a2, a3, a4 := beginAs(t, c, nil, "a"), beginAs(t, c, nil, "a"), beginAs(t, c, nil, "a"), beginAs(t, c, nil, "a")
		runs(t, a1, a2)
		waits(t, a3, a4)
		b1 := beginAs(t, c, nil, "b")
		runs(t, b1)
		c1, c2 := beginAs(t, c, nil, "c"), beginAs(t, c, nil, "c")
		runs(t, c1)
		waits(t, c2)
		b1.end()
		runs(t, c2) // and not a call of tenant a, which has been waiting for longer
		waits(t, a3, a4)
		a1.end()
		runs(t, a3)
		waits(t, a4)
		c1.end()
		waits(t, a4) // although a slot is free: tenant a is at its limit
		b2 := beginAs(t, c, nil, "b")
		runs(t, b2)
		b2.end()
		a2.end()
		runs(t, a4)
		end(a3, a4, c2)
		quiet(t, g, c)
	})
}

func TestRecursionIsOneCallToTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(100)
		c := g.NewClass(4, 100)
		c.LimitTenants(1)
		root := beginAs(t, c, nil, "a")
		child := beginAs(t, c, root, "a")
		grandchild := beginAs(t, c, child, "a")
		runs(t, root, child, grandchild)
		other := beginAs(t, c, nil, "a")
		end(root, child)
		waits(t, other)
		grandchild.end()
		runs(t, other)
		stranger := beginAs(t, c, other, "b") // counts for tenant b, though it has borrowed the slot of a call of tenant a
		runs(t, stranger)
		more := beginAs(t, c, nil, "b")
		waits(t, more)
		stranger.end()
		runs(t, more)
		end(more, other)
		quiet(t, g, c)
	})
}

// A place in a tenant's limit is lent with the slot of the class, along a chain.
func TestMutualRecursionIsOneCallToTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(100)
		f, h := g.NewClass(10, 100), g.NewClass(10, 100)
		f.LimitTenants(1)
		h.LimitTenants(1)
		var line []*call
		var parent *call
		for i := range 8 { // the calls of the chain have different tenants, which changes nothing
			parent = beginAs(t, []*admission.Class{f, h}[i%2], parent, []string{"a", "a", "b", "a"}[i%4])
			runs(t, parent)
			line = append(line, parent)
		}
		other := beginAs(t, f, nil, "a")
		waits(t, other)
		end(line...)
		runs(t, other)
		other.end()
		quiet(t, g, f, h)
	})
}

// Siblings that call their own class again through another class take turns in the only place
// of their tenant. Siblings that would block each other by this place are refused.
func TestSiblingsTakeTurnsInTheirTenantsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(100)
		f, h, k := g.NewClass(10, 100), g.NewClass(10, 100), g.NewClass(1, 100)
		f.LimitTenants(1)
		root := beginAs(t, f, nil, "a")
		one, two := beginAs(t, h, root, "a"), beginAs(t, k, root, "a")
		first, second := beginAs(t, f, one, "a"), beginAs(t, f, two, "a")
		runs(t, first)
		waits(t, second)
		refused(t, admission.ErrCycle, beginAs(t, k, first, "a")) // first's slot is lent to two, which waits for second
		waits(t, second)
		first.end()
		runs(t, second)
		end(second, one, two, root)
		quiet(t, g, f, h, k)
	})
}

// A nested call waits for its tenant's limit as a root does, if all calls that it may wait
// for will end by themselves.
func TestNestedCallsWaitForALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(100)
		f, tool := g.NewClass(10, 100), g.NewClass(10, 100)
		tool.LimitTenants(1)
		root := beginAs(t, f, nil, "a")
		first, second := beginAs(t, tool, root, "a"), beginAs(t, tool, root, "a")
		runs(t, first)
		waits(t, second)
		first.end()
		runs(t, second)
		second.end()
		root.end()
		quiet(t, g, f, tool)
	})
}

// Two calls of a tenant would wait for each other: one has the tenant's only place in class f
// and needs one in g, and the other one the reverse.
func TestNestedCallsDoNotWaitForEachOthersLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := admission.NewGroup(100)
		f, h := g.NewClass(10, 100), g.NewClass(10, 100)
		f.LimitTenants(1)
		h.LimitTenants(1)
		inF, inH := beginAs(t, f, nil, "a"), beginAs(t, h, nil, "a")
		one := beginAs(t, h, inF, "a")
		waits(t, one) // no deadlock: inH will end
		refused(t, admission.ErrCycle, beginAs(t, f, inH, "a"))
		waits(t, one)
		inH.end()
		runs(t, one)
		end(one, inF)
		quiet(t, g, f, h)

		full := g.NewClass(1, 100)
		busy := beginAs(t, full, nil, "a")
		inF = beginAs(t, f, nil, "a")
		below := beginAs(t, full, inF, "a")
		waits(t, below)
		caller := beginAs(t, h, nil, "a")
		refused(t, admission.ErrCycle, beginAs(t, f, caller, "a")) // it would wait for a call that waits
		end(busy, below, inF, caller)
		quiet(t, g, f, h, full)
	})
}
