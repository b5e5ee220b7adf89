package embed

import "github.com/nats-io/nats-server/v2/server"

// Crash stops the server first, so that the queue can't give anything back: as when the process
// dies.
func (q *Queue) Crash() {
	q.conn.Close()
	q.server.Shutdown()
	q.server.WaitForShutdown()
	_ = q.Close() // an error, since the server is gone
}

// Server returns the server. A test connects to it as another process does.
func (q *Queue) Server() *server.Server { return q.server }
