package faas_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// publish registers version n of "f". Its handler returns n, or an error if its Invocation has
// another version.
func publish(r *faas.Router, n int, opts ...faas.FunctionOption) *faas.Function[int, int] {
	if n > 0 {
		opts = append(opts, faas.WithVersion(n))
	}
	return faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) {
		if inv, _ := faas.FromContext(ctx); inv.Version != version(n) {
			return 0, fmt.Errorf("version %d runs as %q", n, inv.Version)
		}
		return n, nil
	}, opts...)
}

// version returns the name of version n in records.
func version(n int) string {
	if n == 0 {
		return "$LATEST"
	}
	return strconv.Itoa(n)
}

// aliased returns a router with versions 1 to n of "f", and with the alias "f:live" with these weights.
func aliased(t *testing.T, n int, w faas.Weights, opts ...faas.RouterOption) *faas.Router {
	t.Helper()
	r := router(t, opts...)
	for v := range n {
		publish(r, v+1)
	}
	require.NoError(t, r.SetAlias("f", "live", w))
	return r
}

// handleOf returns the handle of a name.
func handleOf(t *testing.T, r *faas.Router, name string) *faas.Function[int, int] {
	t.Helper()
	f, err := faas.Lookup[int, int](r, name)
	require.NoError(t, err)
	return f
}

// callers returns the ways to call a function by its name; each returns the number that was answered.
func callers(t *testing.T, r *faas.Router, name string) map[string]func(ctx context.Context) (int, error) {
	t.Helper()
	number := func(data []byte, err error) (int, error) {
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(string(data))
	}
	return map[string]func(ctx context.Context) (int, error){
		"handle": func(ctx context.Context) (int, error) { return handleOf(t, r, name).Invoke(ctx, 0) },
		"Invoke": func(ctx context.Context) (int, error) { return number(r.Invoke(ctx, name, []byte("0"))) },
		"InvokeStream": func(ctx context.Context) (int, error) {
			var out strings.Builder
			err := r.InvokeStream(ctx, name, []byte("0"), &out)
			return number([]byte(out.String()), err)
		},
	}
}

func TestACallByAliasRunsTheVersionThatTheAliasNames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := &recorder{}
		r := aliased(t, 3, faas.Weights{2: 1}, faas.WithMeter(m))
		for how, call := range callers(t, r, "f:live") {
			for _, want := range []int{2, 3} {
				require.NoError(t, r.SetAlias("f", "live", faas.Weights{want: 1}))
				var ran faas.Resolution

				got, err := call(faas.WithResolution(t.Context(), &ran))

				require.NoError(t, err, how)
				assert.Equal(t, want, got, how)
				assert.Equal(t, faas.Resolution{Function: "f", Version: version(want), Alias: "live"}, ran, how)
				e := m.last(t)
				assert.Equal(t, []string{"f", version(want)}, []string{e.Function, e.Version}, how)
			}
		}
	})
}

// A handle of an alias resolves the alias at each call; a handle of a version stays with its version.
func TestAHandleOfAnAliasFollowsItAndAHandleOfAVersionDoesNot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := aliased(t, 2, faas.Weights{1: 1})
		live, one := handleOf(t, r, "f:live"), handleOf(t, r, "f:1")
		answers := func(f *faas.Function[int, int]) int {
			n, err := f.Invoke(t.Context(), 0)
			require.NoError(t, err)
			return n
		}
		assert.Equal(t, []int{1, 1}, []int{answers(live), answers(one)})

		require.NoError(t, r.SetAlias("f", "live", faas.Weights{2: 1}))
		assert.Equal(t, []int{2, 1}, []int{answers(live), answers(one)})

		require.NoError(t, r.RemoveAlias("f", "live"))
		_, err := live.Invoke(t.Context(), 0)
		assertRefused(t, err, faas.ErrNotFound, faas.ReasonNotFound)
		assert.EqualValues(t, 1, r.Stats().Rejected[faas.ReasonNotFound])

		require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1}))
		assert.Equal(t, 1, answers(live))
	})
}

