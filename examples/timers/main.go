// Command timers runs a function every second for five seconds, once at a given time, and once by hand. It also prints when
// a timer for every morning at six in Berlin would run next.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"
	_ "time/tzdata" // so that Berlin's time zone is found on every machine

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faascron"
)

func main() {
	if err := run(5*time.Second, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run prints to out. The functions print to out too, perhaps at the same time.
func run(d time.Duration, out io.Writer) error {
	ctx := context.Background()
	r := faas.New()
	faas.Register(r, "report", func(_ context.Context, tick faascron.Tick) (struct{}, error) {
		fmt.Fprintln(out, tick.Timer, tick.Scheduled.Format(time.TimeOnly), "by hand:", tick.Manual)
		return struct{}{}, nil
	})
	morning, err := faascron.Every(r, "report", "0 6 * * *", faascron.In("Europe/Berlin"), faascron.Name("morning"))
	if err != nil {
		return err
	}
	if _, err := faascron.Every(r, "report", "@every 1s", faascron.Name("second"), faascron.Overlap(faascron.Forbid)); err != nil {
		return err
	}
	if _, err := faascron.At(r, "report", time.Now().Add(d/2), faascron.Name("once")); err != nil {
		return err
	}
	fmt.Fprintln(out, "in Berlin next at", morning.Next())
	if _, err := morning.Run(ctx); err != nil {
		return err
	}
	time.Sleep(d)
	return r.Shutdown(ctx)
}
