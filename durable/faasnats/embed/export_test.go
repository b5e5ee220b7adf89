package embed

import "github.com/nats-io/nats-server/v2/server"

// Crash ends the server first, so that nothing is given back: as the death of the process.
func (q *Queue) Crash() {
	q.conn.Close()
	q.server.Shutdown()
	q.server.WaitForShutdown()
	_ = q.Close() // it can't say goodbye
}

// Server is the server, to which a test connects as another process does.
func (q *Queue) Server() *server.Server { return q.server }