func TestAHandleOfAnAliasIsOfItsTypes(t *testing.T) {
	t.Parallel()
	r := aliased(t, 1, faas.Weights{1: 1})
	_, err := faas.Lookup[string, int](r, "f:live")
	assert.ErrorIs(t, err, faas.ErrType)
	_, err = faas.Lookup[int, int](r, "f:none")
	assert.ErrorIs(t, err, faas.ErrNotFound)
}

// Once all versions of a name are removed, its handles are no longer valid: a function that is
// registered under the name later may have other types.
func TestAHandleOfAnAliasEndsWithItsFunction(t *testing.T) {
	t.Parallel()
	r := aliased(t, 1, faas.Weights{1: 1})
	live := handleOf(t, r, "f:live")
	require.NoError(t, r.RemoveAlias("f", "live"))
	require.NoError(t, r.Remove("f:1"))
	faas.Register(r, "f", func(context.Context, string) (string, error) { return "", nil }, faas.WithVersion(1))
	require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1}))

	_, err := live.Invoke(t.Context(), 0)

	assert.ErrorIs(t, err, faas.ErrNotFound)
}

func TestTheEmptyAliasIsWhatTheNameAloneStandsFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		publish(r, 1)
		publish(r, 2)
		_, err := r.Invoke(t.Context(), "f", []byte("0"))
		assert.ErrorIs(t, err, faas.ErrNotFound)

		require.NoError(t, r.SetAlias("f", "", faas.Weights{2: 1}))
		for how, call := range callers(t, r, "f") {
			var ran faas.Resolution
			n, err := call(faas.WithResolution(t.Context(), &ran))
			require.NoError(t, err, how)
			assert.Equal(t, 2, n, how)
			assert.Equal(t, faas.Resolution{Function: "f", Version: "2"}, ran, how)
		}

		publish(r, 0) // $LATEST has precedence
		for how, call := range callers(t, r, "f") {
			n, err := call(t.Context())
			require.NoError(t, err, how)
			assert.Zero(t, n, how)
		}
	})
}

func TestAnAliasMayNameLatest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		publish(r, 0)
		publish(r, 7)
		require.NoError(t, r.SetAlias("f", "live", faas.Weights{0: 1, 7: 1}))
		seen := map[int]int{}
		for range 10 {
			n, err := handleOf(t, r, "f:live").Invoke(t.Context(), 0)
			require.NoError(t, err)
			seen[n]++
		}
		assert.Equal(t, map[int]int{0: 5, 7: 5}, seen)
		assert.ErrorIs(t, r.Remove("f"), faas.ErrInUse)
	})
}

