package embed_test

import (
	"context"
	"fmt"
	"os"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats/embed"
)

// Three lines make jobs survive the process: the two that open the queue, and WithJobs.
func Example() {
	dir, err := os.MkdirTemp("", "jobs-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	queue, err := embed.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer queue.Close()
	r := faas.New(faas.WithJobs(queue))
	defer r.Close()
	greet := faas.Register(r, "greet", func(_ context.Context, name string) (string, error) {
		return "hello, " + name, nil
	})

	job, err := greet.Send(context.Background(), "world")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(job.Wait(context.Background()))
	// Output: hello, world <nil>
}
