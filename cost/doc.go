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
// A [Book] is a price list as data: what is billed, how a call is rounded, what it
// costs, since when, in which region, and where the prices were read. Several books of one
// provider make a series ([NewSeries]), which prices usage by the book that was in force. A
// [Ledger] is a meter: it adds up, call by call and in integers, what each rounding rule
// of its books bills. A [Rater] turns such a sum ([Usage]) into [Money] by one exact
// multiplication. A [Statement] has all usage of a [Period], with what is free and with
// price tiers, as text, CSV, JSON or FOCUS rows. The days of a month add up to the month,
// and the parts of tenants ([Statement.Only]) add up to the whole.
//
// Providers round each call, so the sum of raw durations is not enough to price the
// same usage with another book. [Compare] shows books side by side. For a book whose rounding
// rule the ledger does not have, its entry has the error [ErrUnrated], and no guess. To use
// another book later, give stored records to the Record of a new ledger.
//
// # What is billed
//
// Serverless platforms bill the time in the handler, by the clock on the wall, × the
// declared memory; the memory in use does not matter. A book may also bill processor
// time, which the user must measure ([Ledger.RecordProcessor]), output, and a base fee.
// Every outcome is billed alike. Each call is priced as if it had an instance to itself.
// What a runaway used after its caller was freed is a line of its own, with no request
// and no minimum duration.
//
// # Jobs
//
// A record says of which job its call was a delivery, and which attempt. So a statement
// grouped By([SpentOn]) has a row for calls, one for first attempts and one for retries.
// With [Ledger.CountJobs] it has a row for dead letters, too, and a statement grouped By([Job])
// has a row for each job. In every grouping the rows add up to the total.
//
// # Budgets
//
// A [Budget] limits what functions, tenants or labels may use in a period: money, slot
// time or calls. [Budgets] is a gate: it refuses the call that would exceed the limit,
// before the handler runs ([ErrBudget], with the time until the period ends). It can warn
// before that, or slow a function down. [Budgets.Restore] and [Budgets.Charge] let it go
// on after a restart.
//
// # Exact
//
// No amount passes through a float. Quantities are finite decimals, because [ParseBook]
// refuses a book with units that are not. So in every row quantity × unit price equals
// the cost to the last digit, and the rows add up to the total; only a statement that is
// written with [RoundTo] has rounded amounts. The preset prices are
// readings by third parties, in 2026: each says where it was read, and must be checked
// before a customer is billed by it.
//
// # Where things are
//
// A record's way to an amount, by files: rounding.go rounds one call, table.go and ledger.go
// add calls up, tally.go and rater.go turn the sums into units and money (Book.charge, by math/big.Rat), tier.go takes off
// what is free and applies price tiers, statement*.go and write*.go show the result; write_round.go rounds money, if RoundTo asks for it.
// book.go, parse.go and tree.go hold and read price lists. A budget's gate is budgets.go,
// and budget_tracker.go decides there, under a lock, whether a call fits (tracker.ask).
// budget_amount.go and budget_atoms.go count its money: whole numbers of 128 bits, of a
// fraction of the currency of which every price is a multiple.
package cost
