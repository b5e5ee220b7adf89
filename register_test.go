package faas_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

func TestRegisterRefusesWhatCannotWorkAndSaysTheCure(t *testing.T) {
	t.Parallel()
	none := func(context.Context, context.Context) context.Context { return nil }
	cases := map[string]struct {
		opt  faas.FunctionOption
		cure string
	}{
		"no time":              {faas.WithTimeout(0), "very large one"},
		"negative time":        {faas.WithTimeout(-1), "must be positive"},
		"negative slots":       {faas.WithConcurrency(-1), "switches a function off"},
		"negative floor":       {faas.WithReserved(-1), "reserves nothing"},
		"floor above the cap":  {faas.WithReserved(1001), "exceed"},
		"no weight":            {faas.WithWeight(0), "between 1 and 1000"},
		"too much weight":      {faas.WithWeight(1001), "between 1 and 1000"},
		"no call of a tenant":  {faas.WithTenantConcurrency(0), "leave the option out"},
		"negative queue":       {faas.WithQueue(-1), "refuses at once"},
		"no wait":              {faas.WithQueueTimeout(0), "WithQueue(0)"},
		"no codec":             {faas.WithCodec(nil), "JSON"},
		"no memory":            {faas.WithMemory(0), "at least one byte"},
		"no payload":           {faas.WithLimits(0, 1), "at least one byte"},
		"no output":            {faas.WithLimits(1, 0), "at least one byte"},
		"negative runaways":    {faas.WithRunaways(-1), "can't be negative"},
		"nil middleware":       {faas.WithMiddleware(nil), "leave the nil out"},
		"middleware nil":       {faas.WithMiddleware(func(faas.Runner) faas.Runner { return nil }), "nil Runner"},
		"panicking middleware": {faas.WithMiddleware(func(faas.Runner) faas.Runner { panic("no") }), `"no"`},
		"nil gate":             {faas.WithGate(nil), "leave the nil out"},
		"nil context":          {faas.WithContext(nil), "leave the nil out"},
		"nil refusal hook":     {faas.WithRefusals(nil), "leave the nil out"},
	}
	if math.MaxInt > math.MaxInt32 { // if int has 32 bits, no int is too large
		tooMany := cases["negative slots"]
		tooMany.opt, tooMany.cure = faas.WithConcurrency(math.MaxInt), "leave the option out"
		cases["too many slots"] = tooMany
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := router(t)
			_, err := faas.TryRegister(r, "f", double, c.opt)
			require.ErrorIs(t, err, faas.ErrInput)
			var e *faas.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, "f", e.Function)
			assert.Contains(t, err.Error(), c.cure)
			assert.PanicsWithError(t, err.Error(), func() { faas.Register(r, "f", double, c.opt) })
			assert.Zero(t, r.Stats().Functions, "nothing is registered by halves")
		})
	}
	_, err := faas.TryRegister(router(t), "f", double, faas.WithContext(none))
	assert.NoError(t, err, "what WithContext returns is judged when it is called")
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]faas.RouterOption{
		"no capacity":    faas.WithCapacity(0),
		"no logger":      faas.WithLogger(nil),
		"no depth":       faas.WithMaxDepth(0),
		"negative grace": faas.WithStuck(-1, nil),
		"bad default":    faas.WithTimeout(-1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				err, _ := recover().(error)
				assert.ErrorIs(t, err, faas.ErrInput)
			}()
			faas.New(opt)
			t.Error("did not panic")
		})
	}
}

func TestNilOptionsAndMetersAreIgnored(t *testing.T) {
	t.Parallel()
	r := faas.New(nil, faas.WithMeter(nil))
	defer r.Close()
	f := faas.Register(r, "f", double, nil, faas.WithMeter(nil))
	out, err := f.Invoke(t.Context(), 2)
	assert.Equal(t, 4, out)
	assert.NoError(t, err)
}

func TestRegisterNeedsARouterAndAHandler(t *testing.T) {
	t.Parallel()
	_, err := faas.TryRegister(nil, "f", double)
	require.ErrorIs(t, err, faas.ErrInput)
	_, err = faas.TryRegister[int, int](router(t), "f", nil)
	require.ErrorIs(t, err, faas.ErrInput)
}

