// Package ledgersqlite keeps the record of every call in a file, so that it
// outlives the process: a [faas.Meter] and [faas.OverrunMeter] on SQLite, in pure Go.
//
//	ledger, err := ledgersqlite.Open("/var/lib/shop/calls.db")
//	r := faas.New(faas.WithMeter(ledger))
//	...
//	err = r.Shutdown(ctx)
//	err = ledger.Close()
//
// # Durable before the answer
//
// When [Ledger.Record] returns, the record is on disk: it survives a crash of the process and
// of the machine. So a caller that has its answer has its record. Each call takes longer by
// the time of a commit, about a millisecond. Records that arrive during a commit share the
// next one: a single caller makes 2,000 records a second, and 64 callers make 28,000
// (BenchmarkRecord).
//
// With [WithWriteBehind] Record returns at once, and a goroutine commits the records that
// have come in. It is for calls that can't wait for a disk; a crash may then lose the records
// of the last few milliseconds. The buffer is bounded: if the disk can't keep up, the router
// refuses work instead of running it unmetered. A ledger behind [faas.Buffered] works in the
// same way: as a [faas.BatchMeter] it receives all records that came in during the last
// commit, and writes them in one commit. That makes twenty times as many records a second as
// a commit for each record. The room of the records in the buffer is given back, and Flush
// returns, when they are durable.
//
// # When it can't be written
//
// From the first failure on, for example a full disk, an I/O error or a damaged file, the
// ledger refuses work: [Ledger.Reserve] returns false, and the router answers calls with
// [faas.ReasonMeterFull]. [Ledger.Err] and [WithFailure] report the cause. The ledger keeps
// in memory the records of calls that were already running. When the cause is gone,
// [Ledger.Retry] writes these records, and the ledger works again.
//
// # Append-only
//
// There is one row for each record. The invocation's id is its key: a record that is written
// twice is stored once, and a different record with the same id is refused with ErrConflict.
// Triggers refuse UPDATE, DELETE and REPLACE from any program, and each row has a checksum
// that is compared whenever it is read. Both protect against mistakes and failing disks, but
// not against forgery by the owner of the file. A record that turns out to be wrong is not
// changed: [Ledger.Correct] adds a correction, a row of its own that refers to the record and
// has the reason.
//
// The texts of errors are not stored, since they may contain data that should not be kept for
// years; [WithErrorText] stores them.
//
// # Another price list
//
// Providers round each call, so a [cost.Ledger] can only be priced by the books that it was
// made with. The records stored here can be priced by any book, at any later time:
//
//	sums := cost.NewLedger(cost.Calendar{}, book)
//	err := ledger.Replay(ctx, ledgersqlite.Filter{From: start, To: end}, sums)
//	statement, err := sums.Statement(start, book)
//
// [Reader.Replay] either gives all records or returns an error: it compares the number of
// records that it found by the index with the number in the table. For a tenant's bill, take
// the tenant's part of that statement (cost.Statement.Only), and do not replay the tenant's
// records alone ([Filter]).
//
// # Jobs
//
// The record of a job's delivery has the job's ID, the number of the attempt, and where the
// call came from. A replay into a [cost.Ledger] with [cost.Ledger.CountJobs] gives the price
// of each job, and the cost of retries and dead letters: Example (Retries).
//
// # Does it add up
//
// [Reader.Reconcile] compares the number of stored records with the number of calls that the
// router has counted. The command cost/ledgersqlite/cmd/reconcile does this from another
// process.
//
// # The file
//
// The file is an SQLite database in WAL mode with synchronous=FULL, which syncs the WAL in
// every commit. With synchronous=NORMAL it would not, and would lose the last commits when
// the power fails. NORMAL would be ten times faster for a single caller, but at most one and
// a half times as fast for 64 callers, which share commits (BenchmarkSynchronous). A record
// takes about 170 bytes, and more with long names and labels.
//
// While the file is open, and after a crash, there are two more files: its name with -wal and
// with -shm added. The -wal file has records in it. So copy a ledger that is in use with the
// sqlite3 command's .backup, not with cp. The file must be on a local disk. Several processes
// may have it open; each waits up to ten seconds for a commit of another process.
//
// Commits are made with fsync. On Linux fdatasync is as durable and somewhat faster. It is a
// setting of the whole process, so only the program can choose it: see Fdatasync in
// modernc.org/sqlite.
package ledgersqlite
