package main

import (
	"context"
	"errors"
	"time"
)

// Order is the input of quote: what a customer wants to buy.
type Order struct {
	Item  string
	Count int
}

// Quote is the output of quote: the price.
type Quote struct {
	Cents int
}

var errUnknownItem = errors.New("no such item")

// prices stands for the service of a warehouse, which needs some time.
func prices(ctx context.Context, item string) (cents int, err error) {
	select {
	case <-time.After(20 * time.Millisecond):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if cents, ok := map[string]int{"tea": 450, "cup": 1200}[item]; ok {
		return cents, nil
	}
	return 0, errUnknownItem
}

// quote is an ordinary function: its code does not depend on the host.
func quote(ctx context.Context, o Order) (Quote, error) {
	cents, err := prices(ctx, o.Item)
	if err != nil {
		return Quote{}, err
	}
	return Quote{Cents: cents * o.Count}, nil
}
