package admission_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/admission"
)

// journal is a list that several goroutines write.
type journal struct {
	mu  sync.Mutex
	all []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.all = append(j.all, line)
}

func (j *journal) list() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.all)
}

func TestTenantsTakeTurnsAndKeepTheirOrder(t *testing.T) {
	t.Parallel()
	for name, capacity := range map[string]int{"the class is full": 100, "the group is full": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := admission.NewGroup(capacity).NewClass(1, 100)
				var running admission.Hold
				require.True(t, c.TryAcquire(&running))
				var order journal
				for _, who := range []string{"a1", "a2", "a3", "b1", "a4", "c1", "b2"} {
					go func() {
						h := new(admission.Hold)
						assert.NoError(t, c.Acquire(context.Background(), h, admission.Request{Tenant: who[:1], Wait: time.Hour}))
						order.add(who)
						h.Release()
					}()
					synctest.Wait()
				}
				running.Release()
				synctest.Wait()
				assert.Equal(t, []string{"c1", "a1", "b1", "a2", "b2", "a3", "a4"}, order.list())
				assert.Zero(t, c.Queued())
			})
		})
	}
}

func TestATenantThatGivesUpLosesNobodysTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.NewGroup(10).NewClass(1, 100)
		var running admission.Hold
		require.True(t, c.TryAcquire(&running))
		var order journal
		for i, who := range []string{"a", "b", "a", "c"} {
			wait := time.Hour
			if who == "b" {
				wait = time.Second
			}
			go func() {
				h := new(admission.Hold)
				if c.Acquire(context.Background(), h, admission.Request{Tenant: who, Wait: wait}) == nil {
					order.add(fmt.Sprint(who, i))
					h.Release()
				}
			}()
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		assert.Equal(t, 3, c.Queued())
		running.Release()
		synctest.Wait()
		assert.Equal(t, []string{"c3", "a0", "a2"}, order.list())
	})
}

// A tenant that makes one call after the other does not stay new.
func TestManyNewTenantsDoNotKeepAnOldOneFromItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := admission.NewGroup(10).NewClass(1, 100)
		var order journal
		call := func(who string) {
			h := new(admission.Hold)
			if assert.NoError(t, c.Acquire(context.Background(), h, admission.Request{Tenant: who, Wait: time.Hour})) {
				order.add(who)
				time.Sleep(time.Second)
				h.Release()
			}
		}
		for range 4 {
			go call("old")
			synctest.Wait()
		}
		for range 3 {
			for _, who := range []string{"x", "y"} {
				go call(who)
			}
			time.Sleep(2 * time.Second)
		}
		time.Sleep(time.Minute)
		served := order.list()
		assert.Len(t, served, 10)
		for i := 1; i+3 < len(served); i++ {
			assert.Contains(t, served[i:i+4], "old", "%v", served)
		}
	})
}
