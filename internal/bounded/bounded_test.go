package bounded_test

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/internal/bounded"
)

func TestWhatIsReadEndsAtTheLimitAndMoreIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body  string
		limit int64
		want  string
		more  bool
	}{
		{"", 0, "", false},
		{"", 1, "", false},
		{"ab", 3, "ab", false},
		{"ab", 2, "ab", false},
		{"ab", 1, "a", true},
		{"ab", 0, "", true},
		{"ab", -1, "", true},
		{"ab", math.MinInt64, "", true},
		{"ab", math.MaxInt64, "ab", false},
		{"ab", math.MaxInt64 - 1, "ab", false},
		{strings.Repeat("x", 100_000), math.MaxInt64, strings.Repeat("x", 100_000), false},
	} {
		for name, slow := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader,
			"with its end": iotest.DataErrReader,
		} {
			rest := strings.NewReader(c.body)
			got, more, err := bounded.Read(slow(rest), c.limit)
			require.NoError(t, err)
			assert.Equal(t, c.want, string(got), "%s: %.9q of %d", name, c.body, c.limit)
			assert.Equal(t, c.more, more, "%s: %.9q of %d", name, c.body, c.limit)

			skipped := strings.NewReader(c.body)
			more, err = bounded.Skip(slow(skipped), c.limit)
			require.NoError(t, err)
			assert.Equal(t, c.more, more, "%s: %.9q of %d", name, c.body, c.limit)
		}
	}
}

func TestNoMoreThanOneByteBeyondTheLimitIsTaken(t *testing.T) {
	t.Parallel()
	r := strings.NewReader("0123456789")
	_, more, err := bounded.Read(r, 4)
	require.NoError(t, err)
	assert.True(t, more)
	assert.Equal(t, 5, r.Len())
	more, err = bounded.Skip(r, 2)
	require.NoError(t, err)
	assert.True(t, more)
	assert.Equal(t, 2, r.Len())
}

func TestAReadersErrorIsNotItsEnd(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, limit := range []int64{1, 2, 3, math.MaxInt64} {
		broken := func() io.Reader { return io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(boom)) }
		data, more, err := bounded.Read(broken(), limit)
		assert.Equal(t, "ab"[:min(limit, 2)], string(data))
		assert.Equal(t, limit == 1, more)
		assert.Equal(t, limit != 1, errors.Is(err, boom), "at %d", limit)
		more, err = bounded.Skip(broken(), limit)
		assert.Equal(t, limit == 1, more)
		assert.Equal(t, limit != 1, errors.Is(err, boom), "at %d", limit)
	}
}
