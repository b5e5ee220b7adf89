// Package cost prices what functions use, exactly, with any provider's rules.
//
//	lambda, err := cost.Preset("aws-lambda-x86")
//	ledger := cost.NewLedger(cost.Calendar{}, lambda)   // months, in UTC
//	r := faas.New(faas.WithMeter(ledger))
//	...
//	statement, err := ledger.Statement(time.Now(), lambda)
//	statement.By(cost.Tenant).WriteText(os.Stdout)
//
// # From a call to an amount
//
//	record → rounding, per call → sums, in integers → quantity × unit price, once → statement
//
// A [Book] is a price list as data: what is billed, how a call is rounded, what it costs, since when, in
// which region, and where the prices were read. Several books of one provider make a series ([NewSeries]),
// which prices usage by the book that was in force at the time. A [Ledger] is a meter: for each rounding rule
// of its books it adds up, call by call and in integers, what the rule bills. A [Rater] turns such a sum
// ([Usage]) into [Money] by one exact multiplication. A [Statement] prices all usage of a [Period], with free
// quantities and price tiers, and can be written as text, CSV, JSON or FOCUS rows. The statements of a
// month's days add up to the month's, and the parts of all tenants ([Statement.Only]) add up to the whole.
//
// Providers round each call, so the sum of raw durations is not enough to price the same usage with another
// book. [Compare] shows books side by side. If the ledger has not counted by a book's rounding rule, the
// entry of that book has the error [ErrUnrated] instead of a guess. To use another book later, pass stored
// records to the Record method of a new ledger.
//
// # What is billed
//
// Serverless platforms bill the wall-clock time in the handler × the declared memory; the memory in use does
// not matter. A book may also bill processor time, which the user must measure ([Ledger.RecordProcessor]),
// output, and a base fee. Every outcome is billed alike. Each call is priced as if it had an instance to
// itself. A runaway is a handler that goes on after its call has ended. The time that it uses then is a line
// of its own, with no request and no minimum duration.
//
// # Jobs
//
// The record of a job's delivery has the job's ID and the number of the attempt. So a statement grouped
// By([SpentOn]) has a row for calls, one for first attempts and one for retries. With [Ledger.CountJobs] it
// also has a row for dead letters, and a statement grouped By([Job]) has a row for each job. In every
// grouping the rows add up to the total.
//
// # Budgets
//
// A [Budget] limits what functions, tenants or labels may use in a period: money, slot time or calls.
// [Budgets] is a gate: it refuses the call that would exceed the limit, before the handler runs ([ErrBudget],
// with the time until the period ends). A budget can also warn before its limit is reached, or slow a
// function down. [Budgets.Restore] and [Budgets.Charge] give the accounts of a budget back after a restart.
//
// # Exact
//
// No amount passes through a float. Quantities are finite decimals, because [ParseBook] refuses a book whose
// units would lead to others. So in every row quantity × unit price equals the cost to the last digit, and
// the rows add up to the total; only a statement that is written with [RoundTo] has rounded amounts. The
// preset prices were read by third parties, in 2026: each names the page where it was read, and must be
// checked before a customer is billed by it.
//
// # Where things are
//
// The steps from a record to an amount, by files: rounding.go rounds one call, table.go and ledger.go add
// calls up, tally.go and rater.go turn the sums into units and money (Book.charge, by math/big.Rat), tier.go
// takes off the free quantities and applies price tiers, statement*.go and write*.go show the result;
// write_round.go rounds money, if RoundTo asks for it. book.go, parse.go and tree.go hold and read price
// lists. The gate of budgets is in budgets.go, and budget_tracker.go decides, under a lock, whether a call
// fits (tracker.ask). budget_amount.go and budget_atoms.go count money as whole numbers of 128 bits, in a
// fraction of the currency that divides every price.
package cost