func TestWhatCanNotBeAnAliasIsRefusedWithTheCure(t *testing.T) {
	t.Parallel()
	r := aliased(t, 2, faas.Weights{1: 1})
	one := faas.Weights{1: 1}
	for what, c := range map[string]struct {
		name, alias string
		weights     faas.Weights
		opts        []faas.AliasOption
		is          error
		says        string
	}{
		"a function that is not there":   {name: "g", alias: "live", weights: one, is: faas.ErrNotFound},
		"a version that is not there":    {name: "f", alias: "live", weights: faas.Weights{1: 1, 3: 1}, is: faas.ErrNotFound, says: "3"},
		"$LATEST that is not there":      {name: "f", alias: "live", weights: faas.Weights{0: 1}, is: faas.ErrNotFound, says: "$LATEST"},
		"a version of weight 0":          {name: "f", alias: "live", weights: faas.Weights{1: 1, 3: 0}, is: faas.ErrNotFound},
		"no weights":                     {name: "f", alias: "live", is: faas.ErrInput},
		"no positive weight":             {name: "f", alias: "live", weights: faas.Weights{1: 0, 2: 0}, is: faas.ErrInput},
		"a negative weight":              {name: "f", alias: "live", weights: faas.Weights{1: 1, 2: -1}, is: faas.ErrInput},
		"a negative version":             {name: "f", alias: "live", weights: faas.Weights{-1: 1}, is: faas.ErrNotFound},
		"an alias like a version":        {name: "f", alias: "12", weights: one, is: faas.ErrName, says: "version"},
		"$LATEST":                        {name: "f", alias: "$LATEST", weights: one, is: faas.ErrName},
		"an alias with a colon":          {name: "f", alias: "a:b", weights: one, is: faas.ErrName},
		"an alias that is too long":      {name: "f", alias: strings.Repeat("a", 129), weights: one, is: faas.ErrName},
		"a name with a qualifier":        {name: "f:1", alias: "live", weights: one, is: faas.ErrInput},
		"a name that is none":            {name: "-", alias: "live", weights: one, is: faas.ErrName},
		"a revision that is another":     {name: "f", alias: "live", weights: one, opts: []faas.AliasOption{faas.IfRevision(2)}, is: faas.ErrStale, says: "1"},
		"an alias that is there already": {name: "f", alias: "live", weights: one, opts: []faas.AliasOption{faas.IfRevision(0)}, is: faas.ErrStale},
		"an alias that is not there yet": {name: "f", alias: "test", weights: one, opts: []faas.AliasOption{faas.IfRevision(1)}, is: faas.ErrStale},
		"an actor with a line break":     {name: "f", alias: "live", weights: one, opts: []faas.AliasOption{faas.WithActor("a\nb")}, is: faas.ErrInput},
		"an actor that is too long":      {name: "f", alias: "live", weights: one, opts: []faas.AliasOption{faas.WithActor(strings.Repeat("a", 257))}, is: faas.ErrInput},
		"a description that is too long": {name: "f", alias: "live", weights: one, opts: []faas.AliasOption{faas.WithDescription(strings.Repeat("a", 1025))}, is: faas.ErrInput},
	} {
		err := r.SetAlias(c.name, c.alias, c.weights, c.opts...)
		require.ErrorIs(t, err, c.is, what)
		assert.Contains(t, err.Error(), c.says, what)
	}
	all, err := r.Aliases("f")
	require.NoError(t, err)
	require.Len(t, all, 1, "nothing has changed")
	assert.EqualValues(t, 1, all[0].Revision)
	for _, long := range []string{"a", "A-z_0", "0a", strings.Repeat("x", 128)} {
		assert.NoError(t, r.SetAlias("f", long, one, nil, faas.WithDescription(strings.Repeat("ä", 512))), long)
	}
}

func TestAliasesAreListedAsTheyWereSet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := aliased(t, 2, faas.Weights{1: 1})
		_, err := r.Aliases("g")
		require.ErrorIs(t, err, faas.ErrNotFound)
		began := time.Now()
		time.Sleep(time.Minute)
		w := faas.Weights{1: 90, 2: 10}

		require.NoError(t, r.SetAlias("f", "live", w, faas.WithSticky(), faas.WithActor("ann"), faas.WithDescription("a tenth")))

		w[1] = 0 // SetAlias has copied the map, so this has no effect
		require.NoError(t, r.SetAlias("f", "", faas.Weights{2: 1}))
		all, err := r.Aliases("f")
		require.NoError(t, err)
		assert.Equal(t, []faas.Alias{
			{Function: "f", Weights: faas.Weights{2: 1}, Revision: 1, Changed: began.Add(time.Minute)},
			{Function: "f", Name: "live", Description: "a tenth", Weights: faas.Weights{1: 90, 2: 10}, Sticky: true, Revision: 2, Changed: began.Add(time.Minute), By: "ann"},
		}, undated(all, began.Add(time.Minute)))
		all[1].Weights[1] = 5 // Aliases returns copies, so this has no effect
		all, _ = r.Aliases("f")
		assert.Equal(t, 90, all[1].Weights[1])

		require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1})) // this replaces all settings of the alias
		require.NoError(t, r.RemoveAlias("f", ""))
		all, _ = r.Aliases("f")
		assert.Equal(t, []faas.Alias{{Function: "f", Name: "live", Weights: faas.Weights{1: 1}, Revision: 3, Changed: began.Add(time.Minute)}}, undated(all, began.Add(time.Minute)))
	})
}

