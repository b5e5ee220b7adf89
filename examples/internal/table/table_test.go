package table_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas/examples/internal/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func TestATableIsAsWideAsThereIsRoom(t *testing.T) {
	t.Parallel()
	n := table.New("NAME", "CALLS", "P50", "P99").Spare("P50", "CALLS", "nothing")
	n.Line("é", 10, "1 µs", "200 µs")
	for width, want := range map[int]string{
		80: "NAME   CALLS    P50      P99\né         10   1 µs   200 µs\n",
		28: "NAME   CALLS    P50      P99\né         10   1 µs   200 µs\n",
		27: "NAME  CALLS   P50     P99\né        10  1 µs  200 µs\n",
		24: "NAME  CALLS     P99\né        10  200 µs\n",
		12: "NAME     P99\né     200 µs\n",
		1:  "NAME     P99\né     200 µs\n", // more can't be left out
	} {
		var b strings.Builder
		n.PrintAt(&b, width)
		require.Equal(t, want, b.String(), "at %d", width)
	}
	var b strings.Builder
	n.Print(&b)
	require.Contains(t, b.String(), "P50", "what is no terminal is 80 wide")
}
