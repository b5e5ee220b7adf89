package sim_test

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas/sim"
)

var (
	seed      = flag.Uint64("sim.seed", 1, "of the traffic")
	functions = flag.Int("sim.functions", 40, "how many there are")
	length    = flag.Duration("sim.length", 10*time.Minute, "of the traffic")
	out       = flag.String("sim.out", "", "the `directory` for policies.svg, policies.csv and timeline.csv; empty: nothing is written")
)

// TestAzureShapedTraffic is what make sim runs, with other flags.
func TestAzureShapedTraffic(t *testing.T) {
	report := sim.Run(t, sim.Azure(*seed, *functions, *length), sim.Policies()...)
	t.Logf("\n%s", report)
	assert.True(t, report.OnFront("faas"))
	_ = os.Stdout
}
