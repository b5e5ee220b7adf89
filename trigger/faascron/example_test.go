package faascron_test

import (
	"context"
	"fmt"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faascron"
)

func ExampleEvery() {
	r := faas.New()
	defer r.Close()
	faas.Register(r, "report", func(_ context.Context, tick faascron.Tick) (struct{}, error) {
		fmt.Println("report of", tick.Scheduled.Format("Monday 15:04 MST"))
		return struct{}{}, nil
	})
	timer, err := faascron.Every(r, "report", "0 6 * * *", faascron.In("Europe/Berlin"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = timer.Stop(context.Background()) }()
	fmt.Println("next at", timer.Next().Format(time.TimeOnly))
	_, err = faascron.Every(r, "report", "0 0 30 2 *")
	fmt.Println(err)
	// Output:
	// next at 06:00:00
	// faascron: invalid input: "0 0 30 2 *" never fires
}

func ExampleAt() {
	r := faas.New()
	defer r.Close()
	faas.Register(r, "open-sale", func(_ context.Context, tick faascron.Tick) (struct{}, error) {
		fmt.Println("the sale is open, by", tick.Timer)
		return struct{}{}, nil
	})
	timer, err := faascron.At(r, "open-sale", time.Now().Add(200*time.Millisecond), faascron.Name("summer"))
	if err != nil {
		fmt.Println(err)
		return
	}
	<-timer.Done() // a server does other work meanwhile
	fmt.Println("again:", !timer.Next().IsZero())
	_, err = faascron.At(r, "open-sale", time.Date(2020, 7, 1, 0, 0, 0, 0, time.UTC))
	fmt.Println(err)
	// Output:
	// the sale is open, by summer
	// again: false
	// faascron: invalid input: At(2020-07-01 00:00:00 +0000 UTC): the time has passed
}
