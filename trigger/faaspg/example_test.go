package faaspg_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faaspg"
)

// A job is made when its transaction has committed.
func Example() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, shared.url("public")) // the database server of the tests
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	router := faas.New()
	defer router.Close()
	sent := make(chan string)
	mail := faas.Register(router, "mail", func(_ context.Context, to string) (struct{}, error) {
		sent <- to
		return struct{}{}, nil
	})
	if err := relay(ctx, pool, router); err != nil {
		fmt.Println(err)
		return
	}

	buy := func(customer string, money int) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := faaspg.SendTx(ctx, tx, mail, customer); err != nil {
				return err
			}
			if money < 10 {
				return errors.New("too little money") // rolls back the transaction
			}
			return nil
		})
	}
	fmt.Println(buy("bob", 5))
	fmt.Println(buy("ana", 50))
	fmt.Println("mail to", <-sent)
	fmt.Println(router.Shutdown(ctx)) // it also ends the relay
	// Output:
	// too little money
	// <nil>
	// mail to ana
	// <nil>
}

func relay(ctx context.Context, pool *pgxpool.Pool, router *faas.Router) error {
	if err := faaspg.Migrate(ctx, pool); err != nil {
		return err
	}
	driver, err := faaspg.NewRelay(pool).Drive(router)
	if err != nil {
		return err
	}
	return driver.Info(ctx).LagError // Info also says how many rows wait, and for how long
}
