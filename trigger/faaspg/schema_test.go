package faaspg_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/trigger/faaspg"
)

func TestMigrateMayRunInManyProcessesAtOnceAndAgain(t *testing.T) {
	t.Parallel()
	pool := openEmpty(t)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() { assert.NoError(t, faaspg.Migrate(context.Background(), pool)) })
	}
	all.Wait()
	_, err := pool.Exec(t.Context(), `INSERT INTO faas_outbox (id, function, tenant, due, job) VALUES (gen_random_uuid(), 'f', '', now(), '{}')`)
	require.NoError(t, err)
	require.NoError(t, faaspg.Migrate(t.Context(), pool))
	require.Equal(t, 1, rows(t, pool), "what is there stays")
	require.Equal(t, 1, count(t, pool, `SELECT count(*) FROM faas_outbox_version`))
}

func TestTablesOfALaterReleaseAreAnError(t *testing.T) {
	t.Parallel()
	pool := open(t)
	_, err := pool.Exec(t.Context(), `UPDATE faas_outbox_version SET version = 99`)
	require.NoError(t, err)
	require.ErrorContains(t, faaspg.Migrate(t.Context(), pool), "version 99")
	require.Equal(t, 99, count(t, pool, `SELECT version FROM faas_outbox_version`))
}
