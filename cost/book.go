package cost

import (
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Book is a price list: what is billed, how a call is rounded, and what it costs. It is
// read-only, and may be used concurrently.
//
// As a file it is JSON of this form:
//
//	{
//	  "name": "example",                         lower case, for programs
//	  "title": "Example Functions",              for people
//	  "provider": "Example", "service": "Functions", "region": "eu-1",
//	  "currency": "EUR",
//	  "effective": "2026-01-01",                 from when it holds
//	  "read": "2026-08-03",                      optional: when it was read
//	  "source": "https://example.com/prices",    where
//	  "note": "…",                               optional
//	  "gb": "1024MiB",                           what a GB is, if a unit names one
//	  "duration": {"granularity": "100ms", "minimum": "0s", "init": false},
//	  "memory": {"minimum": "128MiB", "step": "1MiB", "maximum": "4096MiB"},
//	  "cpu": [{"memory": "1024MiB", "milli": 500}, …],
//	  "prices": [
//	    {"meter": "memory",    "unit": "GB-s",   "price": "0.0000025", "free": "400000",
//	     "tiers": [{"above": "6000000000", "price": "0.000002"}]},
//	    {"meter": "cpu",       "unit": "vCPU-s", "price": "0.000024"},
//	    {"meter": "requests",  "unit": "1000000 requests", "price": "0.40"},
//	    {"meter": "processor", "unit": "1000000 ms", "price": "0.02"},
//	    {"meter": "bytes",     "unit": "GB", "price": "0.008", "allowance": "6MB"},
//	    {"meter": "base",      "unit": "month", "price": "5"}
//	  ]
//	}
//
// A call's duration is rounded up to the granularity, which must divide the minimum.
// With init, the initialization of its instance counts too. Memory is raised to the
// minimum and rounded up to the step, which must divide the maximum; the book has no
// price for more ([ErrUnrated]). Instead of these three, "sizes": ["512MiB", "2048MiB"]
// lists the sizes to round up to. The table under cpu says how many thousandths of a
// vCPU a call has: the first line with at least its memory counts. The table must reach
// the maximum. The currency is a code of ISO 4217 in capitals.
//
// There are six meters:
//
//   - memory: declared memory for as long as a call takes. Its units are GB or GiB
//     times ms, s, min or h, for example GB-s.
//   - cpu: vCPU for as long as a call takes. Its units are vCPU times ms, s, min or h.
//   - requests: calls.
//   - processor: the time that a processor was in use, rounded up to the granularity.
//     Where it was not measured it is at most the duration ([Ledger.RecordProcessor]).
//     Its units are ms, s, min or h.
//   - bytes: output above an allowance for each call. It is known of calls with encoded
//     payloads and of streams. Its units are GB or GiB.
//   - base: a fee for each calendar month. Its unit is month.
//
// A price may be for a number of units, such as "100000 GB-s", except for a month.
// Prices and other quantities are strings, so that no tool rounds them.
//
// Free quantities and the bounds of tiers are per calendar month, in single units
// (GB-s, requests). The first usage of the month is free. What is above a tier's bound
// has the tier's price; tiers ascend. Prices with the same text under "ladder" are
// counted together for their tiers and for what is free, and prices with the same text
// under "grant" only for what is free: within a book, and across all books of
// [NewStatements]. They must have the same unit, bounds and free quantity. Sizes are
// whole numbers of B, KB, MB, GB (1000) or KiB, MiB, GiB (1024).
type Book struct {
	about    About
	rounding Rounding
	memory   sizing
	cpu      []share
	prices   []price
	from     time.Time // the Effective date; zero: always
	earlier  []*Book   // the books of a series before this one, ascending
}

// About says what a book is.
type About struct {
	// Name is for programs, for example "aws-lambda-x86", and Title for people.
	Name     string `json:"name"`
	Title    string `json:"title"`
	Provider string `json:"provider"`
	Service  string `json:"service"`
	Region   string `json:"region"`
	Currency string `json:"currency"`
	// Effective is the day from which the prices hold, as year-month-day; empty: they
	// hold at any time, as those of a [Machine].
	Effective string `json:"effective,omitempty"`
	// Read is when the prices were read: a day, a month or a year; empty: not known.
	Read string `json:"read,omitempty"`
	// Source is where they were read.
	Source string `json:"source"`
	Note   string `json:"note,omitempty"`
}

// The meters that a price may be for.
const (
	meterMemory    = "memory"
	meterCPU       = "cpu"
	meterRequests  = "requests"
	meterProcessor = "processor"
	meterBytes     = "bytes"
	meterBase      = "base"
)

// price is one line of a book. Quantities are counted in whole billed units, the
// smallest there are. Depending on the meter, one is granularity × step of memory,
// granularity × 1/1000 vCPU, a granularity of processor time, a byte, a request, or a
// month.
type price struct {
	meter string
	unit  string // as in the book, for one: "GB-s", "request"
	focus string // as FOCUS writes it
	// base is how many of the unit one billed unit is, and each is the money for one of
	// the unit. Both are finite decimals, and so is every charge.
	base, each *big.Rat
	free       *big.Int // billed units a calendar month
	tiers      []tier   // the prices for more, ascending
	// above is the bound of the tier that this price is of; nil: it is of the first, or
	// there are none.
	above *big.Int

	// Prices with the same ladder are counted together for their tiers. Prices with the
	// same grant share what is free; a price without a grant has its ladder for one.
	ladder, grant string
	// allowance is how many bytes of each call are not counted.
	allowance int64
	// since is set in a statement within which the price changes: from when it holds.
	since string
}

// About says what the book is.
func (b *Book) About() About { return b.about }

// Rounding says how it rounds a call's duration.
func (b *Book) Rounding() Rounding { return b.rounding }

// tier is a price for what a calendar month has above a quantity.
type tier struct {
	above *big.Int // billed units; more than of the tier before, and than 0
	each  *big.Rat // money for one of the unit; a finite decimal
}

// machineGranularity is a billionth of an hour, so that any billed time is a finite
// decimal of hours.
const machineGranularity = time.Hour / 1e9

// Machine is the book of a machine of your own: a call costs the price of one core, and
// of its declared memory, for as long as it runs, rounded up to 3.6 µs (a billionth of
// an hour). A handler that waits is charged its core too, although it leaves the core
// to others: so the book suits a machine that has a core for each concurrent call. Both
// prices are per hour, and finite decimals. The second one, for a GiB, may be zero
// Money.
func Machine(perCore, perGiB Money) (*Book, error) {
	currency, err := common(perCore, perGiB)
	if err != nil {
		return nil, err
	}
	if !finite(perCore.rat()) || !finite(perGiB.rat()) || perCore.Sign() < 0 || perGiB.Sign() < 0 || currency == "" {
		return nil, fmt.Errorf("cost: machine at %s and %s an hour: %w", perCore, perGiB, errMachine)
	}
	b := &Book{
		about: About{
			Name: "machine", Title: "Own machine", Provider: "self", Service: "own machine", Region: "local",
			Currency: currency, Source: "the caller of cost.Machine",
			Note: "One core for each running call.",
		},
		rounding: Rounding{Granularity: machineGranularity, Init: true},
		memory:   sizing{step: mib},
		cpu:      []share{{memory: maxMemory, milli: 1000}},
	}
	b.prices = []price{
		{meter: meterCPU, unit: "core-h", focus: "Core-Hours", base: big.NewRat(1, 1e12), each: perCore.Amount(), free: new(big.Int)},
		{meter: meterMemory, unit: "GiB-h", focus: "GiB-Hours", base: big.NewRat(1, 1024*1e9), each: perGiB.Amount(), free: new(big.Int)},
	}
	if perGiB.Sign() == 0 {
		b.prices = b.prices[:1]
	}
	return b, nil
}

var errMachine = errors.New("prices must be finite decimals, not negative, and in a currency")
