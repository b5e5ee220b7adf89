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
//	  "effective": "2026-01-01",                 when it comes into force
//	  "read": "2026-08-03",                      optional: when it was read
//	  "source": "https://example.com/prices",    where it was read
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
// A call's duration is rounded up to the granularity, which must divide the minimum. If init
// is true, the initialization of its instance counts too. Memory is raised to the minimum and
// rounded up to the step, which must divide the maximum; the book has no price for more
// memory ([ErrUnrated]). Instead of these three, "sizes": ["512MiB", "2048MiB"] lists the
// sizes to round up to. The table under cpu says how many thousandths of a vCPU a call has:
// the first line with at least its memory counts. The table must reach the maximum. The
// currency is a code of ISO 4217 in capitals.
//
// There are six meters:
//
//   - memory: declared memory times the duration of a call. Its units are GB or GiB times ms,
//     s, min or h, for example GB-s.
//   - cpu: vCPUs times the duration of a call. Its units are vCPU times ms, s, min or h.
//   - requests: calls.
//   - processor: the time that a processor was in use, rounded up to the granularity. If it
//     was not measured, the duration is used as an upper bound ([Ledger.RecordProcessor]).
//     Its units are ms, s, min or h.
//   - bytes: output above an allowance for each call. It is measured only for calls with
//     encoded payloads and for streams. Its units are GB or GiB.
//   - base: a fee for each calendar month. Its unit is month.
//
// A price may be for a number of units, such as "100000 GB-s"; only a base fee is always for
// one month. Prices and other quantities are strings, so that no tool rounds them.
//
// Free quantities and the bounds of tiers are per calendar month, in single units (GB-s,
// requests). The first usage of the month is free. Usage above a tier's bound has the tier's
// price; tiers ascend. The usage of prices with the same text under "ladder" is counted
// together for their tiers and for free quantities. The usage of prices with the same text
// under "grant" is counted together only for free quantities. Both hold within a book, and
// across all books of [NewStatements]. Prices counted together must have the same unit, the
// same free quantity and, in a ladder, the same bounds. Sizes are whole numbers of B, KB, MB,
// GB (1000) or KiB, MiB, GiB (1024).
type Book struct {
	about    About
	rounding Rounding
	memory   sizing
	cpu      []share
	prices   []price
	from     time.Time // the Effective date; zero if the book is always in force
	earlier  []*Book   // the books of a series before this one, ascending
}

// About describes a book: its name, where its prices are from, and when they are in force.
type About struct {
	// Name is for programs, for example "aws-lambda-x86", and Title for people.
	Name     string `json:"name"`
	Title    string `json:"title"`
	Provider string `json:"provider"`
	Service  string `json:"service"`
	Region   string `json:"region"`
	Currency string `json:"currency"`
	// Effective is the day from which the prices are in force, as year-month-day. It is empty
	// if they are in force at any time, as those of a [Machine].
	Effective string `json:"effective,omitempty"`
	// Read is when the prices were read: a day, a month or a year. It is empty if that is not
	// known.
	Read string `json:"read,omitempty"`
	// Source is where the prices were read.
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

// price is one line of a book. Quantities are counted in billed units, the smallest quantity
// that is billed, and are whole numbers of them. Depending on the meter, a billed unit is
// granularity × step of memory, granularity × 1/1000 vCPU, a granularity of processor time, a
// byte, a request, or a month.
type price struct {
	meter string
	unit  string // one unit, as the book writes it: "GB-s", "request"
	focus string // the unit as FOCUS writes it
	// base is the size of one billed unit, as a number of the unit above, and each is the
	// price of one unit. Both are finite decimals, and so is every charge.
	base, each *big.Rat
	free       *big.Int // billed units in a calendar month
	tiers      []tier   // the prices above the first, ascending
	// above is the bound of the tier to which this price belongs. It is nil in the first
	// tier, and if there are no tiers.
	above *big.Int

	// The usage of prices with the same ladder is counted together for their tiers. Prices
	// with the same grant share a free quantity; a price without a grant uses its ladder as
	// its grant.
	ladder, grant string
	// allowance is how many bytes of each call are not counted.
	allowance int64
	// since is set in a statement within which the price changes: the day from which it is in
	// force.
	since string
}

// About returns the description of the book.
func (b *Book) About() About { return b.about }

// Rounding returns how the book rounds a call's duration.
func (b *Book) Rounding() Rounding { return b.rounding }

// tier is the price for the usage of a calendar month above a quantity.
type tier struct {
	above *big.Int // billed units; more than 0, and more than in the tier before
	each  *big.Rat // price of one unit; a finite decimal
}

// machineGranularity is a billionth of an hour, so that every billed time is a finite decimal
// number of hours.
const machineGranularity = time.Hour / 1e9

// Machine returns a book for a machine of your own: a call costs the price of one core and
// the price of its declared memory for the time that it runs, rounded up to 3.6 µs (a
// billionth of an hour). A handler that waits also pays for its core, although other calls
// may use the core meanwhile. So the book suits a machine that has a core for each concurrent
// call. Both prices are per hour, and must be finite decimals. perGiB may be zero Money.
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
