package faas_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// says returns a handler that returns the text.
func says(text string) faas.Handler[int, string] {
	return func(context.Context, int) (string, error) { return text, nil }
}

func TestAVersionIsCalledByItsNumberAndTheOneWithoutByTheName(t *testing.T) {
	t.Parallel()
	var records recorder
	r := router(t, faas.WithMeter(&records))
	faas.Register(r, "f", says("latest"))
	two := faas.Register(r, "f", says("two"), faas.WithVersion(2))
	faas.Register(r, "f", says("ten"), faas.WithVersion(10))

	for _, c := range []struct{ name, version, answer string }{
		{"f", "$LATEST", "latest"}, {"f:$LATEST", "$LATEST", "latest"}, {"f:2", "2", "two"}, {"f:10", "10", "ten"},
	} {
		out, err := r.Invoke(t.Context(), c.name, []byte("1"))
		require.NoError(t, err)
		assert.JSONEq(t, `"`+c.answer+`"`, string(out), c.name)
		last := records.last(t)
		assert.Equal(t, [2]string{"f", c.version}, [2]string{last.Function, last.Version})

		var b strings.Builder
		require.NoError(t, r.InvokeStream(t.Context(), c.name, []byte("1"), &b))
		assert.JSONEq(t, `"`+c.answer+`"`, b.String(), c.name)

		handle, err := faas.Lookup[int, string](r, c.name)
		require.NoError(t, err)
		answer, err := handle.Invoke(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, c.answer, answer, c.name)

		require.NoError(t, r.DryRun(t.Context(), c.name))
		s, err := r.Signature(c.name)
		require.NoError(t, err)
		assert.Equal(t, [2]string{"f", c.version}, [2]string{s.Name, s.Version})
	}
	_, err := r.Invoke(t.Context(), "f:", []byte("1"))
	require.ErrorIs(t, err, faas.ErrName)
	found, err := faas.Lookup[int, string](r, "f:2")
	require.NoError(t, err)
	assert.Same(t, two, found)
	_, err = faas.Lookup[string, string](r, "f:2")
	require.ErrorIs(t, err, faas.ErrType)
}

func TestAVersionThatIsNotThereIsNotFoundAndTheErrorListsThoseThatAre(t *testing.T) {
	t.Parallel()
	r := router(t)
	faas.Register(r, "f", says("one"), faas.WithVersion(1))
	faas.Register(r, "f", says("twelve"), faas.WithVersion(12))
	faas.Register(r, "f", says("two"), faas.WithVersion(2))

	for _, name := range []string{"f", "f:$LATEST", "f:3", "f:0", "f:01", "f:002", "f:99999999999999999999", "f:live"} {
		_, err := r.Invoke(t.Context(), name, []byte("1"))
		require.ErrorIs(t, err, faas.ErrNotFound, name)
		require.ErrorContains(t, err, "there is f:1, f:2, f:12")
		var e *faas.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, faas.ReasonNotFound, e.Reason)
		assert.Equal(t, faas.KindNotFound, e.Kind)
		require.ErrorIs(t, r.Remove(name), faas.ErrNotFound)
	}
	assert.EqualValues(t, 8, r.Stats().Rejected[faas.ReasonNotFound])
	for i := range 20 {
		faas.Register(r, "many", says(""), faas.WithVersion(i+1))
	}
	_, err := r.Info("many:100")
	require.ErrorContains(t, err, "there is …, many:11, many:12,")
}

func TestAVersionThatCannotBeOneIsRefused(t *testing.T) {
	t.Parallel()
	r := router(t, faas.WithQueue(7), faas.WithConcurrency(9)) // the router's options are not compared with those of a name
	faas.Register(r, "f", says("one"), faas.WithVersion(1), faas.WithConcurrency(4), faas.WithReserved(1), faas.WithWeight(2),
		faas.WithTenantConcurrency(3), faas.WithRunaways(1))

	try := func(opts ...faas.FunctionOption) error {
		_, err := faas.TryRegister(r, "f", says("x"), opts...)
		return err
	}
	require.ErrorIs(t, try(faas.WithVersion(1)), faas.ErrDuplicate)
	require.ErrorIs(t, try(faas.WithVersion(0)), faas.ErrInput)
	require.ErrorIs(t, try(faas.WithVersion(-1)), faas.ErrInput)
	_, err := faas.TryRegister(r, "f", double, faas.WithVersion(2))
	require.ErrorIs(t, err, faas.ErrType)
	_, err = faas.TryRegisterStream(r, "f", func(context.Context, int, io.Writer) error { return nil }, faas.WithVersion(2))
	require.ErrorIs(t, err, faas.ErrType)
	_, err = faas.TryRegister(r, "f:2", says("x"))
	require.ErrorIs(t, err, faas.ErrName)
	require.ErrorContains(t, err, "WithVersion")

	for option, opt := range map[string]faas.FunctionOption{
		"WithConcurrency(5), and the name has 4":       faas.WithConcurrency(5),
		"WithReserved(0), and the name has 1":          faas.WithReserved(0),
		"WithWeight(1), and the name has 2":            faas.WithWeight(1),
		"WithTenantConcurrency(4), and the name has 3": faas.WithTenantConcurrency(4),
		"WithQueue(8), and the name has 7":             faas.WithQueue(8),
		"WithRunaways(0), and the name has 1":          faas.WithRunaways(0),
	} {
		err := try(faas.WithVersion(2), opt)
		require.ErrorIs(t, err, faas.ErrInput)
		require.ErrorContains(t, err, option)
	}
	assert.Len(t, versions(t, r, "f"), 1)

	require.NoError(t, try(faas.WithVersion(2), faas.WithConcurrency(4), faas.WithQueue(7)), "the same values")
	require.NoError(t, try(faas.WithVersion(3)), "none: the name's, and not the router's")
	require.NoError(t, try(faas.WithTimeout(time.Minute), faas.WithMemory(1)), "$LATEST, with options of its own")
	for _, i := range versions(t, r, "f") {
		assert.Equal(t, [3]int{4, 1, 2}, [3]int{i.Limit, i.Reserved, i.Weight}, i.Version)
	}
}

