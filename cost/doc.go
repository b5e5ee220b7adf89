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
// A [Book] is a price list as data: what is billed, how a call is rounded, what
// it costs, since when, where, and where that was read. Several of one provider make
// a series ([NewSeries]), which prices usage by the one that held. A [Ledger] is a meter
// that adds up, call by call and in integers, what each rounding rule among its
// books bills. A [Rater] turns such a sum ([Usage]) into [Money], by one exact
// multiplication. A [Statement] is all of a [Period], with what is free and with
// price tiers, as text, CSV, JSON or FOCUS rows; days add up to their month, and the
// parts of tenants ([Statement.Only]) to the whole.
//
// Providers round each call, so the sum of raw durations is not enough to price
// the same usage with another book. [Compare] shows side by side those whose
// rule the ledger was made with; any other is [ErrUnrated], never guessed. To
// rate one later, give stored records to the Record of a new ledger.
//
// # What is billed
//
// Wall-clock time in the handler × declared memory, as serverless platforms
// bill: not memory in use. A book may bill processor time, which is then the user's
// to measure ([Ledger.RecordProcessor]), output, and a base fee. Every outcome is
// billed alike. Each call is priced as if it had an instance to itself. What a runaway
// used after its caller was freed is a line of its own, with no request and no
// minimum duration.
//
// # Budgets
//
// A [Budget] limits what functions, tenants or labels may use in a period: in
// money, in slot time or in calls. [Budgets] is a gate that refuses the call
// that would pass the limit before its handler runs ([ErrBudget], with the time
// until the period ends), and can warn before, or slow a function down. It goes on
// after a restart by [Budgets.Restore] and [Budgets.Charge].
//
// # Exact
//
// Nothing here passes through a float. Quantities are finite decimals, because
// [ParseBook] refuses a book whose units would not be; so in every row quantity
// × unit price equals the cost to the last digit, and the rows add up to the
// total. The preset prices are readings by third parties, in 2026: each says
// where it was read and must be checked before anybody is billed by it.
package cost
