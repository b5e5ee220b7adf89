package memqueue

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bareCodec is the codec of a body that is always empty.
type bareCodec struct{}

func (bareCodec) Encode(data []byte, _ *Item[struct{}]) ([]byte, bool) { return data, true }
func (bareCodec) Decode([]byte, *Item[struct{}])                       {}

func TestALaterFunctionTakesTheNumberOfOneWhoseJobsAreAllForgotten(t *testing.T) {
	t.Parallel()
	const kept = 4
	q := New[struct{}](kept, 100)
	q.SetCodec(bareCodec{})
	defer q.Close()
	for n := range 50 {
		it := Item[struct{}]{ID: ID{1, byte(n)}, Function: strconv.Itoa(n / 2), At: 1, Size: 1}
		l, err := q.PutLease(&it, "", 0, []string{it.Function}, 1, new(View[struct{}]))
		require.NoError(t, err)
		it.State, it.At = Succeeded, 0
		require.NoError(t, q.Settle(l.Token, it))
		v, err := q.Get(it.ID)
		require.NoError(t, err)
		require.Equal(t, it.Function, v.Function)
	}
	assert.LessOrEqual(t, len(q.numbered), kept+1)
}