func TestANameIsTakenUntilItIsRemoved(t *testing.T) {
	t.Parallel()
	r := router(t)
	old := faas.Register(r, "f", double)
	_, err := faas.TryRegister(r, "f", double)
	require.ErrorIs(t, err, faas.ErrDuplicate)
	require.NoError(t, r.Remove("f"))
	require.ErrorIs(t, r.Remove("f"), faas.ErrNotFound)
	faas.Register(r, "f", func(_ context.Context, n int) (int, error) { return 3 * n, nil })

	out, err := r.Invoke(t.Context(), "f", []byte("1"))
	require.NoError(t, err)
	assert.Equal(t, "3", string(out))
	_, err = old.Invoke(t.Context(), 1)
	require.ErrorIs(t, err, faas.ErrNotFound, "a handle is bound to its registration")
	assert.Equal(t, map[faas.Reason]uint64{faas.ReasonNotFound: 1}, r.Stats().Rejected)
	assert.EqualValues(t, 1, r.Stats().Admitted)
}

func TestCountsOutliveTheirFunction(t *testing.T) {
	t.Parallel()
	r := router(t)
	for range 3 {
		f := faas.Register(r, "f", double)
		_, err := f.Invoke(t.Context(), 1)
		require.NoError(t, err)
		_, err = r.Invoke(t.Context(), "f", []byte("?"))
		require.ErrorIs(t, err, faas.ErrInput)
		require.NoError(t, r.Remove("f"))
	}
	s := r.Stats()
	assert.EqualValues(t, 3, s.Admitted)
	assert.EqualValues(t, 3, s.Rejected[faas.ReasonInput])
	assert.Zero(t, s.Functions)
}

func TestLookupReturnsTheHandleOfTheRightTypes(t *testing.T) {
	t.Parallel()
	r := router(t)
	f := faas.Register(r, "f", double)
	g, err := faas.Lookup[int, int](r, "f")
	require.NoError(t, err)
	assert.Same(t, f, g)
	_, err = faas.Lookup[string, int](r, "f")
	require.ErrorIs(t, err, faas.ErrType)
	assert.Contains(t, err.Error(), "func(int) int")
	_, err = faas.Lookup[int, int](r, "g")
	require.ErrorIs(t, err, faas.ErrNotFound)
	_, err = faas.Lookup[int, int](r, "g:1")
	require.ErrorIs(t, err, faas.ErrNotFound)
	_, err = faas.Lookup[int, int](r, "g:1:2")
	require.ErrorIs(t, err, faas.ErrName)
}

func TestFunctionsAreListedByName(t *testing.T) {
	t.Parallel()
	r := router(t, faas.WithLabels(map[string]string{"team": "a", "tier": "1"}), faas.WithTimeout(time.Minute))
	for _, name := range []string{"c", "a", "b"} {
		faas.Register(r, name, double, faas.WithConcurrency(len(name)), faas.WithLabels(map[string]string{"tier": "2"}))
	}
	all := slices.Collect(r.Functions())
	require.Len(t, all, 3)
	assert.Equal(t, []string{"a", "b", "c"}, []string{all[0].Name, all[1].Name, all[2].Name})
	assert.Equal(t, map[string]string{"team": "a", "tier": "2"}, all[0].Labels)
	assert.Equal(t, 1, all[0].Limit)
	assert.Equal(t, time.Minute, all[0].Timeout)
	assert.Equal(t, "int", all[0].In.String())
	for range r.Functions() {
		break // a range may stop early
	}
}

func TestALongNameIsCutInTheError(t *testing.T) {
	t.Parallel()
	_, err := router(t).Info(strings.Repeat("x", 1<<20))
	require.ErrorIs(t, err, faas.ErrName)
	assert.Less(t, len(err.Error()), 300)
}

func TestManagementOfUnknownFunctions(t *testing.T) {
	t.Parallel()
	r := router(t)
	require.ErrorIs(t, r.SetConcurrency("f", 1), faas.ErrNotFound)
	require.ErrorIs(t, r.SetCapacity(0), faas.ErrInput)
	require.ErrorIs(t, r.Remove("f"), faas.ErrNotFound)
	faas.Register(r, "f", double)
	require.ErrorIs(t, r.SetConcurrency("f", -1), faas.ErrInput)
	require.NoError(t, r.SetConcurrency("f", 7))
	i, err := r.Info("f")
	require.NoError(t, err)
	assert.Equal(t, 7, i.Limit)
	require.NoError(t, r.SetCapacity(5))
	assert.Equal(t, 5, r.Stats().Capacity)
}
