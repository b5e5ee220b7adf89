package cost_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/cost"
)

func TestCallsInFlightAreFoundWhateverTheirIds(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	var table cost.Flights
	model := map[[16]byte]string{}
	for i := range 10_000 {
		var id [16]byte
		id[15], id[0] = byte(rng.IntN(40)), byte(rng.IntN(5)) // so that many ids have the same home place
		name := fmt.Sprint(i)
		if _, ok := model[id]; ok {
			table.Remove(id)
			delete(model, id)
		} else if len(model) < 100 {
			table.Add(id, name)
			model[id] = name
		}
		got, ok := table.Find(id)
		want, known := model[id]
		require.Equal(t, known, ok)
		require.Equal(t, want, got)
		if i%100 == 0 {
			for id, want := range model {
				got, ok := table.Find(id)
				require.True(t, ok)
				require.Equal(t, want, got)
			}
		}
		used, places := table.Size()
		require.Equal(t, len(model), used)
		require.LessOrEqual(t, places, 256)
	}
}
