package faas_test

import (
	"context"
	"fmt"

	"github.com/inproc/faas"
)

// A client that got no answer sends its request again, but the card is charged only once.
func ExampleIdempotent() {
	type payment struct {
		Key   string
		Cents int
	}
	charged := 0
	charge := func(_ context.Context, p payment) (string, error) {
		charged += p.Cents
		return fmt.Sprintf("charged %d cents", p.Cents), nil
	}

	r := faas.New()
	defer r.Close()
	once := faas.Idempotency{Store: faas.NewMemoryIdempotency(0, 0)} // or NewJobIdempotency, whose entries last as long as the jobs
	key := func(_ context.Context, p payment) string { return p.Key }
	f := faas.Register(r, "charge", faas.Idempotent(once, key, charge))

	for range 3 {
		answer, err := f.Invoke(context.Background(), payment{"order-7", 995})
		fmt.Println(answer, err)
	}
	_, err := f.Invoke(context.Background(), payment{"order-7", 1})
	fmt.Println(err)
	fmt.Println("charged:", charged)
	// Output:
	// charged 995 cents <nil>
	// charged 995 cents <nil>
	// charged 995 cents <nil>
	// the idempotency key was used with another input
	// charged: 995
}
