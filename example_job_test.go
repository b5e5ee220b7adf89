package faas_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/inproc/faas"
)

func ExampleFunction_Send() {
	r := faas.New()
	tries := 0
	mail := faas.Register(r, "mail", func(_ context.Context, to string) (string, error) {
		if tries++; tries == 1 {
			return "", errors.New("the server is busy")
		}
		return "sent to " + to, nil
	}, faas.WithRetry(faas.Retry{Max: 2, First: time.Millisecond}))

	job, err := mail.Send(context.Background(), "ana")
	if err != nil {
		panic(err) // the job was not accepted
	}
	answer, err := job.Wait(context.Background()) // a handler that sends a job must not wait for it
	fmt.Println(answer, err)
	info, _ := job.Info(context.Background())
	fmt.Println(info.State, "after", info.Attempts, "attempts")

	fmt.Println(r.Shutdown(context.Background()))
	// Output:
	// sent to ana <nil>
	// Succeeded after 2 attempts
	// <nil>
}