// undated replaces the times that are equal to `at` by `at`, for a comparison by reflection.
func undated(all []faas.Alias, at time.Time) []faas.Alias {
	for i := range all {
		if all[i].Changed.Equal(at) {
			all[i].Changed = at
		}
	}
	return all
}

func TestAnAliasIsRemovedOnceAndAtTheRevisionThatIsAskedFor(t *testing.T) {
	t.Parallel()
	r := aliased(t, 1, faas.Weights{1: 1})
	assert.ErrorIs(t, r.RemoveAlias("g", "live"), faas.ErrNotFound)
	assert.ErrorIs(t, r.RemoveAlias("f", "test"), faas.ErrNotFound)
	assert.ErrorIs(t, r.RemoveAlias("f", "live", faas.IfRevision(2)), faas.ErrStale)
	assert.NoError(t, r.RemoveAlias("f", "live", faas.IfRevision(1)))
	assert.ErrorIs(t, r.RemoveAlias("f", "live"), faas.ErrNotFound)
}

func TestAVersionThatAnAliasNamesIsInUse(t *testing.T) {
	t.Parallel()
	r := aliased(t, 3, faas.Weights{1: 1, 2: 0})
	for _, used := range []string{"f:1", "f:2"} {
		err := r.Remove(used)
		require.ErrorIs(t, err, faas.ErrInUse, used)
		assert.Contains(t, err.Error(), "live", used)
	}
	assert.NoError(t, r.Remove("f:3"))
	require.NoError(t, r.SetAlias("f", "live", faas.Weights{2: 1}))
	assert.NoError(t, r.Remove("f:1"))
}

// If several goroutines read an alias and then change it, one of them wins each revision.
func TestOfChangesToOneRevisionOneIsMade(t *testing.T) {
	t.Parallel()
	r := aliased(t, 2, faas.Weights{1: 1})
	var all sync.WaitGroup
	var made, stale atomic.Int64
	for range 8 {
		all.Go(func() {
			for range 200 {
				a, err := r.Aliases("f")
				assert.NoError(t, err)
				err = r.SetAlias("f", "live", faas.Weights{1: 1, 2: 1}, faas.IfRevision(a[0].Revision))
				switch {
				case err == nil:
					made.Add(1)
				case errors.Is(err, faas.ErrStale):
					stale.Add(1)
				default:
					assert.NoError(t, err)
				}
			}
		})
	}
	all.Wait()
	a, err := r.Aliases("f")
	require.NoError(t, err)
	assert.EqualValues(t, 1+made.Load(), a[0].Revision)
	assert.EqualValues(t, 1600, made.Load()+stale.Load())
}

func TestMovingAnAliasIsADecision(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []faas.Decision
		r := router(t, faas.WithDecisions(func(d faas.Decision) { told = append(told, d) }))
		publish(r, 1)
		publish(r, 2)
		began := time.Now()

		require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1}, faas.WithActor("ann")))
		time.Sleep(time.Minute)
		require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1}, faas.WithDescription("no move")))
		require.ErrorIs(t, r.SetAlias("f", "live", faas.Weights{2: 1}, faas.IfRevision(9)), faas.ErrStale)
		require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 90, 2: 10}, faas.WithActor("bob")))
		require.NoError(t, r.RemoveAlias("f", "live", faas.WithActor("cid")))

		kept, err := r.Decisions("f")
		require.NoError(t, err)
		require.Len(t, kept, 3)
		assert.Equal(t, kept, told)
		for i, want := range []faas.Decision{
			{By: "ann", After: faas.Weights{1: 1}},
			{By: "bob", Before: faas.Weights{1: 1}, After: faas.Weights{1: 90, 2: 10}},
			{By: "cid", Before: faas.Weights{1: 90, 2: 10}},
		} {
			d := kept[i]
			assert.Equal(t, []any{"f", "live", want.By, want.Before, want.After}, []any{d.Function, d.Alias, d.By, d.Before, d.After})
			assert.True(t, d.Time.Equal(began.Add(time.Duration(min(i, 1))*time.Minute)), "%v", d.Time)
			assert.NotEmpty(t, d.Rule)
		}
	})
}

