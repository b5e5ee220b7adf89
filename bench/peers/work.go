package peers

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// In is the request of every handler.
type In struct {
	A int64 `json:"a"`
	B int64 `json:"b"`
}

// Out is the response of every handler.
type Out struct {
	Sum int64 `json:"sum"`
}

// Handler is the signature of the functions that all peers host.
type Handler func(context.Context, In) (Out, error)

// Work is a named handler. All handlers return the sum of the input; they differ in the work
// that they do before they return.
type Work struct {
	Name    string
	Handler Handler
}

// Iterations of the xorshift loop. They are constants and not calibrated to the machine, so
// that every run on every machine does the same work.
const (
	iterations1us  = 820
	iterations10us = 8200
)

// Works are the handlers under test.
var Works = []Work{
	{"add", add},
	{"cpu1us", burn(iterations1us)},
	{"cpu10us", burn(iterations10us)},
	{"wait1ms", wait},
}

func add(_ context.Context, in In) (Out, error) { return Out{in.A + in.B}, nil }

func burn(iterations int) Handler {
	return func(_ context.Context, in In) (Out, error) {
		if spin(iterations, uint64(in.A)|1) == 0 {
			return Out{}, errSpin
		}
		return Out{in.A + in.B}, nil
	}
}

func wait(_ context.Context, in In) (Out, error) {
	time.Sleep(time.Millisecond)
	return Out{in.A + in.B}, nil
}

// errSpin is never returned, because xorshift reaches zero only from zero. The
// comparison keeps the compiler from removing the loop.
var errSpin = errors.New("peers: xorshift reached zero")

// spin is a chain of dependent operations, which neither the compiler nor the
// processor can run in parallel.
//
//go:noinline
func spin(n int, x uint64) uint64 {
	for range n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// input returns the request of call number i. The requests differ, so that a peer
// that mixes up two answers is detected.
func input(i int) In { return In{A: int64(i % inputs), B: 1} }

const inputs = 256

// message is an encoded request and the encoded answer to it.
type message struct{ request, response []byte }

var messages = encodeMessages()

func encodeMessages() [inputs]message {
	var ms [inputs]message
	for i := range ms {
		in := input(i)
		ms[i] = message{mustJSON(in), mustJSON(Out{in.A + in.B})}
	}
	return ms
}

func mustJSON(v any) []byte { return must(json.Marshal(v)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
