package embed

// Crash ends the server first, so that nothing is given back: as the death of the process.
func (q *Queue) Crash() {
	q.conn.Close()
	q.server.Shutdown()
	q.server.WaitForShutdown()
	_ = q.Close() // it can't say goodbye
}