// Of a thousand changes, the last ones are kept, as for other decisions.
func TestMovesAreKeptUpToABound(t *testing.T) {
	t.Parallel()
	r := aliased(t, 2, faas.Weights{1: 1})
	for i := range 200 {
		require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1, 2: i + 1}))
	}
	kept, err := r.Decisions("f")
	require.NoError(t, err)
	assert.Len(t, kept, 64)
	assert.Equal(t, faas.Weights{1: 1, 2: 200}, kept[63].After)
}

// A hook of WithDecisions may do anything, as all hooks may: move the alias again,
// panic, close the router.
func TestAHookOfAMoveMayMoveTheAliasAndPanic(t *testing.T) {
	t.Parallel()
	var r *faas.Router
	r = router(t, faas.WithDecisions(func(d faas.Decision) {
		if d.After[2] == 1 {
			assert.NoError(t, r.SetAlias("f", "live", faas.Weights{3: 1}))
			panic("a hook that moves and panics")
		}
	}))
	for v := range 3 {
		publish(r, v+1)
	}
	require.NoError(t, r.SetAlias("f", "live", faas.Weights{2: 1}))
	assert.Equal(t, []int{3}, calls(t, handleOf(t, r, "f:live"), 1))
	assert.EqualValues(t, 1, r.Stats().HookPanics)
}

// The version is removed when its gates have admitted the call, and before the call has its slot.
// The call then goes to a version that the alias has by then, and Done of the removed version's
// gates is called with nil.
func TestACallWhoseVersionGoesWhileItsGatesAreAskedRunsAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, name := range []string{"f:live", "f"} {
			for how := range callers(t, nil, name) {
				m, gate := &recorder{}, &diary{}
				r := router(t, faas.WithMeter(m), faas.WithRefusals(func(_ context.Context, ref faas.Refusal) { t.Errorf("refused: %v", ref.Err) }))
				alias := strings.TrimPrefix(strings.TrimPrefix(name, "f"), ":")
				var once sync.Once
				publish(r, 1, faas.WithGate(gate), faas.WithGate(asks(func(faas.Invocation) error {
					once.Do(func() {
						publish(r, 2)
						assert.NoError(t, r.SetAlias("f", alias, faas.Weights{2: 1}))
						assert.NoError(t, r.Remove("f:1"))
					})
					return nil
				})))
				require.NoError(t, r.SetAlias("f", alias, faas.Weights{1: 1}))
				var ran faas.Resolution

				n, err := callers(t, r, name)[how](faas.WithResolution(t.Context(), &ran))

				require.NoError(t, err, how)
				assert.Equal(t, 2, n, how)
				assert.Equal(t, "2", ran.Version, how)
				assert.Equal(t, []string{"admit 1", "done 1 nil"}, gate.list(), how)
				assert.Len(t, m.all(), 1, how)
				s := r.Stats()
				assert.EqualValues(t, 1, s.Admitted, how)
				assert.Empty(t, s.Rejected, how)
				require.NoError(t, r.Shutdown(t.Context()), "no call is left over")
			}
		}
	})
}

// diary is a gate that admits each call and records its own calls.
type diary struct{ steps }

func (d *diary) Admit(_ context.Context, inv faas.Invocation) error {
	d.add("admit " + inv.Version)
	return nil
}

func (d *diary) Done(inv faas.Invocation, e *faas.Execution) {
	how := "nil"
	if e != nil {
		how = e.Outcome.String()
	}
	d.add("done " + inv.Version + " " + how)
}