// versions returns the result of Versions, or fails the test.
func versions(t *testing.T, r *faas.Router, name string) []faas.Info {
	t.Helper()
	all, err := r.Versions(name)
	require.NoError(t, err)
	return all
}

func TestVersionsAreListedByNumberAndTheirNameOnce(t *testing.T) {
	t.Parallel()
	r := router(t)
	for _, n := range []int{10, 9, 2} {
		faas.Register(r, "f", says(fmt.Sprint(n)), faas.WithVersion(n))
	}
	faas.Register(r, "e", double)
	names := func() (all []string) {
		for i := range r.Functions() {
			all = append(all, i.Name+":"+i.Version)
		}
		return all
	}
	assert.Equal(t, []string{"e:$LATEST", "f:10"}, names(), "the highest number describes a name without $LATEST")
	faas.Register(r, "f", says("latest"))
	assert.Equal(t, []string{"e:$LATEST", "f:$LATEST"}, names())
	assert.Equal(t, 2, r.Stats().Functions)

	var order []string
	for _, i := range versions(t, r, "f") {
		order = append(order, i.Version)
	}
	assert.Equal(t, []string{"$LATEST", "2", "9", "10"}, order)

	_, err := r.Versions("f:2")
	require.ErrorIs(t, err, faas.ErrInput)
	_, err = r.Versions("g")
	require.ErrorIs(t, err, faas.ErrNotFound)
}

func TestRemoveTakesOneVersionAndTheLastOneEndsTheName(t *testing.T) {
	t.Parallel()
	r := router(t)
	latest := faas.Register(r, "f", says("latest"), faas.WithConcurrency(3))
	two := faas.Register(r, "f", says("two"), faas.WithVersion(2))

	require.NoError(t, r.Remove("f"))
	_, err := latest.Invoke(t.Context(), 1)
	require.ErrorIs(t, err, faas.ErrNotFound)
	_, err = two.Invoke(t.Context(), 1)
	require.NoError(t, err)
	require.ErrorIs(t, r.Remove("f"), faas.ErrNotFound)
	assert.Equal(t, 1, r.Stats().Functions)

	faas.Register(r, "f", says("latest again"))
	info, err := r.Info("f")
	require.NoError(t, err)
	assert.Equal(t, 3, info.Limit, "the name's, which version 2 has kept")
	assert.EqualValues(t, 1, info.Admitted)

	require.NoError(t, r.Remove("f:$LATEST"))
	require.NoError(t, r.Remove("f:2"))
	require.ErrorIs(t, r.Remove("f:2"), faas.ErrNotFound)
	assert.Zero(t, r.Stats().Functions)
	faas.Register(r, "f", double, faas.WithVersion(2), faas.WithConcurrency(5))
	info, err = r.Info("f")
	require.NoError(t, err)
	assert.Equal(t, 5, info.Limit, "the name has begun anew, and may have other types")
	assert.Zero(t, info.Admitted)
	assert.EqualValues(t, 1, r.Stats().Admitted)
}

func TestTheLimitIsTheNamesAndNotAVersions(t *testing.T) {
	t.Parallel()
	r := router(t)
	faas.Register(r, "f", says("one"), faas.WithVersion(1))
	faas.Register(r, "f", says("two"), faas.WithVersion(2))

	for _, name := range []string{"f:1", "f:$LATEST", "f:live"} {
		err := r.SetConcurrency(name, 5)
		require.ErrorIs(t, err, faas.ErrInput, name)
	}
	require.ErrorIs(t, r.SetConcurrency("g:1", 5), faas.ErrNotFound)
	require.NoError(t, r.SetConcurrency("f", 5))
	for _, i := range versions(t, r, "f") {
		assert.Equal(t, 5, i.Limit)
	}
	require.NoError(t, r.SetConcurrency("f", 0))
	for _, name := range []string{"f:1", "f:2"} {
		_, err := r.Invoke(t.Context(), name, []byte("1"))
		assertRefused(t, err, faas.ErrOverloaded, faas.ReasonOff)
	}
}
