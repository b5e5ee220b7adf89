package faaspg_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faaspg"
)

// BenchmarkRelay measures how long a row of the outbox takes until its job is settled and the
// row is deleted, with the queue in memory. It compares that with a loop over pgx that takes,
// handles and deletes one row at a time. The two run in turns, so that both see the same load
// of the machine.
//
//	go test -run '^$' -bench Relay -benchtime 20000x ./trigger/faaspg
//
// The ratio is that of the rates. With FAASPG_FSYNC=on, the server also waits for its disk.
func BenchmarkRelay(b *testing.B) {
	for _, side := range []struct {
		name string
		run  func(b *testing.B, pool *pgxpool.Pool, handled *sync.WaitGroup)
	}{{"raw", rawLoop}, {"relay", relayLoop}} {
		b.Run(side.name, func(b *testing.B) {
			pool := open(b)
			var handled sync.WaitGroup
			r := faas.New()
			fn := faas.Register(r, "mail", func(context.Context, int) (struct{}, error) { return struct{}{}, nil })
			sendMany(b, pool, fn, b.N)
			require.NoError(b, r.Close())
			_, err := pool.Exec(b.Context(), `ANALYZE faas_outbox`)
			require.NoError(b, err)
			handled.Add(b.N)
			b.ResetTimer()
			side.run(b, pool, &handled)
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			require.Zero(b, rows(b, pool))
		})
	}
}

func relayLoop(b *testing.B, pool *pgxpool.Pool, handled *sync.WaitGroup) {
	b.Helper()
	r := newRouter(b)
	faas.Register(r, "mail", func(context.Context, int) (struct{}, error) {
		handled.Done()
		return struct{}{}, nil
	})
	d, err := faaspg.NewRelay(pool).Drive(r)
	require.NoError(b, err)
	handled.Wait()
	require.NoError(b, d.Stop(b.Context())) // the driver deletes the last rows
}

func rawLoop(b *testing.B, pool *pgxpool.Pool, handled *sync.WaitGroup) {
	b.Helper()
	for range b.N {
		require.NoError(b, pgx.BeginFunc(b.Context(), pool, func(tx pgx.Tx) error {
			var (
				seq     int64
				payload []byte
			)
			err := tx.QueryRow(b.Context(), `SELECT seq, payload FROM faas_outbox ORDER BY seq FOR UPDATE SKIP LOCKED LIMIT 1`).Scan(&seq, &payload)
			if err != nil {
				return err
			}
			handled.Done()
			_, err = tx.Exec(b.Context(), `DELETE FROM faas_outbox WHERE seq = $1`, seq)
			return err
		}))
	}
}
