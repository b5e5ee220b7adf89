package torture_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/inproc/faas"
	"github.com/inproc/faas/durable/faasnats"
	"github.com/inproc/faas/durable/faasnats/embed"
)

// The processes of a torture share a directory. They append what they have done to files there,
// one line in each write, so that a kill loses no line that was written.
const (
	acceptedFile = "accepted" // the IDs of jobs whose Send has returned
	ranFile      = "ran"      // the IDs of jobs in the handler
	toldFile     = "told"     // the IDs of jobs in the handler of the destination
)

// play is a process of a torture. It works until it is killed or, if it is told to finish,
// until no job is left.
func play(role string) error {
	dir := os.Getenv("FAAS_TEST_DIR")
	switch role {
	case "server":
		return playServer(dir, os.Getenv("FAAS_TEST_PORT"))
	case "timer":
		return playTimer(dir, os.Getenv("FAAS_TEST_PORT"))
	case "embedded":
		q, err := embed.Open(filepath.Join(dir, "jobs"), faasnats.WithAckWait(time.Second))
		if err != nil {
			return err
		}
		return errors.Join(work(q, dir), q.Close())
	case "lazy":
		q, stop, err := openLazy(filepath.Join(dir, "jobs"))
		if err != nil {
			return err
		}
		defer stop()
		return work(q, dir)
	case "remote":
		q, err := openRemote("nats://127.0.0.1:" + os.Getenv("FAAS_TEST_PORT"))
		if err != nil {
			return err
		}
		return errors.Join(work(q, dir), q.Close())
	}
	return fmt.Errorf("no role %q", role)
}

// openLazy opens a queue on a server in this process, with the server's default interval of
// syncs.
func openLazy(dir string) (*faasnats.Queue, func(), error) {
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: filepath.Join(dir, "store")})
	if err != nil {
		return nil, nil, err
	}
	go s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return nil, nil, errors.New("the server is not ready")
	}
	conn, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		return nil, nil, err
	}
	down := func() { conn.Close(); s.Shutdown(); s.WaitForShutdown() }
	q, err := faasnats.OpenConn(context.Background(), conn, faasnats.WithAckWait(time.Second))
	if err != nil {
		down()
		return nil, nil, err
	}
	return q, func() { _ = q.Close(); down() }, nil
}

// openRemote connects to a server, which may not have started yet.
func openRemote(url string) (q *faasnats.Queue, err error) {
	for range 1200 { // two minutes, or more
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		q, err = faasnats.Open(ctx, url, faasnats.WithAckWait(time.Second))
		cancel()
		if err == nil {
			return q, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, err
}

func playServer(dir, port string) error {
	n, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: n, NoSigs: true, NoLog: true, JetStream: true, StoreDir: filepath.Join(dir, "store"), SyncAlways: true,
	})
	if err != nil {
		return err
	}
	s.Start()
	s.WaitForShutdown()
	return nil
}

// work sends jobs, and runs them.
func work(q faas.JobQueue, dir string) error {
	accepted, err1 := appendTo(dir, acceptedFile)
	ran, err2 := appendTo(dir, ranFile)
	told, err3 := appendTo(dir, toldFile)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	r := faas.New(faas.WithJobs(q), faas.WithTimeout(time.Minute))
	defer r.Close()
	faas.Register(r, "told", func(_ context.Context, e faas.JobEnvelope) (struct{}, error) {
		return struct{}{}, told(e.RequestContext.RequestID)
	}, faas.WithConcurrency(16))
	fn := faas.Register(r, "work", func(ctx context.Context, _ []byte) (string, error) {
		inv, _ := faas.FromContext(ctx)
		return "done", ran(inv.Job.String())
	}, faas.WithConcurrency(32), faas.WithOnSuccess(faas.ToFunction("told")))
	if os.Getenv("FAAS_TEST_FINISH") != "" {
		return drained(q)
	}
	var senders sync.WaitGroup
	for range 32 {
		senders.Go(func() {
			for {
				id := uuid.New()
				job, err := fn.Send(context.Background(), make([]byte, 256), faas.WithJobID(id))
				if err == nil {
					err = accepted(id.String())
				}
				if err == nil { // the next job is sent when this one has ended, so no backlog grows
					ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
					_, err = job.Wait(ctx)
					cancel()
				}
				if err != nil { // the server is down
					time.Sleep(50 * time.Millisecond)
				}
			}
		})
	}
	senders.Wait()
	return nil
}

// drained waits until no job is left.
func drained(q faas.JobQueue) error {
	quiet := 0
	for range 1800 {
		counts, err := q.Count(context.Background())
		left := 0
		for _, c := range counts {
			left += c.Waiting() + c.Running
		}
		if quiet++; err != nil || left > 0 {
			quiet = 0
		}
		if quiet == 4 {
			return nil
		}
		time.Sleep(500 * time.Millisecond) // a pause, since counting costs the server something
	}
	return errors.New("jobs are left after a quarter of an hour")
}

// appendTo returns a function that appends a line to a file.
func appendTo(dir, name string) (func(line string) error, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return func(line string) error {
		_, err := f.WriteString(line + "\n")
		return err
	}, err
}
