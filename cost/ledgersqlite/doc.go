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
// When [Ledger.Record] returns, the record is on disk: it survives a crash of the
// process and of the machine. So a caller that has its answer has its record.
// That costs each call the time of a commit, a millisecond or so. Records that
// arrive while one commit is under way share the next: where one caller at a time
// makes 2,000 records a second, 64 make 28,000 (BenchmarkRecord).
//
// With [WithWriteBehind] Record returns at once, and a goroutine commits what has come
// in. It is for calls that can't wait for a disk, where a crash may lose the last few
// milliseconds. The buffer is bounded: if the disk can't keep up, the router refuses
// work instead of running it unmetered. Behind [faas.Buffered] a ledger does the same: as
// a [faas.BatchMeter] it is given all that came in during the last commit, and makes one
// commit of it. That is twenty times as many records a second as with a commit for each.
// Their room is given back, and Flush returns, when they are durable.
//
// # When it can't be written
//
// From the first failure on, for example a full disk, an I/O error or a damaged file, the
// ledger refuses work: [Ledger.Reserve] is false, and the router answers
// [faas.ReasonMeterFull]. It says why ([Ledger.Err], [WithFailure]), and keeps in memory
// the records of calls that were already running. When the cause is gone, [Ledger.Retry]
// writes them, and the ledger works again.
//
// # Append-only
//
// There is one row for each record. The invocation's id is its key: a record that is
// written twice is stored once, and another record with the same id is an ErrConflict.
// Triggers refuse UPDATE, DELETE and REPLACE from any program, and each row has a
// checksum that is compared whenever it is read. Both protect against mistakes and
// failing disks, and not against an owner of the file who wants to forge it. A record
// that turns out to be wrong is corrected by a row of its own, which refers to it and
// says why: [Ledger.Correct].
//
// The texts of errors are not stored, since they may hold what should not be kept for
// years; [WithErrorText] stores them.
//
// # Another price list
//
// Providers round each call, so a [cost.Ledger] can only be rated by the books that it
// was made with. What is stored here can be rated by any book, at any later time:
//
//	sums := cost.NewLedger(cost.Calendar{}, book)
//	err := ledger.Replay(ctx, ledgersqlite.Filter{From: start, To: end}, sums)
//	statement, err := sums.Statement(start, book)
//
// [Reader.Replay] is complete or an error: it counts what it has found by the index
// against the table. A tenant's bill is the tenant's part of that statement
// (cost.Statement.Only), and not a replay of the tenant's records alone ([Filter]).
//
// # Jobs
//
// A record says of which job the call was a delivery, which attempt, and where it came
// from. A replay into a [cost.Ledger] with [cost.Ledger.CountJobs] has the price of each
// job, and what retries and dead letters have cost: Example (Retries).
//
// # Does it add up
//
// [Reader.Reconcile] compares what is stored with what the router has counted. The
// command cost/ledgersqlite/cmd/reconcile does it from another process.
//
// # The file
//
// It is an SQLite database in WAL mode with synchronous=FULL, which syncs the WAL in
// every commit. NORMAL doesn't, and loses the last commits when the power fails. It
// would be ten times faster for a single caller, but at most one and a half times as
// fast for 64 callers, which share commits (BenchmarkSynchronous). A record takes about
// 170 bytes, and more with long names and labels.
//
// While the file is open, and after a crash, there are two more files: its name with -wal
// and -shm added. The first one has records in it. So copy a ledger that is in use with
// the sqlite3 command's .backup, not with cp. The file must be on a local disk. Several
// processes may have it open; each waits up to ten seconds for the commit of another.
//
// Commits are made with fsync. On Linux fdatasync is as durable and somewhat faster. It
// is a setting of the whole process, so the program must make it: see Fdatasync in
// modernc.org/sqlite.
package ledgersqlite
