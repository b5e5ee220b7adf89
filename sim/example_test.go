package sim_test

import (
	"fmt"
	"strings"

	"github.com/inproc/faas/sim"
)

func ExampleReadTrace() {
	w, err := sim.ReadTrace(strings.NewReader("0, resize, 2\n0.5, resize, 1.25\n"))
	fmt.Println(len(w.Calls), w.Calls[1].Function, w.Calls[1].At, w.Calls[1].Duration, err)

	_, err = sim.ReadTrace(strings.NewReader("0, resize, soon\n"))
	fmt.Println(err)
	// Output:
	// 2 resize 500ms 1.25s <nil>
	// sim: trace, line 1: bad call: the duration is "soon"; it has to be seconds, from 0 to 31622400
}
