// Command hello is the smallest complete program: one function, called once.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/inproc/faas"
)

func main() {
	ctx := context.Background()
	r := faas.New()
	hello := faas.Register(r, "hello", func(ctx context.Context, name string) (string, error) {
		return "hello, " + name, nil
	}, faas.WithTimeout(time.Second))

	answer, err := hello.Invoke(ctx, "gopher") // returns within a second, even if the function does not
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer)

	if err := r.Shutdown(ctx); err != nil { // waits for the calls in flight
		log.Fatal(err)
	}
}