// The same, but the name stands for nothing afterwards: the call is refused, once.
func TestACallWhoseVersionAndAliasAreGoneIsRefusedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		publish(r, 1, faas.WithGate(asks(func(faas.Invocation) error {
			assert.NoError(t, r.RemoveAlias("f", "live"))
			assert.NoError(t, r.Remove("f:1"))
			return nil
		})))
		require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1}))

		_, err := r.Invoke(t.Context(), "f:live", []byte("0"))

		assertRefused(t, err, faas.ErrNotFound, faas.ReasonNotFound)
		assert.Equal(t, map[faas.Reason]uint64{faas.ReasonNotFound: 1}, r.Stats().Rejected)
	})
}

// In gates and in the handler, the Invocation has the alias by which the call was made.
func TestAnInvocationNamesItsAlias(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := router(t)
		var asked, seen []string
		f := faas.Register(r, "f", func(ctx context.Context, _ int) (int, error) {
			inv, _ := faas.FromContext(ctx)
			seen = append(seen, inv.Alias)
			return 0, nil
		}, faas.WithVersion(1), faas.WithGate(asks(func(inv faas.Invocation) error {
			asked = append(asked, inv.Alias)
			return nil
		})))
		require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1}))
		_ = calls(t, f, 1)
		_ = calls(t, handleOf(t, r, "f:live"), 1)
		_ = calls(t, handleOf(t, r, "f:1"), 1)
		assert.Equal(t, []string{"", "live", ""}, seen)
		assert.Equal(t, seen, asked)
	})
}

// The Resolution is also written for a call that was refused, but never for a nested call.
func TestAResolutionIsOfTheCallItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := aliased(t, 2, faas.Weights{2: 1})
		live := handleOf(t, r, "f:live")
		outer := faas.Register(r, "outer", func(ctx context.Context, _ int) (int, error) { return live.Invoke(ctx, 0) })
		var ran faas.Resolution
		_, err := outer.Invoke(faas.WithResolution(t.Context(), &ran), 0)
		require.NoError(t, err)
		assert.Equal(t, faas.Resolution{Function: "outer", Version: "$LATEST"}, ran)

		require.NoError(t, r.SetConcurrency("f", 0))
		_, err = live.Invoke(faas.WithPriority(faas.WithTenant(faas.WithResolution(t.Context(), &ran), "a"), 1), 0)
		assertRefused(t, err, faas.ErrOverloaded, faas.ReasonOff)
		assert.Equal(t, faas.Resolution{Function: "f", Version: "2", Alias: "live"}, ran)
	})
}

