package faaspg_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats"
	"github.com/inproc/faas/durable/faasnats/embed"
	"github.com/inproc/faas/trigger/faaspg"
	"github.com/inproc/faas/trigger/source"
)

// ranFile has the IDs of jobs, written by the handler: one line in each write, so that a kill
// loses none.
const ranFile = "ran"

// play is a process of a torture: a relay and a queue. It works until it is killed or, if it is
// told to finish, until no row and no job is left.
func play(role string) error {
	dir := os.Getenv("FAAS_TEST_DIR")
	pool, err := pgxpool.New(context.Background(), os.Getenv("FAAS_TEST_URL"))
	if err != nil {
		return err
	}
	defer pool.Close()
	switch role {
	case "memory":
		return relayTo(nil, pool, dir)
	case "durable":
		q, err := embed.Open(filepath.Join(dir, "jobs"), faasnats.WithAckWait(time.Second))
		if err != nil {
			return err
		}
		return errors.Join(relayTo(q, pool, dir), q.Close())
	}
	return fmt.Errorf("no role %q", role)
}

// work registers the function that the torture calls.
func work(r *faas.Router, run func(id string) error) *faas.Function[[]byte, string] {
	return faas.Register(r, "work", func(ctx context.Context, _ []byte) (string, error) {
		inv, _ := faas.FromContext(ctx)
		return "done", run(inv.Job.String())
	}, faas.WithConcurrency(16))
}

func relayTo(q faas.JobQueue, pool *pgxpool.Pool, dir string) error {
	file, err := os.OpenFile(filepath.Join(dir, ranFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	r := faas.New(faas.WithJobs(q))
	defer r.Close()
	work(r, func(id string) error {
		_, err := file.WriteString(id + "\n")
		return err
	})
	relay := faaspg.NewRelay(pool, faaspg.WithTerm(time.Second), faaspg.WithPoll(50*time.Millisecond))
	d, err := relay.Drive(r, source.WithRestart(50*time.Millisecond, 500*time.Millisecond), source.WithLog(nil))
	if err != nil {
		return err
	}
	if os.Getenv("FAAS_TEST_FINISH") == "" {
		<-d.Done() // in most runs the process is killed before
		return errors.New("the driver has ended")
	}
	return errors.Join(drained(r, pool), r.Shutdown(context.Background()))
}

// drained waits until no row and no job is left.
func drained(r *faas.Router, pool *pgxpool.Pool) error {
	for range 1200 {
		left := -1
		err := pool.QueryRow(context.Background(), `SELECT count(*) FROM faas_outbox`).Scan(&left)
		if info, known := r.Info("work"); err == nil && known == nil && left == 0 && info.Jobs.Waiting()+info.Jobs.Running == 0 {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("rows or jobs are left after two minutes")
}