// Eight callers call as fast as they can, by each name that stands for something all the time.
// Meanwhile aliases move and versions come and go. No call may fail, and each must belong to one
// version: its answer, its record and its Resolution agree.
func TestNoCallFailsOrStraddlesWhileAliasesMoveAndVersionsComeAndGo(t *testing.T) {
	t.Parallel()
	rounds := 400
	if testing.Short() {
		rounds = 50
	}
	records := &answered{byID: map[any]string{}}
	r := router(t, faas.WithMeter(records), faas.WithConcurrency(4), faas.WithRefusals(func(_ context.Context, ref faas.Refusal) {
		t.Errorf("refused: %v", ref.Err)
	}))
	enter := func(n int) {
		opts := []faas.FunctionOption{faas.WithVersion(n)}
		if n%2 == 0 {
			opts = append(opts, faas.WithGate(&diary{}))
		}
		faas.Register(r, "f", func(ctx context.Context, _ int) (string, error) {
			inv, _ := faas.FromContext(ctx)
			return fmt.Sprint(n, " ", inv.ID), nil
		}, opts...)
	}
	enter(1)
	for _, alias := range []string{"live", "test", ""} {
		require.NoError(t, r.SetAlias("f", alias, faas.Weights{1: 1}))
	}
	done := make(chan struct{})
	var all sync.WaitGroup
	var made atomic.Int64
	for c := range 8 {
		all.Go(func() {
			name := []string{"f:live", "f:test", "f"}[c%3]
			h, err := faas.Lookup[int, string](r, name)
			assert.NoError(t, err)
			for {
				select {
				case <-done:
					return
				default:
				}
				var ran faas.Resolution
				ctx := faas.WithResolution(faas.WithTenant(t.Context(), strconv.Itoa(c)), &ran)
				var answer string
				if c%2 == 0 {
					answer, err = h.Invoke(ctx, 0)
				} else {
					var data []byte
					data, err = r.Invoke(ctx, name, []byte("0"))
					answer = strings.Trim(string(data), `"`)
				}
				if !assert.NoError(t, err) {
					return
				}
				made.Add(1)
				n, id, _ := strings.Cut(answer, " ")
				if !assert.Equal(t, n, ran.Version) || !assert.Equal(t, n, records.of(id)) {
					return
				}
			}
		})
	}
	for n := 2; n < rounds; n++ {
		enter(n)
		for _, alias := range []string{"live", "test", ""} {
			opts := []faas.AliasOption{nil, faas.WithSticky()}[n%2 : n%2+1]
			require.NoError(t, r.SetAlias("f", alias, faas.Weights{n - 1: 1, n: 2}, opts...))
			require.NoError(t, r.SetAlias("f", alias, faas.Weights{n: 1}))
		}
		require.NoError(t, r.Remove(fmt.Sprint("f:", n-1)))
	}
	close(done)
	all.Wait()
	s := r.Stats()
	assert.EqualValues(t, made.Load(), s.Admitted)
	assert.Empty(t, s.Rejected)
	assert.Zero(t, s.InFlight)
	assert.Equal(t, 1, s.Functions)
}

// answered is a meter that keeps which version ran each call, until the caller takes that.
type answered struct {
	mu   sync.Mutex // guards byID
	byID map[any]string
}

func (v *answered) Record(_ context.Context, e faas.Execution) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.byID[e.ID.String()] = e.Version
}

// of returns and removes the version of a call.
func (v *answered) of(id string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer delete(v.byID, id)
	return v.byID[id]
}

// A removed version that was called by a handle of an alias can be garbage-collected.
func TestAHandleOfAnAliasKeepsNoRemovedVersion(t *testing.T) {
	t.Parallel()
	r, w := router(t), &ward{}
	held := w.object()
	faas.Register(r, "f", func(context.Context, int) (int, error) { return int(held[0]) + 1, nil }, faas.WithVersion(1))
	require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1}))
	live := handleOf(t, r, "f:live")
	_ = calls(t, live, 1)
	publish(r, 2)
	require.NoError(t, r.SetAlias("f", "live", faas.Weights{2: 1}))
	require.NoError(t, r.Remove("f:1"))
	w.released(t)
	assert.Equal(t, []int{2}, calls(t, live, 1))
}

func TestACallByAnAliasHandleAllocatesNoMoreThanATypedCall(t *testing.T) {
	for _, weights := range []faas.Weights{{1: 1}, {1: 9, 2: 1}, {1: 5, 2: 3, 3: 2}} {
		r := aliased(t, 3, weights)
		typed, live := handleOf(t, r, "f:1"), handleOf(t, r, "f:live")
		allocs := func(f *faas.Function[int, int]) float64 {
			return testing.AllocsPerRun(2000, func() { _, _ = f.Invoke(context.Background(), 0) })
		}
		_ = allocs(typed)
		assert.LessOrEqual(t, allocs(live), allocs(typed), "weights %v", maps.Keys(weights))
	}
}

func TestABubbleOfAliasesLeavesNothingBehind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := aliased(t, 2, faas.Weights{1: 1, 2: 1})
		_ = calls(t, handleOf(t, r, "f:live"), 10)
		require.NoError(t, r.Close())
		synctest.Wait()
		_, err := r.Invoke(t.Context(), "f:live", []byte("0"))
		assertRefused(t, err, faas.ErrClosed, faas.ReasonClosed)
	})
}
